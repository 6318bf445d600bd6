import type { DialectName, Json, JsonObject } from "@weir/dialects";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "./canonical-json.ts";
import { LONGEST_QUESTION, questionOf } from "./question.ts";

const BODIES: Readonly<Record<DialectName, (text: string) => JsonObject>> = {
  "openai-chat": (text) => ({
    model: "m",
    temperature: 0.5,
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: [{ type: "text", text, cache_control: { type: "ephemeral" } }] },
    ],
    tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }],
  }),
  "anthropic-messages": (text) => ({
    model: "m",
    max_tokens: 10,
    system: "Be brief.",
    messages: [
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Hi" },
      { role: "user", content: text },
    ],
  }),
  "openai-responses": (text) => ({
    model: "m",
    instructions: "Be brief.",
    input: [{ type: "message", role: "user", content: [{ type: "input_text", text }] }],
  }),
  "gemini-generate": (text) => ({
    systemInstruction: { parts: [{ text: "Be brief." }] },
    contents: [{ parts: [{ text }] }],
    generationConfig: { temperature: 0 },
  }),
};
const DIALECTS = Object.entries(BODIES) as [DialectName, (text: string) => JsonObject][];
const words = fc.string({ minLength: 1, maxLength: 50 }).filter((text) => text.trim() !== "");

describe.each(DIALECTS)("%s", (dialect, body) => {
  test("what is asked is taken out, and nothing else", () => {
    fc.assert(
      fc.property(words, words, (one, other) => {
        const [first, second] = [questionOf(dialect, body(one)), questionOf(dialect, body(other))];
        expect([first?.text, second?.text]).toEqual([one, other]);
        expect(canonicalJson(first?.around ?? null)).toBe(canonicalJson(second?.around ?? null));
      }),
    );
  });

  test("whatever else is different is still different", () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom("add", "remove", "change"), (seed, how) => {
        const changed = body("the question");
        if (!changeOne(changed, seed, how, "the question")) return;
        const found = questionOf(dialect, changed);
        if (found === undefined) return; // no question any more
        expect(canonicalJson(found.around)).not.toBe(
          canonicalJson(questionOf(dialect, body("the question"))?.around ?? null),
        );
      }),
      { numRuns: 300 },
    );
  });

  test("a long text is no question, and nor is none", () => {
    expect(questionOf(dialect, body("x".repeat(LONGEST_QUESTION)))).toBeDefined();
    expect(questionOf(dialect, body("x".repeat(LONGEST_QUESTION + 1)))).toBeUndefined();
    expect(questionOf(dialect, body(" \n"))).toBeUndefined();
  });
});

test.each<[string, DialectName, Json]>([
  [
    "a picture",
    "openai-chat",
    { messages: [{ role: "user", content: [{ type: "text", text: "x" }, { type: "image_url" }] }] },
  ],
  ["a tool's result", "openai-chat", { messages: [{ role: "tool", content: "x" }] }],
  ["a tool's result", "anthropic-messages", { messages: [{ role: "user", content: [{ type: "tool_result" }] }] }],
  ["an assistant's beginning", "anthropic-messages", { messages: [{ role: "assistant", content: "x" }] }],
  ["a function's output", "openai-responses", { input: [{ type: "function_call_output", output: "x" }] }],
  ["another's turn", "gemini-generate", { contents: [{ role: "model", parts: [{ text: "x" }] }] }],
  ["a picture", "gemini-generate", { contents: [{ parts: [{ text: "x" }, { inlineData: {} }] }] }],
  ["no turns", "openai-chat", { messages: [] }],
  ["no object", "openai-chat", []],
])("%s is no question (%s)", (_, dialect, body) => {
  expect(questionOf(dialect, body)).toBeUndefined();
});

test("a question that looks like what takes its place is none of it", () => {
  const body = BODIES["anthropic-messages"];
  const forged = { ...body("x"), messages: [{ role: "user", content: { weir: "question" } }] };
  expect(questionOf("anthropic-messages", forged)).toBeUndefined();
});

test("any body is read, or is no question", () => {
  fc.assert(
    fc.property(fc.constantFrom(...DIALECTS.map(([name]) => name)), fc.jsonValue(), (dialect, body) => {
      questionOf(dialect, body as Json);
    }),
  );
});

/** Changes one place of a body, but not the question itself. @returns false: there was nothing to change */
function changeOne(body: JsonObject, seed: number, how: "add" | "remove" | "change", question: string): boolean {
  const places: (() => void)[] = [];
  const visit = (value: Json): void => {
    if (typeof value !== "object" || value === null) return;
    if (Array.isArray(value)) {
      if (how === "add") places.push(() => value.unshift({ added: true }));
      if (how === "remove" && value.length > 1) places.push(() => value.shift());
      for (const one of value) visit(one);
      return;
    }
    if (how === "add") places.push(() => (value["added"] = 1));
    for (const [name, one] of Object.entries(value)) {
      if (one === question) continue;
      if (how === "remove") places.push(() => delete value[name]);
      if (how === "change") places.push(() => (value[name] = typeof one === "string" ? `${one}!` : "changed"));
      visit(one);
    }
  };
  visit(body);
  places[seed % Math.max(1, places.length)]?.();
  return places.length > 0;
}
