import type { JsonObject } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type FacadeDialect, shapeOf } from "./shape.ts";

const shape = (dialect: FacadeDialect, body: JsonObject) => shapeOf(dialect, body, JSON.stringify(body).length);

const DIALECTS: readonly FacadeDialect[] = [
  "openai-chat",
  "openai-responses",
  "anthropic-messages",
  "gemini-generate",
  "openai-embeddings",
];

test("whatever the body holds, the answer is a shape or a WeirError", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...DIALECTS),
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.jsonValue(),
      (dialect, extra, messages) => {
        const body = { model: "m", messages, input: messages, contents: messages, ...extra } as JsonObject;
        try {
          const found = shape(dialect, body);
          expect(found.textBytes).toBeGreaterThanOrEqual(0);
          expect(found.choices).toBeGreaterThanOrEqual(1);
        } catch (error) {
          expect(error).toBeInstanceOf(WeirError);
        }
      },
    ),
  );
});

test.each([
  ["no model", {}],
  ["a number for a model", { model: 1 }],
  ["an empty model", { model: "" }],
  ["a model of 257 characters", { model: "m".repeat(257) }],
])("%s is refused with the parameter named", (_what, body) => {
  expect(() => shape("openai-chat", body)).toThrow(
    expect.objectContaining({ reason: "invalid_request", param: "model" }),
  );
});

test.each([0, -1, 1.5, "10", 2 ** 33])("max_tokens = %s is refused", (cap) => {
  expect(() => shape("openai-chat", { model: "m", max_tokens: cap })).toThrow(
    expect.objectContaining({ reason: "invalid_request", param: "max_tokens" }),
  );
});

test("of two caps the larger one counts: a provider may obey either", () => {
  expect(shape("openai-chat", { model: "m", max_tokens: 5, max_completion_tokens: 9 }).outputCap).toBe(9);
  expect(shape("openai-chat", { model: "m", max_tokens: 9, max_completion_tokens: 5 }).outputCap).toBe(9);
  expect(shape("openai-chat", { model: "m", max_tokens: 9, max_completion_tokens: null }).capNames).toEqual([
    "max_tokens",
  ]);
});

describe("what has no bound by its size is named", () => {
  const user = (part: JsonObject): JsonObject => ({ model: "m", messages: [{ role: "user", content: [part] }] });
  test.each<[string, FacadeDialect, JsonObject]>([
    ["previous_response_id", "openai-responses", { model: "m", input: "x", previous_response_id: "r" }],
    ["remote image", "openai-chat", user({ type: "image_url", image_url: { url: "https://a/b.png" } })],
    [
      "remote image",
      "openai-responses",
      {
        model: "m",
        input: [{ role: "user", type: "message", content: [{ type: "input_image", image_url: "https://a/b" }] }],
      },
    ],
    ["file id", "openai-responses", { model: "m", input: [{ type: "input_file", file_id: "f" }] }],
    ["remote document", "anthropic-messages", user({ type: "image", source: { type: "url", url: "https://a/b" } })],
    ["file", "anthropic-messages", user({ type: "document", source: { type: "base64", data: "AAAA" } })],
    [
      "server tool",
      "anthropic-messages",
      { model: "m", messages: [], tools: [{ type: "web_search_20250305", name: "web_search" }] },
    ],
    ["server tool", "openai-responses", { model: "m", input: "x", tools: [{ type: "web_search" }] }],
  ])("%s (%s)", (what, dialect, body) => {
    expect(shape(dialect, body).unbounded).toBe(what);
  });
});

test("functions and the caller's own tools are bounded", () => {
  const chat = { model: "m", messages: [], tools: [{ type: "function", function: { name: "f" } }] };
  expect(shape("openai-chat", chat).unbounded).toBeUndefined();
  const messages = { model: "m", messages: [], tools: [{ name: "f", input_schema: {} }] };
  expect(shape("anthropic-messages", messages).unbounded).toBeUndefined();
});

test("inline media are taken out of the text and counted apart, also inside tool results", () => {
  const data = "A".repeat(10_000);
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data } };
  const body = {
    model: "m",
    messages: [{ role: "user", content: [image, { type: "tool_result", content: [image] }] }],
  };
  const found = shape("anthropic-messages", body);
  expect(found.media.images).toBe(2);
  expect(found.textBytes).toBeLessThan(500);
  const chat = {
    model: "m",
    messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: `data:image/png;base64,${data}` } }] }],
  };
  expect(shape("openai-chat", chat).media.images).toBe(1);
  expect(shape("openai-chat", chat).textBytes).toBeLessThan(500);
});

test("what costs more than the list price is named, and what does not is let pass", () => {
  const premium = (dialect: FacadeDialect, some: JsonObject) => shape(dialect, { model: "m", ...some }).premium;
  expect(premium("openai-chat", { service_tier: "priority" })).toBe("service_tier");
  expect(premium("openai-responses", { service_tier: "priority" })).toBe("service_tier");
  expect(premium("anthropic-messages", { speed: "fast" })).toBe("speed");
  expect(premium("openai-chat", { plugins: [{ id: "web" }] })).toBe("plugins");
  for (const tier of ["auto", "default", "flex", null])
    expect(premium("openai-chat", { service_tier: tier })).toBe(undefined);
  expect(premium("anthropic-messages", { service_tier: "standard_only", speed: "standard" })).toBeUndefined();
  expect(premium("openai-chat", {})).toBeUndefined();
});

test("what is paid for later has no known price", () => {
  expect(shape("openai-responses", { model: "m", background: true }).premium).toBe("background");
  expect(shape("openai-responses", { model: "m", background: false }).premium).toBeUndefined();
});
