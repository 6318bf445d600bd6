import { AnswerCallIds } from "./gemini-generate-call-ids.ts";
import { blockReasonOf, hasFinished, parseFinish, renderFinish } from "./gemini-generate-finish.ts";
import { camel, keepFields, listOf, NAME, parseParts, renderPart } from "./gemini-generate-parts.ts";
import { droppedUsage, moreUsage, parseGenerateUsage, renderGenerateUsage } from "./gemini-generate-usage.ts";
import type { ChatResponse, Choice, FinishReason, Json, JsonObject, TokenLogprob, Usage } from "./core.ts";
import type { Rendered, RenderContext } from "./dialect.ts";
import { describeDropped, extraOf, fieldsFor, isObject, names, output, spellingFor } from "./shape.ts";
import { Grounding, withCalls } from "./tool-calls.ts";

export const RESPONSE_KNOWN: ReadonlySet<string> = names("candidates usageMetadata modelVersion responseId createTime");
export const CANDIDATE_KNOWN: ReadonlySet<string> = names("content finishReason index logprobsResult");

/** @throws WeirError provider_bad_response, also where there is neither an answer nor a reason for none */
export function parseGenerateResponse(body: JsonObject): ChatResponse {
  const id = typeof body.responseId === "string" ? body.responseId : "";
  const candidates = output.optionalList(body.candidates, "candidates") ?? [];
  const choices = candidates.map((value, at) => parseCandidate(output.object(value, `candidates[${at}]`), at, id));
  if (choices.length === 0) {
    if (blockReasonOf(body) === undefined) throw output.fail("candidates", "at least one candidate");
    choices.push({
      index: 0,
      parts: [],
      finishReason: "content-filter",
      extra: extraOf(NAME, undefined, { none: true }),
    });
  }
  const fields = keepFields(body, RESPONSE_KNOWN);
  const more = moreUsage(body.usageMetadata);
  const spelling = typeof body.createTime === "string" ? { createTime: body.createTime } : undefined;
  return {
    id,
    model: typeof body.modelVersion === "string" ? body.modelVersion : "",
    createdS: createdOf(body),
    choices,
    usage: usageOfGenerated(body),
    extra: extraOf(NAME, more === undefined ? fields : { ...fields, usageMetadata: more }, spelling),
  };
}

/** Seconds of `createTime`, which only Vertex says; 0 where unknown. */
export function createdOf(body: JsonObject): number {
  const createdMs = typeof body.createTime === "string" ? Date.parse(body.createTime) : Number.NaN;
  return Number.isFinite(createdMs) ? Math.floor(createdMs / 1000) : 0;
}

function parseCandidate(candidate: JsonObject, at: number, id: string): Choice {
  const index = typeof candidate.index === "number" ? candidate.index : at;
  const content = output.optionalObject(candidate.content, `candidates[${at}].content`) ?? {};
  const parts = parseParts(
    output,
    camel(content).parts,
    `candidates[${at}].content.parts`,
    new AnswerCallIds(id, index),
  );
  const { reason, spelling } = parseFinish(
    candidate.finishReason,
    parts.some((part) => part.type === "tool-call"),
  );
  return {
    index,
    parts,
    finishReason: reason,
    logprobs: parseLogprobs(candidate.logprobsResult),
    extra: extraOf(NAME, keepFields(candidate, CANDIDATE_KNOWN), spelling),
  };
}

export function parseLogprobs(value: Json | undefined): TokenLogprob[] | undefined {
  if (!isObject(value) || !Array.isArray(value.chosenCandidates)) return undefined;
  const top = listOf(value.topCandidates);
  return value.chosenCandidates.filter(isObject).map((chosen, at) => {
    const logprob = parseLogprob(chosen);
    const alternatives = top[at];
    if (isObject(alternatives) && Array.isArray(alternatives.candidates))
      logprob.top = alternatives.candidates.filter(isObject).map(parseLogprob);
    return logprob;
  });
}

const parseLogprob = (value: JsonObject): TokenLogprob => ({
  token: typeof value.token === "string" ? value.token : "",
  logprob: typeof value.logProbability === "number" ? value.logProbability : 0,
});

const renderLogprob = ({ token, logprob }: TokenLogprob): JsonObject => ({ token, logProbability: logprob });

export function renderLogprobs(logprobs: readonly TokenLogprob[]): JsonObject {
  const result: JsonObject = { chosenCandidates: logprobs.map(renderLogprob) };
  if (logprobs.some((logprob) => logprob.top !== undefined))
    result.topCandidates = logprobs.map((logprob) => ({ candidates: (logprob.top ?? []).map(renderLogprob) }));
  return result;
}

/** Writes a whole answer. */
export function renderGenerateResponse(response: ChatResponse, context: RenderContext): Rendered<JsonObject> {
  const dropped = droppedUsage(response.usage);
  describeDropped(NAME, response.extra, "", dropped);
  const { usageMetadata: more, ...fields } = fieldsFor(NAME, response.extra) ?? {};
  const body: JsonObject = { ...fields };
  const choices = response.choices.filter((choice) => spellingFor(NAME, choice.extra)?.none !== true);
  if (choices.length > 0) body.candidates = choices.map((choice) => renderCandidate(choice, dropped));
  const usage = renderGenerateUsage(response.usage, isObject(more) ? more : undefined);
  if (usage !== undefined) body.usageMetadata = usage;
  body.modelVersion = response.model;
  const createTime = spellingFor(NAME, response.extra)?.createTime;
  if (createTime !== undefined) body.createTime = createTime;
  body.responseId = response.id === "" ? context.requestId : response.id;
  return { body, dropped };
}

function renderCandidate(choice: Choice, dropped: string[]): JsonObject {
  const place = `candidates[${choice.index}]`;
  describeDropped(NAME, choice.extra, place, dropped);
  if (choice.stopSequence !== undefined) dropped.push(`${place}.stop_sequence`);
  const parts: JsonObject[] = [];
  for (const [at, part] of choice.parts.entries()) {
    const json = renderPart(part, `${place}.parts[${at}]`, dropped);
    if (json !== undefined) parts.push(json);
  }
  const candidate: JsonObject = {
    ...fieldsFor(NAME, choice.extra),
    content: { parts, role: "model" },
    finishReason: renderFinish(choice),
    index: choice.index,
  };
  if (choice.logprobs !== undefined) candidate.logprobsResult = renderLogprobs(choice.logprobs);
  return candidate;
}

/** All that a whole answer is billed by. */
function usageOfGenerated(body: JsonObject): Usage | undefined {
  const grounding = new Grounding();
  grounding.add(body);
  return withCalls(parseGenerateUsage(body.usageMetadata), grounding.calls);
}

/** What an answer that is passed on as bytes is billed and recorded by. */
export function inspectGenerateResponse(body: JsonObject): {
  usage: Usage | undefined;
  finishReason: FinishReason | undefined;
  outputCharacters: number;
} {
  const { outputCharacters, finishReason } = inspectCandidates(body);
  return { usage: usageOfGenerated(body), finishReason, outputCharacters };
}

/** What the candidates of an answer or a chunk say, as far as it can be read. */
export function inspectCandidates(body: JsonObject): {
  outputCharacters: number;
  finishReason: FinishReason | undefined;
  calls: boolean;
  content: boolean;
} {
  const candidates = listOf(body.candidates).filter(isObject);
  let outputCharacters = 0;
  let calls = false;
  let content = false;
  for (const candidate of candidates)
    for (const part of listOf(isObject(candidate.content) ? candidate.content.parts : undefined).filter(isObject)) {
      content = true;
      if (typeof part.text === "string") outputCharacters += part.text.length;
      if (!isObject(part.functionCall)) continue;
      calls = true;
      const called = part.functionCall.args ?? part.functionCall.partialArgs;
      outputCharacters += called === undefined ? 0 : JSON.stringify(called).length;
    }
  const finished = candidates.find(hasFinished);
  const blocked = candidates.length === 0 && blockReasonOf(body) !== undefined;
  const finishReason = finished === undefined ? undefined : parseFinish(finished.finishReason, calls).reason;
  return { outputCharacters, finishReason: blocked ? "content-filter" : finishReason, calls, content };
}
