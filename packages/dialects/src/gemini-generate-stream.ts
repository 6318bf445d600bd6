import { WeirError } from "@weir/kernel";
import { AnswerCallIds } from "./gemini-generate-call-ids.ts";
import { errorOf, parseGenerateStreamError } from "./gemini-generate-errors.ts";
import { blockReasonOf, hasFinished, parseFinish } from "./gemini-generate-finish.ts";
import { PartialArguments } from "./gemini-generate-partial-args.ts";
import { camel, keepFields, listOf, NAME, parsePart } from "./gemini-generate-parts.ts";
import { CANDIDATE_KNOWN, createdOf, parseLogprobs, RESPONSE_KNOWN } from "./gemini-generate-response.ts";
import { moreUsage, parseGenerateUsage } from "./gemini-generate-usage.ts";
import type { ChatEvent, Json, JsonObject, Part, TokenLogprob } from "./core.ts";
import type { StreamParser } from "./dialect.ts";
import { extraOf, isObject, output } from "./shape.ts";
import type { SseEvent } from "./sse.ts";
import { Grounding, withCalls } from "./tool-calls.ts";

interface Candidate {
  next: number;
  open: { readonly index: number; readonly type: "text" | "thinking" } | undefined;
  readonly ids: AnswerCallIds;
  calls: boolean;
  /** A call whose arguments come in pieces. */
  partial: { readonly index: number; readonly pieces: PartialArguments } | undefined;
  /** What later chunks add to the candidate: grounding, citations, … */
  fields: JsonObject;
  finishReason: Json | undefined;
}

/**
 * Reads a streamed answer (alt=sse): chunks shaped as whole answers, parts of one kind going on from chunk to chunk. There is no terminal
 * event: the stream is whole if it ends when its candidates have a finishReason. Some servers say one in every chunk, so the finish is
 * given out at the end only; an answer without content starts with an empty part, for it to be known as an answer.
 */
export class GenerateStreamParser implements StreamParser {
  readonly #candidates = new Map<number, Candidate>();
  #id = "";
  #started = false;
  #blocked = false;
  #usage = "";
  #moreUsage: JsonObject | undefined;
  readonly #grounding = new Grounding();
  #done = false;

  get done(): boolean {
    return this.#done;
  }

  push(event: SseEvent): ChatEvent[] {
    if (event.data.trim() === "") return [];
    const body = parseChunk(event.data);
    const events: ChatEvent[] = [];
    this.#start(body, events);
    const candidates = output.optionalList(body.candidates, "candidates") ?? [];
    this.#moreUsage = moreUsage(body.usageMetadata) ?? this.#moreUsage;
    for (const [at, value] of candidates.entries()) {
      const candidate = output.object(value, `candidates[${at}]`);
      this.#candidate(candidate, typeof candidate.index === "number" ? candidate.index : at, events);
    }
    if (candidates.length === 0 && blockReasonOf(body) !== undefined && this.#candidates.size === 0) {
      if (!this.#blocked) emptyPart(0, 0, events);
      this.#blocked = true;
    }
    this.#grounding.add(body);
    this.#addUsage(body.usageMetadata, events);
    return events;
  }

  end(): ChatEvent[] {
    const events: ChatEvent[] = [];
    for (const [number, state] of this.#candidates) this.#finish(number, state, events);
    if (this.#candidates.size === 0) {
      if (!this.#blocked) throw interrupted();
      const extra = extraOf(NAME, undefined, { none: true });
      events.push({ type: "finish", choice: 0, reason: "content-filter", extra });
    }
    this.#done = true;
    return events;
  }

  #finish(choice: number, state: Candidate, events: ChatEvent[]): void {
    if (state.finishReason === undefined) throw interrupted();
    this.#endPartial(choice, state, events);
    close(choice, state, events);
    const { reason, spelling } = parseFinish(state.finishReason, state.calls);
    const usage = this.#moreUsage;
    const fields = usage === undefined ? state.fields : { ...state.fields, usageMetadata: usage };
    const extra = extraOf(NAME, Object.keys(fields).length === 0 ? undefined : fields, spelling);
    events.push({ type: "finish", choice, reason, extra });
  }

  #start(body: JsonObject, events: ChatEvent[]): void {
    if (this.#started) return;
    this.#started = true;
    this.#id = typeof body.responseId === "string" ? body.responseId : "";
    events.push({
      type: "start",
      id: this.#id,
      model: typeof body.modelVersion === "string" ? body.modelVersion : "",
      createdS: createdOf(body),
      extra: extraOf(NAME, keepFields(body, RESPONSE_KNOWN)),
    });
  }

  #addUsage(value: Json | undefined, events: ChatEvent[]): void {
    const usage = withCalls(parseGenerateUsage(value), this.#grounding.calls);
    if (usage === undefined) return;
    // Every chunk repeats it.
    const text = JSON.stringify(usage);
    if (text !== this.#usage) events.push({ type: "usage", usage });
    this.#usage = text;
  }

  #candidate(candidate: JsonObject, number: number, events: ChatEvent[]): void {
    let state = this.#candidates.get(number);
    if (state === undefined) {
      const ids = new AnswerCallIds(this.#id, number);
      state = { next: 0, open: undefined, ids, calls: false, partial: undefined, fields: {}, finishReason: undefined };
      this.#candidates.set(number, state);
    }
    const path = `candidates[${number}]`;
    const content = camel(output.optionalObject(candidate.content, `${path}.content`) ?? {});
    let logprobs = parseLogprobs(candidate.logprobsResult);
    for (const [at, part] of listOf(content.parts).entries()) {
      this.#part(output.object(part, `${path}.content.parts[${at}]`), number, state, logprobs, events);
      logprobs = undefined;
    }
    Object.assign(state.fields, keepFields(candidate, CANDIDATE_KNOWN));
    if (!hasFinished(candidate)) return;
    state.finishReason = candidate.finishReason;
    if (state.next === 0) emptyPart(number, state.next++, events);
  }

  #part(
    value: JsonObject,
    choice: number,
    state: Candidate,
    logprobs: TokenLogprob[] | undefined,
    events: ChatEvent[],
  ): void {
    const call = camel(value).functionCall;
    if (isObject(call) && this.#partial(camel(call), value, choice, state, events)) return;
    const part = parsePart(output, value, `candidates[${choice}].content.parts`, state.ids);
    if (part.type === "text" || part.type === "thinking") {
      const said = {
        type: "part-delta",
        choice,
        index: openPart(choice, state, part, events),
        text: part.text,
      } as const;
      if (part.type === "thinking") events.push({ ...said, signature: part.signature, logprobs });
      else if (part.text !== "" || part.extra !== undefined || logprobs !== undefined)
        events.push({ ...said, extra: part.extra, logprobs });
      return;
    }
    close(choice, state, events);
    const index = state.next++;
    if (part.type === "tool-call") {
      state.calls = true;
      events.push({ type: "part-start", choice, index, part: { ...part, arguments: "" } });
      events.push({ type: "part-delta", choice, index, text: part.arguments });
    } else events.push({ type: "part-start", choice, index, part });
    events.push({ type: "part-end", choice, index });
  }

  /** @returns whether it was a piece of a call */
  #partial(call: JsonObject, part: JsonObject, choice: number, state: Candidate, events: ChatEvent[]): boolean {
    const pieces = listOf(call.partialArgs);
    const continues = call.willContinue === true;
    if (pieces.length === 0 && !continues && state.partial === undefined) return false;
    // A call with a name of its own while one is open is another one.
    const named = typeof call.name === "string" && call.name !== "";
    if (named && state.partial !== undefined) this.#endPartial(choice, state, events);
    if (state.partial === undefined) {
      if (pieces.length === 0 && !continues) return false;
      close(choice, state, events);
      const whole = { ...part, functionCall: call };
      const started = parsePart(output, whole, `candidates[${choice}].content.parts`, state.ids);
      state.calls = true;
      state.partial = { index: state.next++, pieces: new PartialArguments() };
      const start: Part = started.type === "tool-call" ? { ...started, arguments: "" } : started;
      events.push({ type: "part-start", choice, index: state.partial.index, part: start });
    }
    for (const piece of pieces) state.partial.pieces.add(piece);
    if (!continues) this.#endPartial(choice, state, events);
    return true;
  }

  #endPartial(choice: number, state: Candidate, events: ChatEvent[]): void {
    if (state.partial === undefined) return;
    const { index, pieces } = state.partial;
    state.partial = undefined;
    events.push({ type: "part-delta", choice, index, text: pieces.toString() });
    events.push({ type: "part-end", choice, index });
  }
}

/** The part that goes on, or a new one in place of it. */
function openPart(
  choice: number,
  state: Candidate,
  part: Part & { type: "text" | "thinking" },
  events: ChatEvent[],
): number {
  if (state.open?.type === part.type) return state.open.index;
  close(choice, state, events);
  const index = state.next++;
  state.open = { index, type: part.type };
  const start: Part =
    part.type === "text" ? { type: "text", text: "" } : { type: "thinking", text: "", extra: part.extra };
  events.push({ type: "part-start", choice, index, part: start });
  return index;
}

const interrupted = (): WeirError => new WeirError("stream_interrupted", "the provider's stream ended too early");

function emptyPart(choice: number, index: number, events: ChatEvent[]): void {
  events.push({ type: "part-start", choice, index, part: { type: "text", text: "" } });
  events.push({ type: "part-end", choice, index });
}

function close(choice: number, state: Candidate, events: ChatEvent[]): void {
  if (state.open === undefined) return;
  events.push({ type: "part-end", choice, index: state.open.index });
  state.open = undefined;
}

/** @throws WeirError the error that the chunk holds; provider_bad_response for what is no chunk */
function parseChunk(data: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(data) as Json;
  } catch (cause) {
    throw new WeirError("provider_bad_response", "an event of the provider's stream is not JSON", { cause });
  }
  const error = errorOf(value);
  if (error !== undefined) throw parseGenerateStreamError(error).error;
  return output.object(value, "data");
}
