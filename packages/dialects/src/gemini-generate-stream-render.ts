import { renderFinish } from "./gemini-generate-finish.ts";
import { NAME, renderPart } from "./gemini-generate-parts.ts";
import { renderLogprobs } from "./gemini-generate-response.ts";
import { droppedUsage, renderGenerateUsage } from "./gemini-generate-usage.ts";
import type { ChatEvent, Extra, JsonObject, Part, TokenLogprob, Usage } from "./core.ts";
import type { RenderContext, StreamRenderer } from "./dialect.ts";
import { describeDropped, fieldsFor, isObject, spellingFor } from "./shape.ts";

type DeltaEvent = Extract<ChatEvent, { type: "part-delta" }>;
type FinishEvent = Extract<ChatEvent, { type: "finish" }>;

/** Writes the chunks of a streamed answer. A function call is shown whole; the last chunk has the finish reasons and the usage. */
export class GenerateStreamRenderer implements StreamRenderer {
  readonly dropped: string[] = [];
  readonly #context: RenderContext;
  readonly #parts = new Map<string, { readonly choice: number; readonly part: Part; arguments: string }>();
  readonly #finishes: FinishEvent[] = [];
  #head: JsonObject;
  #usage: Usage | undefined;

  constructor(context: RenderContext) {
    this.#context = context;
    this.#head = { modelVersion: context.request.model, responseId: context.requestId };
  }

  push(event: ChatEvent): string {
    switch (event.type) {
      case "start":
        describeDropped(NAME, event.extra, "", this.dropped);
        this.#head = {
          ...fieldsFor(NAME, event.extra),
          modelVersion: event.model,
          responseId: event.id === "" ? this.#context.requestId : event.id,
        };
        return "";
      case "part-start":
        return this.#partStart(event.choice, event.index, event.part);
      case "part-delta":
        return this.#delta(event);
      case "part-end":
        return this.#endCall(`${event.choice}/${event.index}`);
      case "finish":
        this.#finishes.push(event);
        return "";
      case "usage":
        this.#usage = event.usage;
        return "";
    }
  }

  end(): { preface: string; terminal: string } {
    let preface = "";
    for (const key of Array.from(this.#parts.keys())) preface += this.#endCall(key);
    const finishes: readonly FinishEvent[] =
      this.#finishes.length > 0 ? this.#finishes : [{ type: "finish", choice: 0, reason: "stop" }];
    let more: JsonObject | undefined;
    const candidates: JsonObject[] = [];
    for (const finish of finishes) {
      describeDropped(NAME, finish.extra, `candidates[${finish.choice}]`, this.dropped);
      if (finish.stopSequence !== undefined) this.#drop(`candidates[${finish.choice}].stop_sequence`);
      const { usageMetadata, ...fields } = fieldsFor(NAME, finish.extra) ?? {};
      if (isObject(usageMetadata)) more = usageMetadata;
      // Where the prompt was refused there is no candidate.
      if (spellingFor(NAME, finish.extra)?.none === true) continue;
      candidates.push({
        ...fields,
        content: { parts: [{ text: "" }], role: "model" },
        finishReason: renderFinish({ finishReason: finish.reason, extra: finish.extra }),
        index: finish.choice,
      });
    }
    for (const name of droppedUsage(this.#usage)) this.#drop(name);
    const usage = renderGenerateUsage(this.#usage, more);
    const chunk: JsonObject = candidates.length === 0 ? {} : { candidates };
    if (usage !== undefined) chunk.usageMetadata = usage;
    return { preface, terminal: sse({ ...chunk, ...this.#head }) };
  }

  #partStart(choice: number, index: number, part: Part): string {
    const place = `candidates[${choice}].parts[${index}]`;
    this.#parts.set(`${choice}/${index}`, { choice, part, arguments: "" });
    switch (part.type) {
      case "text":
      case "refusal":
        if (part.type === "text") describeDropped(NAME, part.extra, place, this.dropped);
        if (part.text === "" && (part.type === "refusal" || fieldsFor(NAME, part.extra) === undefined)) return "";
        return this.#show(choice, renderPart(part, place, []));
      case "tool-call":
        return "";
      case "thinking":
      case "media":
      case "tool-result":
      case "unknown":
        return this.#show(choice, this.#render(part, place));
    }
  }

  #delta(event: DeltaEvent): string {
    const { choice, index, text, signature, logprobs } = event;
    const state = this.#parts.get(`${choice}/${index}`);
    if (state === undefined) return "";
    const place = `candidates[${choice}].parts[${index}]`;
    this.#describe(event.extra, place);
    const { part } = state;
    switch (part.type) {
      case "tool-call":
        state.arguments += text;
        return "";
      case "thinking":
        return this.#show(choice, this.#render({ ...part, text, signature, redacted: undefined }, place), logprobs);
      case "text":
      case "refusal": {
        const fields = fieldsFor(NAME, event.extra);
        if (text === "" && fields === undefined && logprobs === undefined) return "";
        return this.#show(choice, { ...fields, text }, logprobs);
      }
      case "media":
      case "tool-result":
      case "unknown":
        return "";
    }
  }

  #endCall(key: string): string {
    const state = this.#parts.get(key);
    this.#parts.delete(key);
    if (state?.part.type !== "tool-call") return "";
    const call = { ...state.part, arguments: state.part.arguments + state.arguments };
    return this.#show(state.choice, this.#render(call, `candidates[${state.choice}].parts`));
  }

  #show(choice: number, part: JsonObject | undefined, logprobs?: readonly TokenLogprob[]): string {
    if (part === undefined) return "";
    const candidate: JsonObject = { content: { parts: [part], role: "model" }, index: choice };
    if (logprobs !== undefined) candidate.logprobsResult = renderLogprobs(logprobs);
    return sse({ candidates: [candidate], ...this.#head });
  }

  #render(part: Part, place: string): JsonObject | undefined {
    const names: string[] = [];
    const json = renderPart(part, place, names);
    for (const name of names) this.#drop(name);
    return json;
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

const sse = (body: JsonObject): string => `data: ${JSON.stringify(body)}\n\n`;
