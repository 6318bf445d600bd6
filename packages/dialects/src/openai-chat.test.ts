import { WeirError } from "@weir/kernel";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ChatEvent, ChatRequest, Json, JsonObject } from "./core.ts";
import type { RenderContext } from "./dialect.ts";
import { openAiChat } from "./openai-chat.ts";
import { SseParser } from "./sse.ts";

const request: ChatRequest = { model: "m", messages: [{ role: "user", parts: [] }], stream: true };
const context = (fields: Partial<ChatRequest> = {}): RenderContext => ({
  request: { ...request, ...fields },
  requestId: "0190",
  nowS: 1_700_000_000,
});
const again = (body: JsonObject): JsonObject => openAiChat.renderRequest(openAiChat.parseRequest(body)).body;
const say = (...messages: Json[]): JsonObject => ({ model: "m", messages });

/** Everything that a stream's events say, whichever way they were cut into parts. */
const told = (events: readonly ChatEvent[]) => {
  interface Told {
    parts: unknown[];
    at: Map<number, Record<string, unknown>>;
    finish?: string;
  }
  const choices = new Map<number, Told>();
  let usage: unknown;
  for (const event of events) {
    if (event.type === "start") continue;
    if (event.type === "usage") {
      usage = event.usage;
      continue;
    }
    const choice: Told = choices.get(event.choice) ?? { parts: [], at: new Map() };
    choices.set(event.choice, choice);
    if (event.type === "finish") choice.finish = event.reason;
    else if (event.type === "part-start") {
      const part: Record<string, unknown> = { ...event.part };
      delete part.extra;
      choice.at.set(event.index, part);
      choice.parts.push(part);
    } else if (event.type === "part-delta") {
      const part = choice.at.get(event.index) ?? {};
      const key = part.type === "tool-call" ? "arguments" : "text";
      part[key] = String(part[key] as string) + event.text;
    }
  }
  return { usage, choices: [...choices].map(([index, { parts, finish }]) => ({ index, parts, finish })) };
};
const parseStream = (text: string): ChatEvent[] => {
  const parser = openAiChat.streamParser();
  const sse = new SseParser();
  const events = [...sse.push(new TextEncoder().encode(text)), ...sse.end()].flatMap((event) => parser.push(event));
  return [...events, ...parser.end()];
};
const chunks = (...bodies: (JsonObject | string)[]): string =>
  bodies.map((body) => `data: ${typeof body === "string" ? body : JSON.stringify(body)}\n\n`).join("");
const delta = (fields: JsonObject, finish: string | null = null, index = 0): JsonObject => ({
  id: "c1",
  model: "m",
  created: 5,
  choices: [{ index, delta: fields, finish_reason: finish }],
});
const parsedParts = (...bodies: (JsonObject | string)[]) => told(parseStream(chunks(...bodies))).choices[0]?.parts;

describe("a chat completion request", () => {
  it("comes back as it was, unknown fields of every level included", () => {
    const body: JsonObject = {
      model: "gpt-x",
      messages: [
        { role: "developer", content: "be brief", made_up: 1 },
        {
          role: "user",
          name: "ann",
          content: [
            { type: "text", text: "look", cache_control: { type: "ephemeral" } },
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "low" } },
            { type: "image_url", image_url: { url: "https://x.test/a.png" } },
            { type: "input_audio", input_audio: { data: "BBBB", format: "mp3" } },
            { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,CCCC" } },
            { type: "file", file: { file_id: "file-1" } },
            { type: "surprise", x: [1] },
          ],
        },
        {
          role: "assistant",
          content: null,
          reasoning_content: "hm",
          tool_calls: [
            {
              id: "call_1",
              type: "function",
              function: { name: "f", arguments: '{"a":1}' },
              extra_content: { google: 1 },
            },
            { id: "call_2", type: "custom", custom: { name: "g", input: "text" } },
          ],
        },
        { role: "tool", tool_call_id: "call_1", content: "one" },
        {
          role: "tool",
          tool_call_id: "call_2",
          content: [
            { type: "text", text: "two" },
            { type: "text", text: "three" },
          ],
        },
        { role: "assistant", content: null, refusal: "no" },
      ],
      tools: [
        {
          type: "function",
          function: { name: "f", description: "d", parameters: { type: "object" }, strict: true, x: 1 },
          y: 2,
        },
        { type: "custom", custom: { name: "g" } },
      ],
      tool_choice: { type: "allowed_tools", allowed_tools: { mode: "required", tools: [] } },
      parallel_tool_calls: false,
      response_format: { type: "json_schema", json_schema: { name: "n", schema: { type: "object" }, strict: true } },
      max_completion_tokens: 10,
      temperature: 0,
      top_p: 0.5,
      stop: ["a", "b"],
      seed: 7,
      n: 2,
      logprobs: true,
      top_logprobs: 3,
      presence_penalty: -1,
      frequency_penalty: 1,
      reasoning_effort: "low",
      user: "u",
      stream: true,
      stream_options: { include_usage: true, include_obfuscation: false },
      logit_bias: { "50256": -100 },
      metadata: { a: "b" },
    };
    expect(again(body)).toEqual(body);
  });

  it("keeps any unknown field of any level", () => {
    const unknown = fc.dictionary(
      fc.string({ minLength: 1 }).map((name) => `x_${name}`),
      fc.jsonValue() as fc.Arbitrary<Json>,
      { maxKeys: 3, noNullPrototype: true },
    );
    fc.assert(
      fc.property(
        fc.tuple(unknown, unknown, unknown, unknown, unknown, unknown),
        ([top, message, part, call, tool, inner]) => {
          const body: JsonObject = {
            ...top,
            model: "m",
            messages: [
              {
                ...message,
                role: "user",
                content: [
                  { ...part, type: "text", text: "a" },
                  { type: "text", text: "b" },
                ],
              },
              {
                role: "assistant",
                content: null,
                tool_calls: [{ ...call, id: "i", type: "function", function: { name: "f", arguments: "" } }],
              },
            ],
            tools: [{ ...tool, type: "function", function: { ...inner, name: "f" } }],
          };
          expect(again(body)).toEqual(body);
        },
      ),
    );
  });

  it("keeps the name of the cap that the client used", () => {
    expect(again({ ...say({ role: "user", content: "x" }), max_tokens: 5 })).toMatchObject({ max_tokens: 5 });
    expect(again({ ...say({ role: "user", content: "x" }), max_tokens: 5 })).not.toHaveProperty(
      "max_completion_tokens",
    );
    const both = openAiChat.parseRequest({
      ...say({ role: "user", content: "x" }),
      max_tokens: 5,
      max_completion_tokens: 9,
    });
    expect(both.maxOutputTokens).toBe(9);
    expect(openAiChat.renderRequest({ ...both, maxOutputTokens: 3 }).body).toMatchObject({
      max_tokens: 3,
      max_completion_tokens: 3,
    });
    expect(openAiChat.renderRequest({ ...request, maxOutputTokens: 3 }).body).toMatchObject({
      max_completion_tokens: 3,
    });
  });

  it("reads the deprecated functions as tools and writes them as functions", () => {
    const body: JsonObject = {
      ...say(
        { role: "user", content: "x" },
        { role: "assistant", content: null, function_call: { name: "f", arguments: "{}" } },
        { role: "function", name: "f", content: "r" },
      ),
      functions: [{ name: "f", parameters: { type: "object" } }],
      function_call: { name: "f" },
    };
    const core = openAiChat.parseRequest(body);
    expect(core.tools).toMatchObject([{ type: "function", name: "f" }]);
    expect(core.toolChoice).toEqual({ mode: "named", name: "f" });
    const [, call, result] = core.messages.map((message) => message.parts[0]);
    expect(call?.type === "tool-call" && result?.type === "tool-result" && call.id === result.id).toBe(true);
    expect(again(body)).toEqual(body);
    const answer = openAiChat.renderResponse(
      {
        id: "1",
        model: "m",
        createdS: 1,
        choices: [
          { index: 0, finishReason: "tool-calls", parts: [{ type: "tool-call", id: "x", name: "f", arguments: "{}" }] },
        ],
      },
      { ...context(), request: core },
    ).body;
    expect(answer.choices).toMatchObject([
      { finish_reason: "function_call", message: { function_call: { name: "f" } } },
    ]);
  });

  it("reads what compatible servers allow", () => {
    const core = openAiChat.parseRequest({
      ...say({ role: "assistant", content: [{ type: "thinking", thinking: [{ type: "text", text: "t" }] }, "s"] }),
      tool_choice: "any",
      top_k: 4,
      stop: "x",
      reasoning: { max_tokens: 100, exclude: true },
      temperature: null,
    });
    expect(core).toMatchObject({ toolChoice: { mode: "required" }, topK: 4, stop: ["x"] });
    expect(core.reasoning).toMatchObject({ budgetTokens: 100, includeThoughts: false });
    expect(core.messages[0]?.parts).toMatchObject([
      { type: "thinking", text: "t" },
      { type: "text", text: "s" },
    ]);
    expect(openAiChat.renderRequest(core).body).toMatchObject({
      top_k: 4,
      reasoning: { max_tokens: 100, exclude: true },
    });
  });

  it("writes another dialect's request, naming what stays behind", () => {
    const { body, dropped } = openAiChat.renderRequest({
      ...request,
      messages: [
        {
          role: "assistant",
          parts: [
            { type: "thinking", text: "t", signature: "s" },
            { type: "tool-call", id: "a", name: "f", arguments: "{}" },
          ],
        },
        {
          role: "user",
          parts: [
            {
              type: "tool-result",
              id: "a",
              parts: [
                { type: "text", text: "r" },
                { type: "media", kind: "image", mediaType: "image/png", source: { base64: "AA" } },
              ],
              isError: true,
            },
            {
              type: "text",
              text: "go on",
              extra: { dialect: "anthropic-messages", fields: { cache_control: { type: "ephemeral" } } },
            },
          ],
        },
      ],
      topK: 5,
      reasoning: { budgetTokens: 5000 },
      extra: { dialect: "anthropic-messages", fields: { container: "x" } },
    });
    expect(body.messages).toEqual([
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "a", type: "function", function: { name: "f", arguments: "{}" } }],
      },
      { role: "tool", tool_call_id: "a", content: "r" },
      {
        role: "user",
        content: [
          { type: "text", text: "Result of a:" },
          { type: "image_url", image_url: { url: "data:image/png;base64,AA" } },
        ],
      },
      { role: "user", content: "go on" },
    ]);
    expect(body).toMatchObject({ reasoning_effort: "medium", stream_options: { include_usage: true } });
    expect(dropped).toEqual([
      "container",
      "messages[0].content[0].thinking",
      "messages[1].is_error",
      "messages[1].content[0].cache_control",
      "top_k",
      "reasoning.budget_tokens",
    ]);
  });

  it("names the parameter at fault", () => {
    const at = (body: JsonObject): string | undefined => {
      try {
        openAiChat.parseRequest(body);
      } catch (error) {
        if (error instanceof WeirError && error.reason === "invalid_request") return error.param;
        throw error;
      }
      return "none";
    };
    expect(at({ messages: [{}] })).toBe("model");
    expect(at({ model: "m" })).toBe("messages");
    expect(at(say({ role: "user", content: [{ type: "text" }] }))).toBe("messages[0].content[0].text");
    expect(at({ ...say({ role: "user", content: "x" }), n: 0 })).toBe("n");
    expect(at({ ...say({ role: "user", content: "x" }), max_tokens: "5" })).toBe("max_tokens");
    expect(at(say({ role: "robot", content: "x" }))).toBe("messages[0].role");
  });
});

const words = (text: string) => fc.constantFrom(...text.split(" "));
const object = fc.dictionary(
  words(
    "model messages role content type text tools function name tool_calls choices delta message usage error id index image_url url " +
      "finish_reason stream stop n parameters arguments tool_choice response_format logprobs reasoning function_call functions",
  ),
  fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<Json[]>("text", "user", "assistant", "tool", "function", "x", 1, true, null, "image_url", "stop"),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          "role",
          "content",
          "type",
          "text",
          "function",
          "name",
          "message",
          "delta",
          "tool_calls",
          "index",
          "id",
        ),
        tie("value"),
        {
          maxKeys: 5,
          noNullPrototype: true,
        },
      ),
    ),
  })).value,
  { noNullPrototype: true },
) as fc.Arbitrary<JsonObject>;
const onlyWeirErrors = (run: () => void): void => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(WeirError);
  }
};

describe("any JSON", () => {
  it("is read, or refused with a WeirError", () => {
    const any = fc.oneof(object, fc.dictionary(fc.string(), fc.jsonValue()) as fc.Arbitrary<JsonObject>);
    fc.assert(
      fc.property(any, (body) => {
        onlyWeirErrors(() => void openAiChat.renderRequest(openAiChat.parseRequest(body)));
        onlyWeirErrors(
          () => void openAiChat.renderRequest(openAiChat.parseRequest({ messages: [body, body], ...body, model: "m" })),
        );
        onlyWeirErrors(() => void openAiChat.renderResponse(openAiChat.parseResponse(body), context()));
        onlyWeirErrors(() => void openAiChat.renderResponse(openAiChat.parseResponse({ choices: [body] }), context()));
        onlyWeirErrors(() => void openAiChat.streamParser().push({ event: "", data: JSON.stringify(body) }));
        const parser = openAiChat.streamParser();
        onlyWeirErrors(() => void parser.push({ event: "", data: JSON.stringify({ choices: [{ delta: body }] }) }));
        openAiChat.inspectResponse(body);
        openAiChat.parseError(400, body, () => undefined);
      }),
      { numRuns: 500 },
    );
  });
});

describe("a chat completion stream", () => {
  const part = fc.oneof(
    fc.record({
      type: fc.constantFrom("text" as const, "thinking" as const, "refusal" as const),
      text: fc.string({ minLength: 1 }),
    }),
    fc.record({
      type: fc.constant("tool-call" as const),
      id: fc.uuid(),
      name: fc.string({ minLength: 1 }),
      arguments: fc.json(),
    }),
  );
  const usage = fc.record({
    inputTokens: fc.nat(1000).map((n) => n + 2000),
    outputTokens: fc.nat(1000).map((n) => n + 1000),
    cachedInputTokens: fc.nat(1000),
    cacheWriteTokens: fc.nat(1000),
    reasoningTokens: fc.nat(1000),
    estimated: fc.constant(false),
  });

  it("says again what was rendered", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(part, { maxLength: 5 }), { minLength: 1, maxLength: 3 }),
        fc.constantFrom(
          "stop" as const,
          "length" as const,
          "tool-calls" as const,
          "content-filter" as const,
          "error" as const,
        ),
        usage,
        fc.nat(5),
        (choices, reason, counted, step) => {
          const events: ChatEvent[] = [{ type: "start", id: "c1", model: "m", createdS: 5 }];
          const expected = choices.map((parts, choice) => {
            const merged: { type: string; text?: string }[] = [];
            for (const [index, one] of parts.entries()) {
              const whole = one.type === "tool-call" ? one.arguments : one.text;
              const empty = one.type === "tool-call" ? { ...one, arguments: "" } : { ...one, text: "" };
              events.push({ type: "part-start", choice, index, part: empty });
              for (let at = 0; at < whole.length; at += step + 1)
                events.push({ type: "part-delta", choice, index, text: whole.slice(at, at + step + 1) });
              events.push({ type: "part-end", choice, index });
              const last = merged.at(-1);
              // This dialect cannot tell where one text ends and the next begins.
              if (last?.type === one.type && one.type !== "tool-call") last.text = `${last.text}${one.text}`;
              else merged.push({ ...one });
            }
            events.push({ type: "finish", choice, reason });
            return { index: choice, parts: merged, finish: reason };
          });
          events.push({ type: "usage", usage: counted });
          const renderer = openAiChat.streamRenderer(context());
          const text = events.map((event) => renderer.push(event)).join("");
          const { preface, terminal } = renderer.end();
          const heard = parseStream(text + preface + terminal);
          expect(heard[0]).toMatchObject({ type: "start", id: "c1", model: "m", createdS: 5 });
          expect(told(heard)).toEqual({ usage: counted, choices: expected });
        },
      ),
    );
  });

  it("gathers calls whose deltas lack an index, share one, or repeat their id", () => {
    const call = (fields: JsonObject, name?: string, text = ""): JsonObject =>
      delta({
        tool_calls: [{ ...fields, function: name === undefined ? { arguments: text } : { name, arguments: text } }],
      });
    const two = [
      { type: "tool-call", id: "a", name: "f", arguments: '{"x":1}' },
      { type: "tool-call", id: "b", name: "g", arguments: "{}" },
    ];
    const noIndex = [call({ id: "a" }, "f", '{"x"'), call({}, undefined, ":1}"), call({ id: "b" }, "g", "{}")];
    const sameIndex = [call({ index: 0, id: "a" }, "f", '{"x":1}'), call({ index: 0, id: "b" }, "g", "{}")];
    const repeated = [
      call({ index: 0, id: "a" }, "f", '{"x"'),
      call({ index: 0, id: "a" }, "f", ":1}"),
      call({ index: 1, id: "b" }, "g"),
      call({ index: 1, id: "b" }, undefined, "{}"),
    ];
    const alternating = [
      call({ index: 0, id: "a" }, "f", '{"x"'),
      call({ index: 1, id: "b" }, "g", "{"),
      call({ index: 0 }, undefined, ":1}"),
      call({ index: 1 }, undefined, "}"),
    ];
    for (const bodies of [noIndex, sameIndex, repeated, alternating])
      expect(parsedParts(...bodies, delta({}, "tool_calls"), "[DONE]")).toEqual(two);
  });

  it("makes up the same id again for a call without one", () => {
    const bodies = [delta({ tool_calls: [{ index: 0, function: { name: "f", arguments: { a: 1 } } }] }), "[DONE]"];
    const first = parsedParts(...bodies);
    expect(first).toMatchObject([
      { type: "tool-call", name: "f", arguments: '{"a":1}', id: expect.stringMatching(/^call_[0-9a-f]{16}$/) },
    ]);
    expect(parsedParts(...bodies)).toEqual(first);
  });

  it("reads thinking under each of its names, and Mistral's lists", () => {
    const expected = [
      { type: "thinking", text: "hm" },
      { type: "text", text: "so" },
    ];
    expect(parsedParts(delta({ reasoning_content: "hm" }), delta({ content: "so" }), "[DONE]")).toEqual(expected);
    expect(
      parsedParts(delta({ reasoning: "hm", reasoning_content: "hm" }), delta({ content: "so" }), "[DONE]"),
    ).toEqual(expected);
    const lists = [
      { type: "thinking", thinking: [{ type: "text", text: "hm" }] },
      { type: "text", text: "so" },
    ];
    expect(parsedParts(delta({ content: lists }), "[DONE]")).toEqual(expected);
  });

  it("reads usage wherever it is", () => {
    const counts = { prompt_tokens: 5, completion_tokens: 2 };
    const usageIn = (...bodies: JsonObject[]) => told(parseStream(chunks(...bodies, "[DONE]"))).usage;
    expect(usageIn({ ...delta({}, "stop"), usage: counts })).toMatchObject({ inputTokens: 5, outputTokens: 2 });
    expect(usageIn(delta({ content: "x" }, "stop"), { choices: [], usage: counts })).toMatchObject({ inputTokens: 5 });
    expect(usageIn({ ...delta({}, "stop"), usage: null, x_groq: { usage: counts } })).toMatchObject({ inputTokens: 5 });
    expect(usageIn({ ...delta({}, "stop"), usage: null })).toBeUndefined();
    expect(usageIn({ usage: { prompt_tokens: 0, completion_tokens: 0 } })).toMatchObject({
      inputTokens: 0,
      outputTokens: 0,
    });
    // xAI: thinking is in the total only.
    const apart = {
      prompt_tokens: 5,
      completion_tokens: 2,
      total_tokens: 17,
      completion_tokens_details: { reasoning_tokens: 10 },
    };
    expect(usageIn({ ...delta({}, "stop"), usage: apart })).toMatchObject({ outputTokens: 12, reasoningTokens: 10 });
  });

  it("ends properly without a finish reason, and with [DONE] glued to the last chunk", () => {
    expect(told(parseStream(chunks(delta({ content: "x" }), "[DONE]"))).choices[0]?.finish).toBe("stop");
    const glued = `data: ${JSON.stringify(delta({ content: "x" }, "length"))}\ndata: [DONE]`;
    expect(told(parseStream(glued)).choices[0]).toMatchObject({ finish: "length", parts: [{ text: "x" }] });
  });

  it("is interrupted where [DONE] never came", () => {
    expect(() => parseStream(chunks(delta({ content: "x" }, "stop")))).toThrow(
      expect.objectContaining({ reason: "stream_interrupted" }),
    );
  });

  it("throws the error that comes in its place", () => {
    const thrown = (text: string): unknown => {
      try {
        parseStream(text);
      } catch (error) {
        return error;
      }
      return undefined;
    };
    expect(thrown(chunks({ error: { code: 502, message: "x" }, choices: [] }))).toMatchObject({
      reason: "provider_error",
      message: "x",
    });
    expect(thrown(chunks({ choices: [{ error: { code: 429, message: "x" } }] }))).toMatchObject({
      reason: "provider_rate_limited",
    });
    expect(thrown(`event: error\n${chunks({ message: "m", type: "overloaded_error" })}`)).toMatchObject({
      reason: "provider_overloaded",
    });
    expect(thrown(chunks({ error: { type: "insufficient_quota", message: "q" } }))).toMatchObject({
      reason: "provider_quota",
    });
    expect(thrown(chunks("{"))).toMatchObject({ reason: "provider_bad_response" });
  });

  it("shows usage last, and only to a client that asked", () => {
    const events: ChatEvent[] = [
      { type: "start", id: "i", model: "m", createdS: 1 },
      {
        type: "usage",
        usage: {
          inputTokens: 1,
          outputTokens: 1,
          cachedInputTokens: 0,
          cacheWriteTokens: 0,
          reasoningTokens: 0,
          estimated: false,
        },
      },
    ];
    const shown = (streamUsage: boolean): string => {
      const renderer = openAiChat.streamRenderer(context({ streamUsage }));
      return events.map((event) => renderer.push(event)).join("") + renderer.end().preface;
    };
    expect(shown(false)).toBe("");
    expect(shown(true)).toContain('"prompt_tokens":1');
  });
});

describe("a chat completion", () => {
  it("comes back as it was", () => {
    const body: JsonObject = {
      id: "chatcmpl-1",
      object: "chat.completion",
      created: 3,
      model: "m",
      system_fingerprint: "fp",
      choices: [
        {
          index: 0,
          message: {
            role: "assistant",
            content: "hi",
            refusal: null,
            reasoning: "why",
            annotations: [{ type: "url_citation" }],
            images: [{ type: "image_url", image_url: { url: "data:image/png;base64,AA" } }],
            tool_calls: [{ id: "a", type: "function", function: { name: "f", arguments: "{}" } }],
          },
          logprobs: { content: [{ token: "hi", logprob: -0.1, bytes: [104], top_logprobs: [] }], refusal: null },
          finish_reason: "tool_calls",
          native_finish_reason: "x",
        },
      ],
      usage: {
        prompt_tokens: 5,
        completion_tokens: 2,
        total_tokens: 7,
        prompt_tokens_details: { cached_tokens: 1 },
        completion_tokens_details: { reasoning_tokens: 1 },
        cost: 0.5,
      },
    };
    const { body: rendered, dropped } = openAiChat.renderResponse(openAiChat.parseResponse(body), context());
    expect(rendered).toEqual(body);
    expect(dropped).toEqual([]);
    expect(openAiChat.inspectResponse(body)).toMatchObject({
      finishReason: "tool-calls",
      outputCharacters: "hiwhyf{}".length,
      usage: { outputTokens: 2 },
    });
  });
});

describe("an answer that is an error", () => {
  it("fails as the error says", () => {
    const body: JsonObject = { error: { code: 429, message: "slow down" }, user_id: "u" };
    expect(() => openAiChat.parseResponse(body)).toThrow(expect.objectContaining({ reason: "provider_rate_limited" }));
    expect(openAiChat.inspectResponse(body).failure?.error.reason).toBe("provider_rate_limited");
    const choice: JsonObject = { choices: [{ index: 0, message: null, error: { code: 502, message: "x" } }] };
    expect(() => openAiChat.parseResponse(choice)).toThrow(expect.objectContaining({ reason: "provider_error" }));
  });
});

describe("errors", () => {
  const classify = (status: number, error: Json, headers: Record<string, string> = {}) =>
    openAiChat.parseError(status, { error }, (name) => headers[name]).error;

  it("tells rate, quota, overload, credential, rejection and failure apart", () => {
    expect(classify(429, { code: "rate_limit_exceeded" }, { "retry-after": "2" })).toMatchObject({
      reason: "provider_rate_limited",
      retryAfterMs: 2000,
    });
    expect(classify(429, {}, { "retry-after-ms": "150", "retry-after": "2" }).retryAfterMs).toBe(150);
    const dates = { "retry-after": "Sat, 21 Nov 2026 12:00:30 GMT", date: "Sat, 21 Nov 2026 12:00:00 GMT" };
    expect(classify(503, {}, dates)).toMatchObject({ reason: "provider_overloaded", retryAfterMs: 30_000 });
    expect(classify(429, { code: "insufficient_quota" }).reason).toBe("provider_quota");
    expect(classify(402, { code: 402 }).reason).toBe("provider_quota");
    expect(classify(529, {}).reason).toBe("provider_overloaded");
    expect(classify(504, {}).reason).toBe("provider_timeout");
    expect(classify(500, {}).reason).toBe("provider_error");
    const refused = classify(401, { message: "Incorrect API key provided: sk-abc" });
    expect(refused).toMatchObject({ reason: "provider_auth", status: 502 });
    expect(refused.message).not.toContain("sk-");
    expect(classify(422, { message: "bad", param: "tools[0]", code: "c" })).toMatchObject({
      reason: "provider_rejected",
      status: 422,
      message: "bad",
      param: "tools[0]",
    });
    expect(openAiChat.parseError(500, undefined, () => undefined).error.message).toBe(
      "the provider answered with status 500",
    );
    expect(openAiChat.parseError(400, { object: "error", message: "m", code: 3000 }, () => undefined)).toMatchObject({
      code: "3000",
      error: { message: "m" },
    });
  });

  it("are written in OpenAI's shape", () => {
    const render = (error: WeirError, code?: string) => openAiChat.renderError(error, "r", code).error;
    expect(render(new WeirError("budget_exceeded", "b"))).toEqual({
      message: "b",
      type: "insufficient_quota",
      param: null,
      code: "budget_exceeded",
    });
    expect(render(new WeirError("invalid_key", "k"))).toMatchObject({ type: "authentication_error" });
    expect(render(new WeirError("rate_limited", "k"))).toMatchObject({ type: "rate_limit_error" });
    const rejected = new WeirError("provider_rejected", "long", { upstreamStatus: 400, param: "messages" });
    expect(render(rejected, "context_length_exceeded")).toEqual({
      message: "long",
      type: "invalid_request_error",
      param: "messages",
      code: "context_length_exceeded",
    });
    expect(openAiChat.renderStreamError(new WeirError("provider_error", "p"), "r")).toBe(
      'data: {"error":{"message":"p","type":"server_error","param":null,"code":"provider_error"}}\n\n',
    );
  });
});
