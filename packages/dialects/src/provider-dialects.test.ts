/** What only providers speak: requests that they take whatever a client asked, and answers that cannot break us. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chatRequest, readable, wildObject, word } from "../test/arbitraries.ts";
import { anyRequest, contextOf, names, requestEssence } from "../test/translation-kit.ts";
import { encodeAwsEvent } from "./aws-event-stream.ts";
import type { ChatRequest, Json, JsonObject, ProviderDialectName } from "./core.ts";
import { dialects, providerDialects } from "./dialects.ts";
import { encodeSse, SseParser } from "./sse.ts";

const others = (Object.keys(providerDialects) as ProviderDialectName[]).filter((name) => !(name in dialects));
const list = (value: Json | undefined): JsonObject[] => (Array.isArray(value) ? (value as JsonObject[]) : []);
const object = (value: Json | undefined): JsonObject => (value ?? {}) as JsonObject;
const ofModel = (model: string) => chatRequest.map((request): ChatRequest => ({ ...request, model }));

describe("Converse takes what any client asks:", () => {
  it("turns alternate from the user's on, nothing is blank, every call has its result in the next turn, and some tool is offered", () => {
    const models = fc.constantFrom("anthropic.claude-sonnet-4-5-v1:0", "amazon.nova-lite-v1:0", "meta.llama3-3-70b");
    fc.assert(
      fc.property(models.chain(ofModel), (request) => {
        const { body, dropped } = providerDialects["bedrock-converse"].renderRequest(request);
        const turns = list(body["messages"]);
        const offered = new Set(
          list(object(body["toolConfig"])["tools"]).map((tool) => object(tool["toolSpec"])["name"]),
        );
        for (const [at, { role, content }] of turns.entries()) {
          expect(role).toBe(at % 2 === 0 ? "user" : "assistant");
          expect(list(content).length).toBeGreaterThan(0);
          for (const block of list(content)) {
            if (typeof block["text"] === "string") expect(block["text"].trim()).not.toBe("");
            if (block["toolUse"] !== undefined) {
              const { toolUseId, name } = object(block["toolUse"]);
              expect(toolUseId).toMatch(/^[a-zA-Z0-9_.:-]{1,64}$/);
              // Converse wants some tool where any was called.
              expect(name).toBeTypeOf("string");
              expect(offered.size).toBeGreaterThan(0);
              const results = list(turns[at + 1]?.["content"]).map((next) => object(next["toolResult"])["toolUseId"]);
              expect(results).toContain(toolUseId);
            }
          }
        }
        expectSaid(request, body, dropped);
      }),
      { numRuns: 150 },
    );
  });
});

describe("Mistral takes what any client asks:", () => {
  const KNOWN =
    /^(?:model|messages|temperature|top_p|max_tokens|stream|stop|random_seed|response_format|tools|tool_choice|presence_penalty|frequency_penalty|n|parallel_tool_calls|reasoning_effort)$/;
  it("members that it knows, ids of nine characters that fit each other", () => {
    const models = fc.constantFrom("mistral-large-latest", "magistral-small-2509", "mistral-small-2603");
    fc.assert(
      fc.property(models.chain(ofModel), (request) => {
        const { body, dropped } = providerDialects["mistral-chat"].renderRequest(request);
        for (const name of Object.keys(body)) expect(name).toMatch(KNOWN);
        const messages = list(body["messages"]);
        const called = messages.flatMap((message) => list(message["tool_calls"]).map(({ id }) => id));
        for (const id of called) expect(id).toMatch(/^[a-zA-Z0-9]{9}$/);
        const answered = messages.filter(({ role }) => role === "tool").map((message) => message["tool_call_id"]);
        expect(answered).toEqual(called);
        expect(new Set(called).size).toBe(called.length);
        for (const message of messages)
          for (const name of Object.keys(message))
            expect(["role", "content", "tool_calls", "tool_call_id"]).toContain(name);
        expectSaid(request, body, dropped);
      }),
      { numRuns: 150 },
    );
  });
});

describe("Cohere takes what any client asks:", () => {
  it("results of calls after the calls, messages that say something", () => {
    fc.assert(
      fc.property(ofModel("command-a-03-2025"), (request) => {
        const { body, dropped } = providerDialects["cohere-chat"].renderRequest(request);
        const messages = list(body["messages"]);
        const called = messages.flatMap((message) => list(message["tool_calls"]).map(({ id }) => id));
        const answered = messages.filter(({ role }) => role === "tool").map((message) => message["tool_call_id"]);
        expect(answered).toEqual(called);
        for (const { content, tool_calls: calls } of messages)
          expect(content !== undefined || list(calls).length > 0).toBe(true);
        expectSaid(request, body, dropped);
      }),
      { numRuns: 150 },
    );
  });
});

/** Everything that was said stands in it, and the cap is a cap. */
function expectSaid(request: ChatRequest, body: JsonObject, dropped: readonly string[]): void {
  const { system, turns, results } = requestEssence(request);
  const written = JSON.stringify(body);
  for (const { parts } of request.messages)
    for (const part of parts)
      if (part.type === "text") expect(written).toContain(JSON.stringify(part.text).slice(1, -1));
  for (const { text } of results) expect(written).toContain(JSON.stringify(text).slice(1, -1));
  if (system !== "") expect(turns.length).toBeGreaterThan(0);
  if (request.maxOutputTokens !== undefined) expect(written).toContain(String(request.maxOutputTokens));
  for (const name of dropped) expect(name).toMatch(/^[a-z_]+(?:\[\d+\])?/);
}

describe.each(others)("%s, given anything", (name) => {
  const dialect = providerDialects[name];

  it("reads an answer or says that it cannot be read; and every client is told", () => {
    fc.assert(
      fc.property(wildObject, fc.array(wildObject, { maxLength: 3 }), (body, items) => {
        for (const given of [
          body,
          { ...body, output: { message: { content: items } } },
          { ...body, message: { content: items, tool_calls: items } },
        ])
          readable(() => {
            const response = dialect.parseResponse(given, { model: "m" });
            for (const other of names) dialects[other].renderResponse(response, contextOf(anyRequest));
          });
      }),
      { numRuns: 300 },
    );
  });

  it("reads a stream's events, or says that they cannot be read; and every client is told", () => {
    const event = fc.tuple(word, wildObject);
    fc.assert(
      fc.property(fc.array(event, { maxLength: 8 }), (events) => {
        const parser = dialect.streamParser({ model: "m" });
        const frames = dialect.frames?.() ?? new SseParser();
        const encode =
          dialect.frames === undefined
            ? (one: Parameters<typeof encodeSse>[0]) => Buffer.from(encodeSse(one))
            : encodeAwsEvent;
        const renderers = names.map((other) => dialects[other].streamRenderer(contextOf(anyRequest)));
        readable(() => {
          for (const [type, body] of events)
            for (const frame of frames.push(encode({ event: type, data: JSON.stringify({ ...body, type }) })))
              for (const one of parser.push(frame)) for (const renderer of renderers) renderer.push(one);
          parser.end();
        });
      }),
      { numRuns: 400 },
    );
  });

  it("reads any error, in the classes of the catalogue", () => {
    const status = fc.constantFrom(400, 401, 402, 403, 404, 408, 413, 422, 424, 429, 498, 500, 502, 503, 504, 529);
    fc.assert(
      fc.property(status, wildObject, (code, body) => {
        for (const given of [undefined, body, { message: body }])
          expect(dialect.parseError(code, given as JsonObject, () => undefined).error.reason).toMatch(/^provider_/);
      }),
      { numRuns: 100 },
    );
  });
});
