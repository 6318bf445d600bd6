import { WeirError } from "@weir/kernel";
import type { ChatEvent, Json, JsonObject, Part } from "./core.ts";
import type { StreamParser } from "./dialect.ts";
import { parseContent } from "./openai-chat-parts.ts";
import { argumentsOf } from "./openai-chat-request.ts";
import { answerExtra, errorOf, parseFinish, parseImages, parseLogprobs, usageOf } from "./openai-chat-response.ts";
import { parseOpenAiStreamError } from "./openai-errors.ts";
import { parseOpenAiUsage, tiered } from "./openai-usage.ts";
import { executedCalls, groqCalls, withCalls } from "./tool-calls.ts";
import { extraOf, isObject, output } from "./shape.ts";
import type { SseEvent } from "./sse.ts";
import { toolCallId } from "./tool-call-id.ts";

const NAME = "openai-chat";

interface OpenPart {
  readonly index: number;
  readonly type: "text" | "thinking" | "refusal";
}

interface OpenCall {
  readonly part: number;
  /** The id as the provider wrote it; "" where it has none. */
  readonly id: string;
}

interface ChoiceState {
  next: number;
  open: OpenPart | undefined;
  /** Calls stay open until the choice finishes: their deltas may alternate. */
  readonly calls: OpenCall[];
  /** By the provider's `index`; a call that has none is only in `calls`. */
  readonly byIndex: Map<number, OpenCall>;
  finished: boolean;
}

/** Reads the chunks of a streamed chat completion, also as compatible servers send them. */
export class ChatStreamParser implements StreamParser {
  readonly #choices = new Map<number, ChoiceState>();
  #id = "";
  readonly #executed = new Map<string, JsonObject>();
  #started = false;
  #done = false;

  get done(): boolean {
    return this.#done;
  }

  push(event: SseEvent): ChatEvent[] {
    if (this.#done) return [];
    const events: ChatEvent[] = [];
    // A missing blank line makes one event of the last chunk and [DONE].
    for (const data of event.data.endsWith("\n[DONE]") ? [event.data.slice(0, -7), "[DONE]"] : [event.data]) {
      const text = data.trim();
      if (text === "") continue;
      if (text === "[DONE]") this.#finish(events);
      else this.#chunk(parseChunk(text), event.event === "error", events);
    }
    return events;
  }

  end(): ChatEvent[] {
    if (!this.#done) throw new WeirError("stream_interrupted", "the provider's stream ended too early");
    return [];
  }

  #chunk(chunk: JsonObject, isError: boolean, events: ChatEvent[]): void {
    const error = errorOf(chunk) ?? (isError || chunk.object === "error" ? chunk : undefined);
    if (error !== undefined) throw parseOpenAiStreamError(error).error;
    const choices = output.optionalList(chunk.choices, "choices") ?? [];
    if (choices.length > 0) this.#start(chunk, events);
    for (const [at, value] of choices.entries()) {
      const choice = output.object(value, `choices[${at}]`);
      this.#choice(choice, typeof choice.index === "number" ? choice.index : at, events);
    }
    executedCalls(choices.filter(isObject), this.#executed);
    const usage = tiered(withCalls(parseOpenAiUsage(usageOf(chunk)), groqCalls(this.#executed)), chunk);
    if (usage !== undefined) {
      this.#start(chunk, events);
      events.push({ type: "usage", usage });
    }
  }

  #start(chunk: JsonObject, events: ChatEvent[]): void {
    if (this.#started) return;
    this.#started = true;
    this.#id = typeof chunk.id === "string" ? chunk.id : "";
    events.push({
      type: "start",
      id: this.#id,
      model: typeof chunk.model === "string" ? chunk.model : "",
      createdS: typeof chunk.created === "number" ? Math.floor(chunk.created) : 0,
      extra: answerExtra(chunk),
    });
  }

  #choice(choice: JsonObject, number: number, events: ChatEvent[]): void {
    let state = this.#choices.get(number);
    if (state === undefined) {
      state = { next: 0, open: undefined, calls: [], byIndex: new Map(), finished: false };
      this.#choices.set(number, state);
    }
    if (state.finished) return;
    // Some servers that have nothing to stream send one whole `message` in place of deltas.
    const said = choice.delta ?? (state.next === 0 ? choice.message : undefined);
    const delta = output.optionalObject(said, `choices[${number}].delta`) ?? {};
    this.#delta(delta, choice, number, state, events);
    if (choice.finish_reason === undefined || choice.finish_reason === null || choice.finish_reason === "") return;
    finishChoice(number, state, choice.finish_reason, events);
  }

  #delta(delta: JsonObject, choice: JsonObject, number: number, state: ChoiceState, events: ChatEvent[]): void {
    const path = `choices[${number}].delta`;
    const thinking = firstText(delta.reasoning_content, delta.reasoning);
    if (thinking !== "") {
      const key =
        typeof delta.reasoning_content === "string" && delta.reasoning_content !== ""
          ? "reasoning_content"
          : "reasoning";
      const part: Part = { type: "thinking", text: "", extra: extraOf(NAME, undefined, { key }) };
      events.push({ type: "part-delta", choice: number, index: openPart(number, state, part, events), text: thinking });
    }
    const content = typeof delta.content === "string" ? delta.content : undefined;
    const parts = content === undefined ? parseContent(output, delta.content, `${path}.content`) : [];
    const logprobs = parseLogprobs(choice.logprobs);
    if (content !== undefined && (content !== "" || (logprobs !== undefined && logprobs.length > 0))) {
      const index = openPart(number, state, { type: "text", text: "" }, events);
      const said: ChatEvent = { type: "part-delta", choice: number, index, text: content };
      events.push(logprobs === undefined ? said : { ...said, logprobs });
    }
    for (const part of [...parts, ...parseImages(delta.images, path)]) this.#part(part, number, state, events);
    if (typeof delta.refusal === "string" && delta.refusal !== "") {
      const index = openPart(number, state, { type: "refusal", text: "" }, events);
      events.push({ type: "part-delta", choice: number, index, text: delta.refusal });
    }
    const calls = output.optionalList(delta.tool_calls, `${path}.tool_calls`) ?? [];
    for (const [at, call] of calls.entries())
      this.#call(output.object(call, `${path}.tool_calls[${at}]`), number, state, events);
    const legacy = output.optionalObject(delta.function_call, `${path}.function_call`);
    if (legacy !== undefined) this.#call({ index: 0, function: legacy }, number, state, events);
  }

  /** A part that came whole: of Mistral's lists, or an image. */
  #part(part: Part, number: number, state: ChoiceState, events: ChatEvent[]): void {
    if (part.type === "text" || part.type === "thinking" || part.type === "refusal") {
      if (part.text === "") return;
      const index = openPart(number, state, { ...part, text: "" }, events);
      events.push({ type: "part-delta", choice: number, index, text: part.text });
      return;
    }
    closeOpen(number, state, events);
    const index = state.next++;
    events.push({ type: "part-start", choice: number, index, part }, { type: "part-end", choice: number, index });
  }

  #call(call: JsonObject, number: number, state: ChoiceState, events: ChatEvent[]): void {
    const path = `choices[${number}].delta.tool_calls`;
    const custom = isObject(call.custom) ? call.custom : undefined;
    const called = custom ?? output.optionalObject(call.function, `${path}.function`) ?? {};
    const id = typeof call.id === "string" ? call.id : "";
    const name = typeof called.name === "string" ? called.name : "";
    let open = this.#find(call, id, name, state);
    if (open === undefined) {
      if (name === "" && id === "") throw output.fail(path, "a call's id and name before its arguments");
      closeOpen(number, state, events);
      const index = state.next++;
      open = { part: index, id };
      if (typeof call.index === "number") state.byIndex.set(call.index, open);
      const extra = custom === undefined ? undefined : extraOf(NAME, undefined, { custom: true });
      const made = id === "" ? toolCallId(this.#id, number, state.calls.length) : id;
      state.calls.push(open);
      events.push({
        type: "part-start",
        choice: number,
        index,
        part: { type: "tool-call", id: made, name, arguments: "", extra },
      });
    }
    const text = argumentsOf(output, called.arguments ?? called.input, `${path}.function.arguments`);
    if (text !== "") events.push({ type: "part-delta", choice: number, index: open.part, text });
  }

  /** The call that a delta adds to: by index, unless it names another call; without one by id, else the last. */
  #find(call: JsonObject, id: string, name: string, state: ChoiceState): OpenCall | undefined {
    const byIndex = typeof call.index === "number" ? state.byIndex.get(call.index) : undefined;
    if (byIndex !== undefined) {
      // Servers that number every call 0 tell them apart by id.
      if (id === "" || id === byIndex.id || byIndex.id === "" || name === "") return byIndex;
      return state.calls.find((known) => known.id === id);
    }
    if (typeof call.index === "number") return undefined;
    if (id !== "") return state.calls.find((known) => known.id === id);
    return name === "" ? state.calls.at(-1) : undefined;
  }

  #finish(events: ChatEvent[]): void {
    this.#done = true;
    for (const [number, state] of this.#choices) if (!state.finished) finishChoice(number, state, undefined, events);
  }
}

function parseChunk(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WeirError("provider_bad_response", "an event of the provider's stream is not JSON", { cause });
  }
  if (isObject(value)) return value;
  throw output.fail("data", "an object");
}

function firstText(...values: (Json | undefined)[]): string {
  for (const value of values) if (typeof value === "string" && value !== "") return value;
  return "";
}

/** The open part of this type, or a new one in place of what is open. */
function openPart(
  choice: number,
  state: ChoiceState,
  part: Part & { type: OpenPart["type"] },
  events: ChatEvent[],
): number {
  if (state.open?.type === part.type) return state.open.index;
  closeOpen(choice, state, events);
  const index = state.next++;
  state.open = { index, type: part.type };
  events.push({ type: "part-start", choice, index, part });
  return index;
}

function closeOpen(choice: number, state: ChoiceState, events: ChatEvent[]): void {
  if (state.open === undefined) return;
  events.push({ type: "part-end", choice, index: state.open.index });
  state.open = undefined;
}

function finishChoice(choice: number, state: ChoiceState, reason: Json | undefined, events: ChatEvent[]): void {
  closeOpen(choice, state, events);
  for (const call of state.calls) events.push({ type: "part-end", choice, index: call.part });
  state.finished = true;
  events.push({ type: "finish", choice, reason: parseFinish(reason, state.calls.length > 0) });
}
