import { create, toBinary } from "@bufbuild/protobuf";
import { sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import { audit, common } from "@weir/contracts";
import fc from "fast-check";
import { expect, test } from "vitest";
import { chatFromWire, chatToWire } from "./chat-wire.ts";
import { readTexts } from "./recorded-bodies.ts";

const body = (contentType: string, data: Uint8Array | string) => ({
  contentType,
  data: typeof data === "string" ? new TextEncoder().encode(data) : data,
});
const read = (request: ReturnType<typeof body>, answer: ReturnType<typeof body> | undefined, dialect: common.Dialect) =>
  readTexts(create(audit.PayloadSchema, { request, ...(answer === undefined ? {} : { answer }) }), dialect);

const OPENAI = common.Dialect.OPENAI_CHAT;
const REQUEST = body("application/json", '{"model":"m","messages":[{"role":"user","content":"Why?"}]}');

test("whole and streamed answers say the same, and a tool call is part of what was said", () => {
  const message = {
    role: "assistant",
    content: "Because.",
    tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: '{"a":1}' } }],
  };
  const whole = {
    id: "x",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, finish_reason: "tool_calls", message }],
  };
  const chunk = (delta: object, finish: string | null = null) =>
    `data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const streamed = [
    chunk({ role: "assistant", content: "Beca" }),
    chunk({ content: "use." }),
    chunk({ tool_calls: [{ index: 0, id: "1", type: "function", function: { name: "f", arguments: "" } }] }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: '{"a":1}' } }] }),
    chunk({}, "tool_calls"),
    "data: [DONE]\n\n",
  ].join("");
  const expected = { answer: 'Because.\nf({"a":1})' };
  expect(read(REQUEST, body("application/json; charset=utf-8", JSON.stringify(whole)), OPENAI)).toMatchObject(expected);
  expect(read(REQUEST, body("text/event-stream", streamed), OPENAI)).toMatchObject(expected);
  expect(read(REQUEST, undefined, OPENAI)).toMatchObject({ answer: undefined, request: { model: "m" } });
});

test("typed calls come back from their protobuf bytes, whole and streamed", () => {
  const request = body(
    "application/protobuf; proto=weir.common.v1.ChatRequest",
    toBinary(
      common.ChatRequestSchema,
      create(common.ChatRequestSchema, {
        model: "m",
        messages: [{ role: common.Role.USER, parts: [{ part: { case: "text", value: { text: "Why?" } } }] }],
      }),
    ),
  );
  const events = [
    { event: { case: "partStart", value: { part: { part: { case: "text", value: { text: "" } } } } } },
    { event: { case: "partDelta", value: { text: "Because." } } },
  ] as const;
  const stream = Buffer.concat(
    events.map((event) => sizeDelimitedEncode(common.ChatEventSchema, create(common.ChatEventSchema, event))),
  );
  const type = "application/protobuf; proto=weir.common.v1.ChatEvent; encoding=delimited";
  expect(read(request, body(type, stream), common.Dialect.UNSPECIFIED)).toMatchObject({
    answer: "Because.",
    request: { messages: [{ role: "user", parts: [{ type: "text", text: "Why?" }] }] },
  });
});

test("any bytes are texts or said to be unreadable; nothing throws", () => {
  const types = fc.constantFrom(
    "application/json",
    "text/event-stream",
    "application/protobuf; proto=weir.common.v1.ChatRequest",
    "application/protobuf; proto=weir.common.v1.ChatResponse",
    "application/protobuf; proto=weir.common.v1.ChatEvent; encoding=delimited",
    "",
  );
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => new TextEncoder().encode(text)),
  );
  const bodies = fc.tuple(types, bytes).map(([type, data]) => body(type, data));
  fc.assert(
    fc.property(
      fc.oneof(bodies, fc.constant(REQUEST)),
      bodies,
      fc.integer({ min: 0, max: 5 }),
      (request, answer, dialect) => {
        const found = read(request, answer, dialect);
        expect("missing" in found || typeof found.answer === "string").toBe(true);
      },
    ),
    { numRuns: 1_000 },
  );
});

test("what is asked of a model arrives as it is: texts, tools' calls and results, pictures", () => {
  const asked = chatFromWire(
    create(
      common.ChatRequestSchema,
      chatToWire({
        model: "m",
        stream: false,
        temperature: 0.5,
        maxOutputTokens: 7,
        messages: [
          { role: "system", parts: [{ type: "text", text: "Be short." }] },
          { role: "assistant", parts: [{ type: "tool-call", id: "1", name: "f", arguments: "{}" }] },
          { role: "tool", parts: [{ type: "tool-result", id: "1", name: "f", parts: [{ type: "text", text: "ok" }] }] },
          {
            role: "user",
            parts: [{ type: "media", kind: "image", mediaType: "image/png", source: { base64: "AAEC" } }],
          },
        ],
      }),
    ),
  );
  expect(asked).toMatchObject({
    temperature: 0.5,
    maxOutputTokens: 7,
    messages: [
      { role: "system", parts: [{ type: "text", text: "Be short." }] },
      { role: "assistant", parts: [{ type: "tool-call", id: "1", name: "f", arguments: "{}" }] },
      { role: "tool", parts: [{ type: "tool-result", id: "1", parts: [{ type: "text", text: "ok" }] }] },
      { role: "user", parts: [{ type: "media", kind: "image", source: { base64: "AAEC" } }] },
    ],
  });
});
