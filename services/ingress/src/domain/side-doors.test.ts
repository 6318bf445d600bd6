import { expect, test } from "vitest";
import type { FacadeDialect } from "./shape.ts";
import { refuseSideDoors, refuseTypedSideDoors, sideDoorsOf } from "./side-doors.ts";

const DIALECTS: readonly FacadeDialect[] = [
  "openai-chat",
  "openai-responses",
  "anthropic-messages",
  "openai-embeddings",
];
const spellings = (name: string): string[] => [
  name,
  name.toUpperCase(),
  `${name.slice(0, 2)}_${name.slice(2)}`,
  `${name}_`,
];

test.each(DIALECTS)("every side door of %s is shut in every spelling", (dialect) => {
  for (const name of sideDoorsOf(dialect).flatMap(spellings)) {
    const refused = expect.objectContaining({ reason: "unsupported", param: name });
    expect(() => refuseSideDoors(dialect, { model: "m", [name]: "x" }), name).toThrow(refused);
  }
});

test("what is there and says nothing is let pass, and so is what is nobody's business", () => {
  refuseSideDoors("openai-chat", {
    model: "m",
    models: [],
    provider: null,
    temperature: 1,
    seed: 2,
    metadata: { provider: "x" },
  });
  refuseSideDoors("openai-chat", { model: "m", messages: [{ role: "user", content: "x", api_key: "y" }] });
});

test.each([
  ["Model", "model"],
  ["MAX_TOKENS", "max_tokens"],
  ["maxTokens", "max_tokens"],
  ["generationconfig", "generationConfig"],
  ["Service-Tier", "service_tier"],
])("%s, which only some would read as %s, is refused", (name, meant) => {
  const refused = expect.objectContaining({ reason: "invalid_request", param: meant });
  expect(() => refuseSideDoors("openai-chat", { model: "m", [name]: "dear" })).toThrow(refused);
});

test("a typed request's own fields cannot be set again beside it", () => {
  for (const name of ["model", "n", "max_tokens", "tools", "stream", "user"]) {
    const refused = expect.objectContaining({ param: `extra_json.${name}` });
    expect(() => refuseTypedSideDoors("openai-chat", { [name]: 1 }), name).toThrow(refused);
  }
  expect(() => refuseTypedSideDoors("openai-chat", { provider: { only: ["x"] } })).toThrow("provider");
  refuseTypedSideDoors("openai-chat", { logit_bias: {}, service_tier: "flex" });
});
