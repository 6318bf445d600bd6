import { WeirError } from "@weir/kernel";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  answerEssence,
  anyRequest,
  contextOf,
  eventsOf,
  eventsThrough,
  except,
  names,
  pairs,
  requestEssence,
  requestThrough,
  responseOf,
  responseThrough,
} from "../test/translation-kit.ts";
import type { ChatRequest, ChatResponse, FinishReason, Json, JsonObject, Message, Part, Tool } from "./core.ts";
import { dialects } from "./dialects.ts";

// Blank text says nothing, and some dialects refuse it; line ends and marks are what breaks event streams.
const said = fc
  .oneof(
    fc.string({ minLength: 1 }),
    fc.constantFrom("a\nb", "\r\n\r\nx", "data: [DONE]", 'q"\\u0000', "🌍", "{}", "</s>"),
  )
  .map((text) => `.${text}.`);
const text = said.map((value): Part => ({ type: "text", text: value }));
const json = fc
  .dictionary(
    fc.string().filter((key) => key !== "__proto__"),
    fc.jsonValue({ maxDepth: 2 }),
    { maxKeys: 3, noNullPrototype: true },
  )
  .map((value) => JSON.stringify(value));
const toolName = fc.constantFrom("get_weather", "ping", "look-up_2");
const image: fc.Arbitrary<Part> = fc.constantFrom(
  { type: "media", kind: "image", mediaType: "image/png", source: { base64: "iVBORw0KGgo=" } },
  { type: "media", kind: "image", source: { url: "https://example.com/a.png" } },
);
const other: fc.Arbitrary<Part> = fc.constantFrom(
  { type: "media", kind: "audio", mediaType: "audio/wav", source: { base64: "UklGRg==" } },
  { type: "media", kind: "file", mediaType: "application/pdf", source: { base64: "JVBERi0=" }, name: "a.pdf" },
  { type: "media", kind: "image", source: { fileId: "file-1" } },
);
const thinking: fc.Arbitrary<Part> = said.map((value) => ({ type: "thinking", text: value }));

/** A question, tool turns and answers in an order that every provider takes. */
const exchange: fc.Arbitrary<Message[]> = fc
  .record({
    ask: fc.array(fc.oneof({ weight: 4, arbitrary: text }, image, other), { minLength: 1, maxLength: 3 }),
    think: fc.option(thinking, { nil: undefined }),
    say: fc.option(text, { nil: undefined }),
    calls: fc.array(fc.record({ name: toolName, given: json, back: said, failed: fc.boolean() }), { maxLength: 3 }),
    answer: text,
    id: fc.uuid(),
  })
  .map(({ ask, think, say, calls, answer, id }) => {
    const messages: Message[] = [{ role: "user", parts: ask }];
    if (calls.length > 0) {
      const parts: Part[] = [];
      if (think !== undefined) parts.push(think);
      if (say !== undefined) parts.push(say);
      for (const [at, { name, given }] of calls.entries())
        parts.push({ type: "tool-call", id: `${id}_${at}`, name, arguments: given });
      messages.push({ role: "assistant", parts });
      for (const [at, { back, failed }] of calls.entries())
        messages.push({
          role: "tool",
          parts: [
            {
              type: "tool-result",
              id: `${id}_${at}`,
              parts: [{ type: "text", text: back }],
              isError: failed || undefined,
            },
          ],
        });
    }
    messages.push({ role: "assistant", parts: [answer] });
    return messages;
  });

const tools: fc.Arbitrary<Tool[]> = fc.uniqueArray(
  toolName.map(
    (name): Tool => ({
      type: "function",
      name,
      description: `does ${name}`,
      parameters: { type: "object", properties: { a: { type: "string" } } },
    }),
  ),
  { maxLength: 3, selector: (tool) => (tool.type === "function" ? tool.name : "") },
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });

const chatRequest: fc.Arbitrary<ChatRequest> = fc
  .record({
    model: fc.constantFrom("claude-sonnet-4-5", "claude-opus-5", "gemini-2.5-flash", "gemini-3-pro", "gpt-5", "mine"),
    system: maybe(said),
    exchanges: fc.array(exchange, { maxLength: 3 }),
    question: text,
    tools,
    choice: maybe(fc.constantFrom("auto", "none", "required")),
    maxOutputTokens: maybe(fc.integer({ min: 1, max: 100_000 })),
    temperature: maybe(fc.constantFrom(0, 0.5, 1, 1.5)),
    topP: maybe(fc.constantFrom(0.1, 0.9, 1)),
    topK: maybe(fc.integer({ min: 1, max: 50 })),
    stop: maybe(fc.array(said, { minLength: 1, maxLength: 4 })),
    seed: maybe(fc.integer({ min: 0, max: 1000 })),
    n: maybe(fc.constantFrom(2, 3)),
    user: maybe(said),
    presencePenalty: maybe(fc.constantFrom(-1, 0.5)),
    frequencyPenalty: maybe(fc.constantFrom(-1, 0.5)),
    effort: maybe(fc.constantFrom("none", "low", "high", "max")),
    format: maybe(fc.constantFrom("json", "schema")),
    stream: fc.boolean(),
  })
  .map(({ system, exchanges, question, choice, effort, format, ...rest }) => ({
    ...rest,
    messages: [
      ...(system === undefined ? [] : [{ role: "system" as const, parts: [{ type: "text" as const, text: system }] }]),
      ...exchanges.flat(),
      { role: "user" as const, parts: [question] },
    ],
    tools: rest.tools.length === 0 ? undefined : rest.tools,
    toolChoice: choice === undefined ? undefined : { mode: choice as "auto" | "none" | "required" },
    reasoning: effort === undefined ? undefined : { effort },
    responseFormat:
      format === undefined
        ? undefined
        : format === "json"
          ? { type: "json" as const }
          : { type: "schema" as const, schema: { type: "object", properties: { a: { type: "string" } } } },
  }));

/** What is neither said nor lost: top_p of 1, a choice among no tools, the cap that Anthropic must have, a budget on top of it. */
const plain = (request: ChatRequest, excused: Partial<ReturnType<typeof requestEssence>>) => {
  const essence = { ...excused };
  if (request.maxOutputTokens === undefined) delete essence.maxOutputTokens;
  if (request.topP === 1) delete essence.topP;
  if (request.tools === undefined) delete essence.toolChoice;
  return essence;
};

describe.each(names)("%s", (name) => {
  const dialect = dialects[name];

  it("writes requests that it reads as they were, but for what it named as dropped", () => {
    fc.assert(
      fc.property(chatRequest, (request) => {
        const { value, dropped } = requestThrough(dialect, request);
        expect(plain(request, except(requestEssence(value), dropped))).toEqual(
          plain(request, except(requestEssence(request), dropped)),
        );
        // What it reads of its own, it writes without loss.
        const again = requestThrough(dialect, value);
        expect(again.dropped).toEqual([]);
        expect(requestEssence(again.value)).toEqual(requestEssence(value));
      }),
      { numRuns: 150 },
    );
  });
});

const finish: fc.Arbitrary<FinishReason> = fc.constantFrom("stop", "length", "content-filter");
const answer: fc.Arbitrary<ChatResponse> = fc
  .record({
    think: maybe(thinking),
    say: fc.array(text, { maxLength: 2 }),
    calls: fc.array(fc.record({ name: toolName, given: json }), { maxLength: 3 }),
    finish,
    usage: maybe(fc.tuple(fc.nat(1000), fc.nat(1000), fc.nat(1000), fc.nat(1000))),
  })
  .map(({ think, say, calls, finish: reason, usage }) => {
    const parts: Part[] = [
      ...(think === undefined ? [] : [think]),
      ...say,
      ...calls.map(({ name, given }, at): Part => ({ type: "tool-call", id: `c${at}`, name, arguments: given })),
    ];
    const response: ChatResponse = {
      id: "answer_1",
      model: "m",
      createdS: 1_700_000_000,
      choices: [{ index: 0, parts, finishReason: calls.length > 0 ? "tool-calls" : reason }],
    };
    if (usage !== undefined) {
      const [fresh, cached, said, thought] = usage;
      response.usage = {
        inputTokens: fresh + cached,
        outputTokens: said + thought,
        cachedInputTokens: cached,
        cacheWriteTokens: 0,
        reasoningTokens: thought,
        estimated: false,
      };
    }
    return response;
  });
const none = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, reasoningTokens: 0 };
/** Anthropic always shows usage, zeros where there is none. */
const essenceOf = (response: ChatResponse) => {
  const essence = answerEssence(response);
  return { ...essence, usage: essence.usage ?? none };
};

describe.each(pairs)("an answer of %s for %s", (from, to) => {
  it("says the same, whole and streamed, cut anywhere", () => {
    fc.assert(
      fc.property(answer, fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9 }), (response, cut, piece) => {
        const expected = essenceOf(response);
        const whole = responseThrough(dialects[from], response).value;
        expect(essenceOf(responseThrough(dialects[to], whole).value)).toEqual(expected);
        const events = eventsThrough(dialects[from], eventsOf(response, piece), cut).value;
        const streamed = eventsThrough(dialects[to], events, cut).value;
        expect(essenceOf(responseOf(streamed))).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });
});

/** Bodies with the right names in the wrong places: deeper into the parsers than any JSON gets. */
const words = `
  model messages role user assistant tool system content type text tool_use input id tool_result
  tool_use_id name thinking signature contents parts functionCall args function_call functionResponse
  response tools input_schema tool_calls function arguments source base64 data generationConfig
  thinkingConfig tool_choice toolConfig functionCallingConfig mode ANY output_config candidates usage
  usageMetadata choices output message delta index content_block stop_reason content_block_start
  content_block_delta content_block_stop message_start message_delta message_stop input_json_delta
  text_delta partial_json finishReason STOP error partialArgs jsonPath $.a[0].b willContinue
  promptFeedback blockReason inlineData mimeType document image media_type url item response.completed
  response.output_item.added response.output_text.delta finish_reason __proto__ constructor
`
  .trim()
  .split(/\s+/);
const word = fc.constantFrom(...words);
const { wild } = fc.letrec<{ wild: Json; object: JsonObject }>((tie) => ({
  wild: fc.oneof(
    { maxDepth: 5 },
    fc.oneof(word, fc.string({ maxLength: 3 }), fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
    tie("object"),
    fc.array(tie("wild"), { maxLength: 4 }),
  ),
  object: fc
    .array(fc.tuple(word, tie("wild")), { maxLength: 6 })
    .map((entries) => JSON.parse(JSON.stringify(Object.fromEntries(entries))) as JsonObject),
}));
const wildObject = fc
  .array(fc.tuple(word, wild), { maxLength: 8 })
  .map((entries) => JSON.parse(JSON.stringify(Object.fromEntries(entries))) as JsonObject);

/** Runs it; anything thrown must be a WeirError of one of these reasons. */
function readable(run: () => unknown, ...reasons: string[]): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    if (reasons.length > 0) expect(reasons).toContain(error.reason);
  }
}

describe.each(names)("%s, given anything", (name) => {
  const dialect = dialects[name];
  const list = {
    "openai-chat": "messages",
    "openai-responses": "input",
    "anthropic-messages": "messages",
    "gemini-generate": "contents",
  }[name];

  it("reads a request or says what is wrong with it; and writes what it read", () => {
    fc.assert(
      fc.property(wildObject, fc.array(wildObject, { minLength: 1, maxLength: 3 }), (body, items) => {
        readable(
          () => {
            const request = dialect.parseRequest({ ...body, model: "m", [list]: items });
            for (const other of names) dialects[other].renderRequest(request);
          },
          "invalid_request",
          "unsupported",
        );
      }),
      { numRuns: 400 },
    );
  });

  it("reads an answer or says that it cannot be read", () => {
    fc.assert(
      fc.property(wildObject, fc.array(wildObject, { maxLength: 3 }), (body, items) => {
        dialect.inspectResponse(body);
        for (const member of ["choices", "output", "content", "candidates"])
          readable(() => {
            const response = dialect.parseResponse({ ...body, [member]: items });
            for (const other of names) dialects[other].renderResponse(response, contextOf(anyRequest));
            // An answer may hold the provider's own error in place of content.
          });
      }),
      { numRuns: 200 },
    );
  });

  it("reads a stream's events, its errors included, or says that they cannot be read", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.oneof(word, fc.constant("")), wildObject, fc.boolean()), { maxLength: 8 }),
        (events) => {
          const parser = dialect.streamParser();
          const watcher = dialect.streamWatcher({ hideUsage: true });
          readable(() => {
            for (const [event, body, typed] of events)
              parser.push({ event, data: JSON.stringify(typed ? { ...body, type: event } : body) });
            parser.end();
          });
          for (const [event, body, typed] of events)
            watcher.push(
              Buffer.from(`event: ${event}\ndata: ${JSON.stringify(typed ? { ...body, type: event } : body)}\n\n`),
            );
          watcher.end();
        },
      ),
      { numRuns: 400 },
    );
  });

  it("reads any error, in the classes of the catalogue, and writes it for every client", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529),
        wildObject,
        (status, body) => {
          for (const given of [undefined, body, { error: body }]) {
            const { error } = dialect.parseError(status, given, () => undefined);
            expect(error.reason).toMatch(/^provider_/);
            for (const other of names) {
              dialects[other].renderError(error, "r");
              dialects[other].renderStreamError(error, "r");
            }
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
