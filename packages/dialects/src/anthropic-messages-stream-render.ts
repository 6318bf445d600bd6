import { NAME } from "./anthropic-messages-blocks.ts";
import { droppedUsage, messageId, renderAnswerBlock, stopOf } from "./anthropic-messages-response.ts";
import { renderMessagesUsage } from "./anthropic-messages-usage.ts";
import type { ChatEvent, Extra, JsonObject, Part, Usage } from "./core.ts";
import type { RenderContext, StreamRenderer } from "./dialect.ts";
import { describeDropped, fieldsFor, isObject } from "./shape.ts";

type StartEvent = Extract<ChatEvent, { type: "start" }>;
type FinishEvent = Extract<ChatEvent, { type: "finish" }>;
type PartEvent = Extract<ChatEvent, { type: "part-start" | "part-delta" | "part-end" }>;
type DeltaEvent = Extract<ChatEvent, { type: "part-delta" }>;

/**
 * Writes a streamed message. Anthropic has one block open at a time: text gives way to what starts after it and goes on in a new block,
 * a tool call is finished first, and what comes meanwhile waits. A block of text or thinking starts with its first character, so that
 * none is empty (Anthropic refuses empty ones when the client sends them back).
 */
export class MessagesStreamRenderer implements StreamRenderer {
  readonly dropped: string[] = [];
  readonly #context: RenderContext;
  readonly #parts = new Map<number, Part>();
  #waiting: PartEvent[] = [];
  /** The part whose block is open. */
  #open: number | undefined;
  #block = -1;
  #started: StartEvent | undefined;
  #opened = false;
  #finish: FinishEvent | undefined;
  #usage: Usage | undefined;
  #refused = false;

  constructor(context: RenderContext) {
    this.#context = context;
  }

  push(event: ChatEvent): string {
    switch (event.type) {
      case "start":
        // Shown with the first block: by then the input's tokens are often known.
        this.#started = event;
        return "";
      case "usage":
        this.#usage = event.usage;
        return "";
      case "finish":
        if (event.choice === 0) this.#finish = event;
        return "";
      case "part-start":
      case "part-delta":
      case "part-end":
        if (event.choice === 0) return this.#messageStart() + this.#part(event);
        this.#drop(`choices[${event.choice}]`);
        return "";
    }
  }

  end(): { preface: string; terminal: string } {
    let preface = this.#messageStart() + this.#close();
    while (this.#waiting.length > 0) preface += this.#resume() + this.#close();
    const finish = this.#finish;
    const { usage: moreUsage, ...fields } = fieldsFor(NAME, finish?.extra) ?? {};
    describeDropped(NAME, finish?.extra, "choices[0]", this.dropped);
    if (finish?.reason === "error") this.#drop("finish_reason");
    for (const name of droppedUsage(this.#usage)) this.#drop(name);
    const stop = stopOf(
      { finishReason: finish?.reason ?? "stop", stopSequence: finish?.stopSequence, extra: finish?.extra },
      this.#refused,
    );
    preface += sse("message_delta", {
      delta: { ...fields, ...stop },
      usage: { ...(isObject(moreUsage) ? moreUsage : {}), ...renderMessagesUsage(this.#usage) },
    });
    return { preface, terminal: sse("message_stop", {}) };
  }

  #messageStart(): string {
    if (this.#opened) return "";
    this.#opened = true;
    const start = this.#started;
    describeDropped(NAME, start?.extra, "", this.dropped);
    const message: JsonObject = {
      ...fieldsFor(NAME, start?.extra),
      id: messageId(start?.id ?? "", this.#context),
      type: "message",
      role: "assistant",
      model: start?.model ?? this.#context.request.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: renderMessagesUsage(this.#usage),
    };
    return sse("message_start", { message });
  }

  #part(event: PartEvent): string {
    const open = this.#open === undefined ? undefined : this.#parts.get(this.#open);
    if (open?.type === "tool-call" && this.#open !== event.index) {
      this.#waiting.push(event);
      return "";
    }
    if (event.type === "part-start") return this.#partStart(event.index, event.part);
    if (event.type === "part-delta") return this.#delta(event);
    if (this.#open !== event.index) return "";
    return this.#close() + this.#resume();
  }

  #resume(): string {
    const waiting = this.#waiting;
    this.#waiting = [];
    let text = "";
    for (const event of waiting) text += this.#part(event);
    return text;
  }

  #partStart(index: number, part: Part): string {
    this.#parts.set(index, part);
    const path = `content[${index}]`;
    switch (part.type) {
      case "text":
      case "refusal":
      case "thinking": {
        if (part.type === "refusal") this.#refused = true;
        else describeDropped(NAME, part.extra, path, this.dropped);
        if (part.type === "thinking" && part.redacted !== undefined) return this.#whole(index, part);
        const signature = part.type === "thinking" ? part.signature : undefined;
        if (part.text === "" && signature === undefined) return "";
        return this.#delta({ type: "part-delta", choice: 0, index, text: part.text, signature });
      }
      case "tool-call": {
        const block = renderAnswerBlock({ ...part, arguments: "" }, path, this.dropped);
        const started = this.#close() + this.#openBlock(index, block ?? {});
        if (part.arguments === "") return started;
        return started + this.#write({ type: "input_json_delta", partial_json: part.arguments });
      }
      case "media":
      case "tool-result":
      case "unknown":
        return this.#whole(index, part);
    }
  }

  /** A part that is said at once, or one that Anthropic has no word for. */
  #whole(index: number, part: Part): string {
    const block = renderAnswerBlock(part, `content[${index}]`, this.dropped);
    if (block === undefined) return "";
    return this.#close() + this.#openBlock(index, block) + this.#close();
  }

  #delta(event: DeltaEvent): string {
    const { index } = event;
    const part = this.#parts.get(index);
    if (part === undefined) return "";
    if (event.logprobs !== undefined) this.#drop("logprobs");
    this.#describe(event.extra, `content[${index}]`);
    if (part.type === "tool-call")
      return event.text === "" ? "" : this.#write({ type: "input_json_delta", partial_json: event.text });
    if (part.type === "thinking") return this.#thinking(event, part.extra?.dialect === NAME);
    if (part.type !== "text" && part.type !== "refusal") return "";
    const citations = fieldsFor(NAME, event.extra)?.citations;
    const cited = Array.isArray(citations) ? citations : [];
    if (event.text === "" && cited.length === 0) return "";
    const fields = part.type === "text" ? fieldsFor(NAME, part.extra) : undefined;
    let text = this.#reopen(index, { ...fields, type: "text", text: "" });
    if (event.text !== "") text += this.#write({ type: "text_delta", text: event.text });
    for (const citation of cited) text += this.#write({ type: "citations_delta", citation });
    return text;
  }

  #thinking(event: DeltaEvent, own: boolean): string {
    const sealed = own && event.signature !== undefined && event.signature !== "";
    if (!own && event.signature !== undefined) this.#drop(`content[${event.index}].signature`);
    if (event.text === "" && !sealed) return "";
    let text = this.#reopen(event.index, { type: "thinking", thinking: "", signature: "" });
    if (event.text !== "") text += this.#write({ type: "thinking_delta", thinking: event.text });
    if (sealed) text += this.#write({ type: "signature_delta", signature: event.signature ?? "" });
    return text;
  }

  #reopen(index: number, block: JsonObject): string {
    return this.#open === index ? "" : this.#close() + this.#openBlock(index, block);
  }

  #openBlock(index: number, block: JsonObject): string {
    this.#open = index;
    this.#block += 1;
    return sse("content_block_start", { index: this.#block, content_block: block });
  }

  #write(delta: JsonObject): string {
    return sse("content_block_delta", { index: this.#block, delta });
  }

  #close(): string {
    if (this.#open === undefined) return "";
    this.#open = undefined;
    return sse("content_block_stop", { index: this.#block });
  }

  /** Once each: a stream may say the same of every delta. */
  #describe(extra: Extra | undefined, path: string): void {
    const names: string[] = [];
    describeDropped(NAME, extra, path, names);
    for (const name of names) this.#drop(name);
  }

  #drop(name: string): void {
    if (!this.dropped.includes(name)) this.dropped.push(name);
  }
}

const sse = (type: string, body: JsonObject): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...body })}\n\n`;
