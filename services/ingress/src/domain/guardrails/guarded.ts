/** Requests and whole answers under their guardrails, raw or typed. */
import { type JsonReplacement, replaceJson } from "@weir/dialects";
import type { Call, Output } from "../call.ts";
import { type Edit, edited, jsonOf } from "./edits.ts";
import type { Both, GuardSession } from "./session.ts";

/** What leaves the house. */
export interface GuardedInput<Input> {
  readonly input: Call<Input>["input"];
  /** Undefined: as it came. */
  readonly changed: Uint8Array | Input | undefined;
}

const decoder = new TextDecoder();

const replacementsOf = (edits: readonly Edit[]): JsonReplacement[] =>
  edits.map((edit) => ({ path: edit.path, json: jsonOf(edit) }));

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
    if (edits.length === 0) return same;
    const side = (which: "shown" | "kept"): Output<Typed> => ({
      kind: "typed",
      value: edited(
        output.value,
        edits.map((edit) => edit[which]),
      ),
    });
    return { shown: side("shown"), kept: side("kept") };
  }
  const edits = session.answer(parsed(output.body));
  if (edits.length === 0) return same;
  const side = (which: "shown" | "kept"): Output<Typed> => {
    const texts = edits.map((edit) => edit[which]);
    // A body that is no JSON is one text.
    if (texts[0]?.path.length === 0) return { ...output, body: new TextEncoder().encode(texts[0].text) };
    return { ...output, body: replaceJson(output.body, replacementsOf(texts)) };
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
