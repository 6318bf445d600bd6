import type { ChatEvent, FinishReason, JsonObject, Part, TokenLogprob, Usage } from "./core.ts";
import type { RenderContext, StreamRenderer } from "./dialect.ts";
import { renderLogprob } from "./openai-chat-response.ts";
import { isOwnThinking, NAME, renderOutputPart } from "./openai-responses-items.ts";
import { echoFor, itemId, renderOtherItem, responseHead, statusOf } from "./openai-responses-response.ts";
import { renderResponsesUsage } from "./openai-usage.ts";
import { describeDropped, spellingFor } from "./shape.ts";
import { encodeSse } from "./sse.ts";

interface OpenItem {
  readonly outputIndex: number;
  readonly itemId: string;
  /** The part as it has grown so far. */
  readonly part: Part;
  logprobs: TokenLogprob[];
  /** A summary is only announced once it has text. */
  summarized: boolean;
}

/** Writes the events of a streamed response, numbered; each part of the core is an output item of its own. */
export class ResponsesStreamRenderer implements StreamRenderer {
  readonly dropped: string[] = [];
  readonly #context: RenderContext;
  readonly #open = new Map<number, OpenItem>();
  readonly #done: JsonObject[] = [];
  #head: JsonObject;
  #sequence = 0;
  #outputs = 0;
  #started = false;
  #usage: Usage | undefined;
  #finish: FinishReason = "stop";

  constructor(context: RenderContext) {
    this.#context = context;
    this.#head = responseHead(context, "", context.request.model, 0);
  }

  push(event: ChatEvent): string {
    if (event.type === "usage") {
      this.#usage = event.usage;
      return "";
    }
    if (event.type === "start") return this.#start(event);
    if (event.choice !== 0) {
      this.#drop(`choices[${event.choice}]`);
      return "";
    }
    switch (event.type) {
      case "part-start":
        return this.#announce() + this.#partStart(event.index, event.part);
      case "part-delta": {
        const item = this.#open.get(event.index);
        return item === undefined ? "" : this.#more(item, event.text, event.signature, event.logprobs);
      }
      case "part-end":
        return this.#partEnd(event.index);
      case "finish":
        this.#finish = event.reason;
        return "";
    }
  }

  end(): { preface: string; terminal: string } {
    let preface = this.#announce();
    for (const index of this.#open.keys()) preface += this.#partEnd(index);
    const ended = statusOf(this.#finish);
    const usage = this.#usage === undefined ? null : renderResponsesUsage(this.#usage);
    const response = { ...this.#head, ...ended, output: this.#done, usage };
    return { preface, terminal: this.#event(`response.${String(ended.status as string)}`, { response }) };
  }

  #start(event: ChatEvent & { type: "start" }): string {
    describeDropped(NAME, event.extra, "", this.dropped);
    const own = event.extra?.dialect === NAME || event.id.startsWith("resp_");
    this.#head = {
      ...responseHead(this.#context, own ? event.id : "", event.model, event.createdS),
      ...echoFor(event.extra),
    };
    return this.#announce();
  }

  #announce(): string {
    if (this.#started) return "";
    this.#started = true;
    return (
      this.#event("response.created", { response: this.#head }) +
      this.#event("response.in_progress", { response: this.#head })
    );
  }

  #partStart(index: number, part: Part): string {
    const outputIndex = this.#outputs;
    const place = `choices[0].content[${index}]`;
    if (part.type === "text" || part.type === "refusal") {
      if (part.type === "text") describeDropped(NAME, part.extra, place, this.dropped);
      const id = itemId("msg", this.#context.requestId, outputIndex);
      const item = this.#opened(index, id, { ...part, text: "" });
      const empty = this.#content(item);
      const events =
        this.#event("response.output_item.added", {
          output_index: outputIndex,
          item: { id, type: "message", status: "in_progress", role: "assistant", content: [] },
        }) +
        this.#event("response.content_part.added", {
          item_id: id,
          output_index: outputIndex,
          content_index: 0,
          part: empty,
        });
      return events + this.#more(item, part.text, undefined, undefined);
    }
    const whole = renderOtherItem(part, outputIndex, this.#context.requestId, place, this.dropped);
    if (whole === undefined) return "";
    if (part.type === "tool-call") {
      const item = this.#opened(index, idOf(whole), { ...part, arguments: "" });
      const added = { ...whole, status: "in_progress", arguments: "" };
      return (
        this.#event("response.output_item.added", { output_index: outputIndex, item: added }) +
        this.#more(item, part.arguments, undefined, undefined)
      );
    }
    if (part.type === "thinking") {
      const item = this.#opened(index, idOf(whole), { ...part, text: "", signature: undefined });
      const added = { id: item.itemId, type: "reasoning", summary: [] };
      return (
        this.#event("response.output_item.added", { output_index: outputIndex, item: added }) +
        this.#more(item, part.text, part.signature, undefined)
      );
    }
    this.#outputs += 1;
    this.#done[outputIndex] = whole;
    return (
      this.#event("response.output_item.added", { output_index: outputIndex, item: whole }) +
      this.#event("response.output_item.done", { output_index: outputIndex, item: whole })
    );
  }

  #opened(index: number, id: string, part: Part): OpenItem {
    const item: OpenItem = { outputIndex: this.#outputs, itemId: id, part, logprobs: [], summarized: false };
    this.#outputs += 1;
    this.#open.set(index, item);
    // Holds the place: an item that opened later may be done earlier.
    this.#done[item.outputIndex] = {};
    return item;
  }

  #more(
    item: OpenItem,
    text: string,
    signature: string | undefined,
    logprobs: readonly TokenLogprob[] | undefined,
  ): string {
    const { part } = item;
    const at = { item_id: item.itemId, output_index: item.outputIndex };
    switch (part.type) {
      case "text":
      case "refusal":
        part.text += text;
        if (part.type === "refusal")
          return text === "" ? "" : this.#event("response.refusal.delta", { ...at, content_index: 0, delta: text });
        item.logprobs.push(...(logprobs ?? []));
        if (text === "" && logprobs === undefined) return "";
        return this.#event("response.output_text.delta", {
          ...at,
          content_index: 0,
          delta: text,
          logprobs: (logprobs ?? []).map(renderLogprob),
        });
      case "tool-call":
        part.arguments += text;
        return text === "" ? "" : this.#event("response.function_call_arguments.delta", { ...at, delta: text });
      case "thinking": {
        part.text += text;
        if (signature !== undefined) {
          part.signature = (part.signature ?? "") + signature;
          if (!isOwnThinking(part)) this.#drop(`choices[0].content[${item.outputIndex}].signature`);
        }
        if (text === "") return "";
        const added = item.summarized
          ? ""
          : this.#event("response.reasoning_summary_part.added", { ...at, summary_index: 0, part: summaryOf("") });
        item.summarized = true;
        return added + this.#event("response.reasoning_summary_text.delta", { ...at, summary_index: 0, delta: text });
      }
      case "media":
      case "tool-result":
      case "unknown":
        return "";
    }
  }

  #partEnd(index: number): string {
    const item = this.#open.get(index);
    if (item === undefined) return "";
    this.#open.delete(index);
    const { part } = item;
    const at = { item_id: item.itemId, output_index: item.outputIndex };
    let events = "";
    let whole: JsonObject;
    if (part.type === "text" || part.type === "refusal") {
      const content = this.#content(item);
      events +=
        part.type === "text"
          ? this.#event("response.output_text.done", {
              ...at,
              content_index: 0,
              text: part.text,
              logprobs: item.logprobs.map(renderLogprob),
            })
          : this.#event("response.refusal.done", { ...at, content_index: 0, refusal: part.text });
      events += this.#event("response.content_part.done", { ...at, content_index: 0, part: content });
      const own = part.type === "text" ? spellingFor(NAME, part.extra)?.message : undefined;
      const phase = typeof own === "object" && own !== null && !Array.isArray(own) ? own : {};
      whole = {
        ...phase,
        id: item.itemId,
        type: "message",
        status: "completed",
        role: "assistant",
        content: [content],
      };
    } else {
      whole = { ...renderOtherItem(part, item.outputIndex, this.#context.requestId, "", []) };
      if (part.type === "tool-call") {
        whole.status = "completed";
        events += this.#event("response.function_call_arguments.done", {
          ...at,
          name: part.name,
          arguments: part.arguments,
        });
      } else if (part.type === "thinking") {
        whole.id = item.itemId;
        whole.summary = part.text === "" ? [] : [summaryOf(part.text)];
        if (item.summarized) {
          events += this.#event("response.reasoning_summary_text.done", { ...at, summary_index: 0, text: part.text });
          events += this.#event("response.reasoning_summary_part.done", {
            ...at,
            summary_index: 0,
            part: summaryOf(part.text),
          });
        }
      }
    }
    this.#done[item.outputIndex] = whole;
    return events + this.#event("response.output_item.done", { output_index: item.outputIndex, item: whole });
  }

  #content(item: OpenItem): JsonObject {
    const { part } = item;
    if (part.type !== "text" && part.type !== "refusal") return {};
    const rendered = renderOutputPart(part);
    if (part.type === "text") rendered.logprobs = item.logprobs.map(renderLogprob);
    return rendered;
  }

  #event(type: string, fields: JsonObject): string {
    const data = JSON.stringify({ type, sequence_number: this.#sequence, ...fields });
    this.#sequence += 1;
    return encodeSse({ event: type, data });
  }

  #drop(name: string): void {
    if (!this.dropped.includes(name)) this.dropped.push(name);
  }
}

const summaryOf = (text: string): JsonObject => ({ type: "summary_text", text });
const idOf = (item: JsonObject): string => (typeof item.id === "string" ? item.id : "");
