import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { common } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { coreRequest } from "./chat-request.ts";
import { eventMessage, responseMessage } from "./chat-response.ts";

const { ChatRequestSchema, Role, MediaPart_Kind, ToolChoice_Mode, ResponseFormat_Kind, Dialect } = common;

describe("a typed request", () => {
  it("means the same in the core", () => {
    const request = create(ChatRequestSchema, {
      model: "m",
      messages: [
        { role: Role.DEVELOPER, parts: [{ part: { case: "text", value: { text: "be kind" } } }] },
        {
          role: Role.USER,
          parts: [
            {
              part: {
                case: "media",
                value: {
                  kind: MediaPart_Kind.IMAGE,
                  mediaType: "image/png",
                  source: { case: "data", value: Uint8Array.of(1, 2) },
                },
              },
            },
          ],
        },
        {
          role: Role.ASSISTANT,
          parts: [{ part: { case: "toolCall", value: { id: "c", name: "f", arguments: "{}" } } }],
        },
        {
          role: Role.TOOL,
          parts: [
            {
              part: {
                case: "toolResult",
                value: { id: "c", parts: [{ part: { case: "text", value: { text: "7" } } }], isError: true },
              },
            },
          ],
        },
      ],
      tools: [
        { name: "f", parametersJson: '{"type":"object"}', strict: true },
        { unknown: { dialect: Dialect.OPENAI_RESPONSES, json: '{"type":"web_search"}' } },
      ],
      toolChoice: { mode: ToolChoice_Mode.NAMED, name: "f" },
      responseFormat: { kind: ResponseFormat_Kind.SCHEMA, name: "s", schemaJson: '{"type":"object"}' },
      maxOutputTokens: 9,
      seed: 5n,
      extraJson: '{"metadata":{"a":"b"}}',
      extraDialect: Dialect.OPENAI_CHAT,
    });
    expect(coreRequest(request, true)).toMatchObject({
      model: "m",
      messages: [
        { role: "developer", parts: [{ type: "text", text: "be kind" }] },
        { role: "user", parts: [{ type: "media", kind: "image", mediaType: "image/png", source: { base64: "AQI=" } }] },
        { role: "assistant", parts: [{ type: "tool-call", id: "c", name: "f", arguments: "{}" }] },
        {
          role: "tool",
          parts: [{ type: "tool-result", id: "c", isError: true, parts: [{ type: "text", text: "7" }] }],
        },
      ],
      tools: [
        { type: "function", name: "f", parameters: { type: "object" }, strict: true },
        { type: "provider", dialect: "openai-responses", value: { type: "web_search" } },
      ],
      toolChoice: { mode: "named", name: "f" },
      responseFormat: { type: "schema", name: "s", schema: { type: "object" } },
      maxOutputTokens: 9,
      seed: 5,
      stream: true,
      extra: { dialect: "openai-chat", fields: { metadata: { a: "b" } } },
    });
  });

  it("that is none is its caller's fault, whatever it holds", () => {
    const part = fc.oneof(
      fc.constant({}),
      fc.record({
        part: fc.record({ case: fc.constant("unknown" as const), value: fc.record({ json: fc.string() }) }),
      }),
      fc.record({ part: fc.record({ case: fc.constant("media" as const), value: fc.record({ kind: fc.nat(9) }) }) }),
      fc.record({ part: fc.record({ case: fc.constant("text" as const), value: fc.record({ text: fc.string() }) }) }),
    );
    const requests = fc.record({
      messages: fc.array(fc.record({ role: fc.nat(9), parts: fc.array(part) })),
      tools: fc.array(fc.record({ name: fc.string(), parametersJson: fc.string() })),
      extraJson: fc.oneof(fc.string(), fc.json()),
      extraDialect: fc.nat(9),
      toolChoice: fc.record({ mode: fc.nat(9) }),
      responseFormat: fc.record({ kind: fc.nat(3), schemaJson: fc.oneof(fc.string(), fc.json()) }),
    });
    fc.assert(
      fc.property(requests, (init) => {
        try {
          coreRequest(create(ChatRequestSchema, init), false);
        } catch (error) {
          expect(error).toBeInstanceOf(WeirError);
          expect(error).toMatchObject({ reason: "invalid_request" });
        }
      }),
    );
  });
});

describe("a typed answer", () => {
  it("says what the core says", () => {
    const message = responseMessage({
      id: "r",
      model: "m",
      createdS: 12.7,
      choices: [
        {
          index: 0,
          finishReason: "tool-calls",
          parts: [
            { type: "thinking", text: "hm", signature: "s" },
            { type: "tool-call", id: "c", name: "f", arguments: "{" },
            { type: "unknown", dialect: "anthropic-messages", value: { type: "server_tool_use" } },
          ],
        },
      ],
    });
    expect(message).toMatchObject({
      createdS: 12n,
      choices: [
        {
          finishReason: common.FinishReason.TOOL_CALLS,
          parts: [
            { part: { case: "thinking", value: { text: "hm", signature: "s", redacted: "" } } },
            { part: { case: "toolCall", value: { arguments: "{" } } },
            {
              part: {
                case: "unknown",
                value: { dialect: Dialect.ANTHROPIC_MESSAGES, json: '{"type":"server_tool_use"}' },
              },
            },
          ],
        },
      ],
    });
    expect(eventMessage({ type: "part-delta", choice: 1, index: 2, text: "x" }).event).toMatchObject({
      case: "partDelta",
      value: { choice: 1, index: 2, text: "x", signature: "" },
    });
  });
});
