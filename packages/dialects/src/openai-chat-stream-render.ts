import type { ChatEvent, JsonObject, Part, TokenLogprob, Usage } from "./core.ts";
import type { RenderContext, StreamRenderer } from "./dialect.ts";
import { thinkingKey } from "./openai-chat-render.ts";
import { notesFor, renderFinish, renderLogprob, usesFunctions } from "./openai-chat-response.ts";
import { urlOfSource } from "./openai-media.ts";
import { renderChatUsage } from "./openai-usage.ts";
import { describeDropped, fieldsFor, spellingFor } from "./shape.ts";

const NAME = "openai-chat";

interface PartState {
  /** Where more of it goes: a member of the delta, or a tool call's number; undefined for what is not shown. */
  readonly target: string | number | undefined;
  readonly custom: boolean;
}

/** Writes the chunks of a streamed chat completion. Usage is shown last, to a client that asked for it, as OpenAI does. */
export class ChatStreamRenderer implements StreamRenderer {
  readonly dropped: string[] = [];
  readonly #context: RenderContext;
  readonly #legacy: boolean;
  readonly #parts = new Map<string, PartState>();
  /** Tool calls so far, by choice. */
  readonly #calls = new Map<number, number>();
  #head: JsonObject;
  #usage: Usage | undefined;

  constructor(context: RenderContext) {
    this.#context = context;
    this.#legacy = usesFunctions(context.request);
    this.#head = this.#headOf("", context.request.model, 0);
  }

  push(event: ChatEvent): string {
    switch (event.type) {
      case "start":
        describeDropped(NAME, event.extra, "", this.dropped);
        this.#head = {
          ...notesFor(event.extra),
          ...fieldsFor(NAME, event.extra),
          ...this.#headOf(event.id, event.model, event.createdS),
        };
        return "";
      case "part-start":
        return this.#role(event.choice) + this.#partStart(event.choice, event.index, event.part);
      case "part-delta": {
        if (event.signature !== undefined) this.#drop(`choices[${event.choice}].content[${event.index}].signature`);
        const state = this.#parts.get(`${event.choice}/${event.index}`);
        if (state?.target === undefined || (event.text === "" && event.logprobs === undefined)) return "";
        return this.#delta(event.choice, this.#more(state, event.text), event.logprobs);
      }
      case "part-end":
        return "";
      case "finish":
        return (
          this.#role(event.choice) + this.#delta(event.choice, {}, undefined, renderFinish(event.reason, this.#legacy))
        );
      case "usage":
        this.#usage = event.usage;
        return "";
    }
  }

  end(): { preface: string; terminal: string } {
    const show = this.#context.request.streamUsage !== false && this.#usage !== undefined;
    const usage =
      show && this.#usage !== undefined
        ? { ...this.#head, choices: [], usage: renderChatUsage(this.#usage) }
        : undefined;
    return { preface: usage === undefined ? "" : chunk(usage), terminal: "data: [DONE]\n\n" };
  }

  #headOf(id: string, model: string, createdS: number): JsonObject {
    return {
      id: id === "" ? `chatcmpl-${this.#context.requestId}` : id,
      object: "chat.completion.chunk",
      created: createdS === 0 ? this.#context.nowS : createdS,
      model,
    };
  }

  /** The first chunk of a choice says who speaks. */
  #role(choice: number): string {
    if (this.#calls.has(choice)) return "";
    this.#calls.set(choice, 0);
    return this.#delta(choice, { role: "assistant", content: "" });
  }

  #partStart(choice: number, index: number, part: Part): string {
    const place = `choices[${choice}].content[${index}]`;
    if ("extra" in part) describeDropped(NAME, part.extra, place, this.dropped);
    switch (part.type) {
      case "text":
        return this.#open(choice, index, "content", part.text);
      case "refusal":
        return this.#open(choice, index, "refusal", part.text);
      case "thinking":
        if (part.redacted !== undefined) this.#drop(`${place}.redacted`);
        if (part.signature !== undefined) this.#drop(`${place}.signature`);
        return this.#open(choice, index, thinkingKey(part), part.text);
      case "tool-call": {
        const number = this.#calls.get(choice) ?? 0;
        this.#calls.set(choice, number + 1);
        const custom = spellingFor(NAME, part.extra)?.custom === true;
        this.#parts.set(`${choice}/${index}`, { target: this.#legacy ? "function_call" : number, custom });
        if (this.#legacy) return this.#delta(choice, { function_call: { name: part.name, arguments: part.arguments } });
        const called: JsonObject = custom
          ? { type: "custom", custom: { name: part.name, input: part.arguments } }
          : { type: "function", function: { name: part.name, arguments: part.arguments } };
        return this.#delta(choice, { tool_calls: [{ index: number, id: part.id, ...called }] });
      }
      case "media": {
        const url = part.kind === "image" ? urlOfSource(part, "image/png") : undefined;
        if (url !== undefined) return this.#delta(choice, { images: [{ type: "image_url", image_url: { url } }] });
        this.#drop(`${place}.${part.kind}`);
        return "";
      }
      case "unknown":
        this.#drop(`${place}.${typeof part.value.type === "string" ? part.value.type : "unknown"}`);
        return "";
      case "tool-result":
        this.#drop(`${place}.tool-result`);
        return "";
    }
  }

  #open(choice: number, index: number, target: string, text: string): string {
    this.#parts.set(`${choice}/${index}`, { target, custom: false });
    return text === "" ? "" : this.#delta(choice, { [target]: text });
  }

  #more(state: PartState, text: string): JsonObject {
    const { target, custom } = state;
    if (typeof target === "number")
      return {
        tool_calls: [{ index: target, ...(custom ? { custom: { input: text } } : { function: { arguments: text } }) }],
      };
    return target === "function_call" ? { function_call: { arguments: text } } : { [target ?? "content"]: text };
  }

  #delta(choice: number, delta: JsonObject, logprobs?: readonly TokenLogprob[], finish: string | null = null): string {
    const said = logprobs === undefined ? null : { content: logprobs.map(renderLogprob), refusal: null };
    return chunk({ ...this.#head, choices: [{ index: choice, delta, logprobs: said, finish_reason: finish }] });
  }

  #drop(name: string): void {
    if (!this.dropped.includes(name)) this.dropped.push(name);
  }
}

const chunk = (body: JsonObject): string => `data: ${JSON.stringify(body)}\n\n`;
