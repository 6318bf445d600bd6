import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "./core.ts";
import { charactersOf } from "./openai-chat-response.ts";
import { PARSE, scanChunk } from "./openai-chat-scan.ts";

const event = (body: object, space?: number): string =>
  `data: ${JSON.stringify(body, null, space).replaceAll("\n", "")}\n\n`;
const chunk = (delta: JsonObject, more: JsonObject = {}): JsonObject => ({
  id: "c",
  choices: [{ index: 0, delta, finish_reason: null, logprobs: null }],
  usage: null,
  ...more,
});

describe("scanChunk", () => {
  it("counts what parsing counts, whatever is written and however it is spaced", () => {
    const tricky = fc.constantFrom(
      '"usage":{',
      "usage",
      'finish_reason":"stop',
      "\\",
      '\\"',
      "error",
      "\n",
      "[DONE]",
      "\u0000",
    );
    const text = fc
      .array(fc.oneof(fc.string({ unit: "grapheme" }), tricky), { maxLength: 4 })
      .map((pieces) => pieces.join(""));
    const delta = fc.oneof(
      text.map((content): JsonObject => ({ content })),
      fc
        .tuple(text, text)
        .map(([reasoning, content]): JsonObject => ({ reasoning, reasoning_content: reasoning, content })),
      text.map((said): JsonObject => ({ content: [{ type: "text", text: said }] })),
      fc
        .tuple(text, text)
        .map(
          ([name, args]): JsonObject => ({ tool_calls: [{ index: 0, id: "x", function: { name, arguments: args } }] }),
        ),
      text.map((refusal): JsonObject => ({ refusal, content: null })),
    );
    fc.assert(
      fc.property(delta, fc.constantFrom(undefined, 1), (said, space) => {
        expect(scanChunk(event(chunk(said), space), true)).toBe(charactersOf(said));
      }),
      { numRuns: 500 },
    );
  });

  it("leaves what must be parsed", () => {
    const done = { ...chunk({}), choices: [{ index: 0, delta: {}, finish_reason: "stop" }] };
    const first = { tool_calls: [{ index: 0, function: { name: "f" } }] };
    for (const body of [
      done,
      chunk({}, { usage: {} }),
      chunk({}, { x_groq: { usage: {} } }),
      chunk({}, { error: "x" }),
      chunk({ executed_tools: [] }),
    ])
      for (const space of [undefined, 1]) expect(scanChunk(event(body, space), true)).toBe(PARSE);
    expect(scanChunk(event(chunk(first)), false)).toBe(PARSE);
    expect(scanChunk(`${event(chunk({ content: "x" })).trimEnd()}\ndata: [DONE]\n\n`, true)).toBe(PARSE);
    expect(scanChunk(event(chunk({ content: "x" })).replaceAll("\n", "\r\n"), true)).toBe(1);
  });

  it("takes any text", () => {
    fc.assert(fc.property(fc.string(), (text) => scanChunk(`data: {${text}`, false) >= PARSE));
  });
});
