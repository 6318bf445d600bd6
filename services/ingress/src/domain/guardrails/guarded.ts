/** Requests and whole answers under their guardrails, raw or typed. */
import { type JsonObject, type JsonReplacement, replaceJson } from "@weir/dialects";
import type { Call, Output } from "../call.ts";
import { type Edit, edited } from "./edits.ts";
import type { Both, GuardSession } from "./session.ts";

/** What leaves the house. */
export interface GuardedInput<Input> {
  readonly input: Call<Input>["input"];
  /** Undefined: as it came. */
  readonly changed: Uint8Array | Input | undefined;
}

const decoder = new TextDecoder();

const replacementsOf = (edits: readonly Edit[]): JsonReplacement[] =>
  edits.map(({ path, text }) => ({ path, json: JSON.stringify(text) }));

/** @throws WeirError guardrail_blocked, invalid_request */
export function guardInput<Input>(session: GuardSession, input: Call<Input>["input"]): GuardedInput<Input> {
  if ("typed" in input) {
    const edits = session.input(input.typed);
    if (edits.length === 0) return { input, changed: undefined };
    const typed = edited(input.typed, edits);
    return { input: { typed }, changed: typed };
  }
  const edits = session.input(JSON.parse(decoder.decode(input.body)));
  if (edits.length === 0) return { input, changed: undefined };
  const body = replaceJson(input.body, replacementsOf(edits));
  return { input: { ...input, body }, changed: body };
}

/** @throws WeirError guardrail_blocked */
export function guardOutput<Typed>(session: GuardSession, output: Output<Typed>): Both<Output<Typed>> {
  const same = { shown: output, kept: output };
  if (output.kind === "none") return same;
  if (output.kind === "typed") {
    const edits = session.answer(output.value);
    const value = session.guard.cuts ? withoutCopies(output.value) : output.value;
    if (edits.length === 0 && value === output.value) return same;
    const side = (which: "shown" | "kept"): Output<Typed> => ({
      kind: "typed",
      value: edited(
        value,
        edits.map((edit) => edit[which]),
      ),
    });
    return { shown: side("shown"), kept: side("kept") };
  }
  const answer = parsed(output.body);
  const edits = session.answer(answer);
  const copies = session.guard.cuts ? copiesIn(answer) : [];
  if (edits.length === 0 && copies.length === 0) return same;
  const side = (which: "shown" | "kept"): Output<Typed> => {
    const texts = edits.map((edit) => edit[which]);
    // A body that is no JSON is one text.
    if (texts[0]?.path.length === 0) return { ...output, body: new TextEncoder().encode(texts[0].text) };
    return { ...output, body: replaceJson(output.body, [...replacementsOf(texts), ...copies]) };
  };
  return { shown: side("shown"), kept: side("kept") };
}

function parsed(body: Uint8Array): unknown {
  const text = decoder.decode(body);
  try {
    return JSON.parse(text);
  } catch {
    // An error page: scanned as the text it is.
    return text;
  }
}

const items = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as JsonObject)[name] : undefined;

/** Where a text stands a second time, token by token. */
function copiesIn(answer: unknown): JsonReplacement[] {
  const copies: JsonReplacement[] = [];
  for (const [index, choice] of items(member(answer, "choices")).entries())
    if (member(choice, "logprobs") !== undefined) copies.push({ path: ["choices", index, "logprobs"], json: "null" });
  for (const [index, item] of items(member(answer, "output")).entries())
    for (const [part, content] of items(member(item, "content")).entries())
      if (member(content, "logprobs") !== undefined)
        copies.push({ path: ["output", index, "content", part, "logprobs"], json: "[]" });
  return copies;
}

function withoutCopies<Typed>(answer: Typed): Typed {
  const choices = items(member(answer, "choices"));
  if (!choices.some((choice) => items(member(choice, "logprobs")).length > 0)) return answer;
  return { ...answer, choices: choices.map((choice) => ({ ...(choice as object), logprobs: [] })) };
}
