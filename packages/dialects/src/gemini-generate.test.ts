import { describe, expect, it } from "vitest";
import { anyRequest, contextOf, parseBytes, responseOf } from "../test/translation-kit.ts";
import type { ChatRequest, JsonObject, Part } from "./core.ts";
import { geminiGenerate as dialect } from "./gemini-generate.ts";
import { openAiChat } from "./openai-chat.ts";

const text = (said: string): Part => ({ type: "text", text: said });
const render = (request: Partial<ChatRequest>) =>
  dialect.renderRequest({ ...anyRequest, model: "gemini-2.5-flash", ...request });

describe("a request of Google's", () => {
  const body: JsonObject = {
    contents: [
      {
        role: "user",
        parts: [
          { text: "Look:" },
          { inlineData: { mimeType: "audio/wav", data: "UklGRg==", displayName: "a.wav" } },
          { fileData: { mimeType: "video/mp4", fileUri: "gs://b/v.mp4" }, videoMetadata: { fps: 1 } },
        ],
      },
      {
        role: "model",
        parts: [
          { text: "hm", thought: true },
          { executableCode: { language: "PYTHON", code: "1" } },
          { text: "", thoughtSignature: "c2Vhbg==" },
          { functionCall: { name: "f", args: { a: 1 } }, thoughtSignature: "c2VhbA==" },
          { functionCall: { id: "own", name: "f", args: {} } },
        ],
      },
      {
        role: "user",
        parts: [
          { functionResponse: { name: "f", response: { celsius: 3 } } },
          { functionResponse: { id: "own", name: "f", response: { error: "no" }, willContinue: false } },
        ],
      },
    ],
    systemInstruction: { parts: [{ text: "Be brief." }] },
    tools: [
      {
        functionDeclarations: [
          {
            name: "f",
            description: "d",
            parameters: { type: "OBJECT", properties: { a: { type: "INTEGER", nullable: true } } },
            behavior: "BLOCKING",
          },
          { name: "g", parametersJsonSchema: { type: "object" } },
        ],
      },
      { googleSearch: {} },
    ],
    toolConfig: {
      functionCallingConfig: { mode: "ANY", allowedFunctionNames: ["f", "g"] },
      retrievalConfig: { languageCode: "de" },
    },
    generationConfig: {
      maxOutputTokens: 9,
      temperature: 0.1,
      topP: 0.9,
      topK: 3,
      stopSequences: ["END"],
      candidateCount: 2,
      seed: 4,
      presencePenalty: 0.1,
      frequencyPenalty: 0.2,
      responseLogprobs: true,
      logprobs: 2,
      thinkingConfig: { includeThoughts: true, thinkingBudget: -1 },
      responseMimeType: "application/json",
      responseSchema: { type: "OBJECT", properties: { a: { type: "STRING" } } },
      responseModalities: ["TEXT"],
    },
    safetySettings: [{ category: "c", threshold: "BLOCK_NONE" }],
    cachedContent: "cachedContents/1",
  };
  const request = dialect.parseRequest({ ...body, model: "gemini-3-pro", stream: true });

  it("is written as it was read, with everything that only Google knows; model and streaming are in the URL", () => {
    expect(dialect.renderRequest(request)).toEqual({ body, dropped: [] });
    expect(request).toMatchObject({
      model: "gemini-3-pro",
      stream: true,
      n: 2,
      topLogprobs: 2,
      toolChoice: { mode: "required" },
    });
  });

  it("has JSON Schema where Google had its own", () => {
    expect(request.tools?.[0]).toMatchObject({
      parameters: { type: "object", properties: { a: { type: ["integer", "null"] } } },
    });
    expect(request.responseFormat).toEqual({
      type: "schema",
      schema: { type: "object", properties: { a: { type: "string" } } },
    });
  });

  it("has ids for calls without one, which their results share", () => {
    const calls = request.messages.flatMap((message) => message.parts).filter((part) => part.type === "tool-call");
    const results = request.messages.flatMap((message) => message.parts).filter((part) => part.type === "tool-result");
    expect(calls[0]?.id).toMatch(/^call_[0-9a-f]{16}$/);
    expect(results.map((result) => result.id)).toEqual([calls[0]?.id, "own"]);
    expect(results.map((result) => result.isError)).toEqual([undefined, true]);
    expect(openAiChat.renderRequest(request).dropped).toEqual(
      expect.arrayContaining(["safetySettings", "cachedContent", expect.stringMatching(/^tools\[2\]/)]),
    );
  });

  it("may be spelled as Google's JSON may be: with snake case, and single values for lists", () => {
    const { contents, systemInstruction } = body;
    const snake = dialect.parseRequest({
      model: "m",
      contents: { parts: { text: "hi" } },
      system_instruction: systemInstruction ?? null,
      generation_config: { max_output_tokens: 9, thinking_config: { include_thoughts: true } },
      tools: { function_declarations: [{ name: "f" }] },
      tool_config: { function_calling_config: { mode: "any", allowed_function_names: ["f"] } },
    });
    expect(contents).toBeDefined();
    expect(snake).toMatchObject({
      messages: [{ role: "system" }, { role: "user", parts: [{ text: "hi" }] }],
      maxOutputTokens: 9,
      reasoning: { includeThoughts: true },
      tools: [{ name: "f" }],
      toolChoice: { mode: "named", name: "f" },
    });
  });

  it.each([
    [{ contents: [] }, "contents"],
    [{ contents: [{ role: "system", parts: [] }] }, "contents[0].role"],
    [{ contents: [{ parts: [{ functionCall: {} }] }] }, "contents[0].parts[0].functionCall.name"],
    [{ contents: [{ parts: [] }], generationConfig: { topK: "x" } }, "generationConfig.topK"],
  ])("that cannot be read is refused by the name of what is wrong: %j", (wrong, param) => {
    expect(() => dialect.parseRequest({ model: "m", ...wrong })).toThrow(
      expect.objectContaining({ reason: "invalid_request", param }),
    );
  });
});

describe("a request from elsewhere", () => {
  it.each([
    ["gemini-2.5-flash", "high", { thinkingBudget: 24_576 }],
    ["gemini-2.5-flash", "none", { thinkingBudget: 0 }],
    ["gemini-3-pro-preview", "xhigh", { thinkingLevel: "HIGH" }],
    ["gemini-flash-latest", "none", { thinkingLevel: "MINIMAL" }],
  ])("thinks as %s can: %s", (model, effort, thinkingConfig) => {
    expect(render({ model, reasoning: { effort } }).body.generationConfig).toEqual({ thinkingConfig });
  });

  it("has the results of a turn together, and images in them only where the model takes them", () => {
    const messages: ChatRequest["messages"] = [
      {
        role: "assistant",
        parts: [
          { type: "tool-call", id: "1", name: "f", arguments: "{}" },
          { type: "tool-call", id: "2", name: "g", arguments: "{}" },
        ],
      },
      {
        role: "tool",
        parts: [
          {
            type: "tool-result",
            id: "1",
            parts: [text("a"), { type: "media", kind: "image", mediaType: "image/png", source: { base64: "AA==" } }],
          },
        ],
      },
      { role: "tool", parts: [{ type: "tool-result", id: "2", parts: [text('{"output":1}')] }] },
      { role: "user", parts: [text("so?")] },
    ];
    const image = { inlineData: { mimeType: "image/png", data: "AA==" } };
    const second = { functionResponse: { id: "2", name: "g", response: { output: '{"output":1}' } } };
    expect(render({ messages }).body.contents).toMatchObject([
      { role: "model" },
      { role: "user", parts: [{ functionResponse: { id: "1", name: "f", response: { output: "a" } } }, image, second] },
      { role: "user", parts: [{ text: "so?" }] },
    ]);
    const recent = render({ messages, model: "gemini-3-pro" }).body.contents as { parts: JsonObject[] }[];
    expect(recent[1]?.parts).toMatchObject([{ functionResponse: { parts: [image] } }, second]);
    // Only the first call of a turn is signed.
    expect(recent[0]?.parts.map((part) => part.thoughtSignature)).toEqual([
      "skip_thought_signature_validator",
      undefined,
    ]);
  });

  it("names what Google cannot carry", () => {
    const { dropped } = render({
      messages: [
        { role: "user", parts: [{ type: "media", kind: "file", source: { fileId: "file-1" } }] },
        { role: "system", parts: [text("later")] },
      ],
      parallelToolCalls: false,
      user: "u",
      seed: 2 ** 40,
      stop: ["a", "b", "c", "d", "e", "f"],
    });
    expect(dropped).toEqual(["messages[0].file_id", "seed", "stop", "parallel_tool_calls", "user"]);
  });
});

describe("an answer", () => {
  it("that was refused for its prompt is a filtered one", () => {
    const body: JsonObject = {
      promptFeedback: { blockReason: "SAFETY" },
      usageMetadata: { promptTokenCount: 4 },
      modelVersion: "g",
    };
    const response = dialect.parseResponse(body);
    expect(response.choices).toMatchObject([{ parts: [], finishReason: "content-filter" }]);
    expect(dialect.renderResponse(response, contextOf(anyRequest)).body).toMatchObject({
      promptFeedback: { blockReason: "SAFETY" },
    });
    expect(dialect.inspectResponse(body).finishReason).toBe("content-filter");
    expect(() => dialect.parseResponse({ usageMetadata: {} })).toThrow(
      expect.objectContaining({ reason: "provider_bad_response" }),
    );
  });

  it.each([
    ["MALFORMED_FUNCTION_CALL", "error"],
    ["RECITATION", "content-filter"],
    ["SOMETHING_NEW", "error"],
    ["MAX_TOKENS", "length"],
  ])("that ended in %s ended in %s, and says so again", (reason, finish) => {
    const body: JsonObject = {
      candidates: [{ content: { parts: [{ text: "x" }] }, finishReason: reason, index: 0 }],
      responseId: "r",
      modelVersion: "g",
    };
    const response = dialect.parseResponse(body);
    expect(response.choices[0]?.finishReason).toBe(finish);
    expect(dialect.renderResponse(response, contextOf(anyRequest)).body.candidates).toMatchObject([
      { finishReason: reason },
    ]);
  });

  it("has log probabilities, thoughts, tool tokens and sound in its counts", () => {
    const body: JsonObject = {
      candidates: [
        {
          content: { role: "model", parts: [{ text: "a" }] },
          finishReason: "STOP",
          index: 0,
          logprobsResult: {
            chosenCandidates: [{ token: "a", logProbability: -0.5 }],
            topCandidates: [{ candidates: [{ token: "b", logProbability: -1 }] }],
          },
        },
      ],
      usageMetadata: {
        promptTokenCount: 10,
        toolUsePromptTokenCount: 3,
        cachedContentTokenCount: 4,
        candidatesTokenCount: 2,
        thoughtsTokenCount: 5,
        totalTokenCount: 20,
        promptTokensDetails: [{ modality: "AUDIO", tokenCount: 6 }],
      },
      modelVersion: "g",
      responseId: "r",
    };
    const response = dialect.parseResponse(body);
    expect(response.usage).toEqual({
      inputTokens: 13,
      outputTokens: 7,
      cachedInputTokens: 4,
      cacheWriteTokens: 0,
      reasoningTokens: 5,
      audioInputTokens: 6,
      estimated: false,
    });
    expect(response.choices[0]?.logprobs).toEqual([{ token: "a", logprob: -0.5, top: [{ token: "b", logprob: -1 }] }]);
    expect(dialect.renderResponse(response, contextOf(anyRequest)).body).toEqual(body);
  });
});

const sse = (...chunks: JsonObject[]): Buffer =>
  Buffer.from(chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\r\n\r\n`).join(""));
const chunk = (index: number, parts: JsonObject[], finishReason?: string): JsonObject => ({
  candidates: [{ content: { parts, role: "model" }, index, ...(finishReason === undefined ? {} : { finishReason }) }],
  usageMetadata: { promptTokenCount: 4, candidatesTokenCount: index + 1, totalTokenCount: index + 5 },
  responseId: "r",
  modelVersion: "g",
});

describe("a stream", () => {
  it("puts arguments together that come piece by piece", () => {
    const call = (functionCall: JsonObject): JsonObject => chunk(0, [{ functionCall }]);
    const bytes = sse(
      call({ name: "book", willContinue: true }),
      call({
        partialArgs: [{ jsonPath: "$.places[0].name", stringValue: "Be", willContinue: true }],
        willContinue: true,
      }),
      call({
        partialArgs: [
          { jsonPath: "$.places[0].name", stringValue: "rn" },
          { jsonPath: "$.count", numberValue: 2 },
          { jsonPath: "$['a b']", nullValue: "NULL_VALUE" },
        ],
        willContinue: true,
      }),
      call({}),
      chunk(0, [{ functionCall: { name: "ping", args: {} } }], "STOP"),
    );
    const response = responseOf(parseBytes(dialect, bytes, 21));
    expect(response.choices[0]).toMatchObject({
      parts: [
        { name: "book", arguments: '{"places":[{"name":"Bern"}],"count":2,"a b":null}' },
        { name: "ping", arguments: "{}" },
      ],
      finishReason: "tool-calls",
    });
  });

  it("is whole when every candidate has finished, and interrupted before", () => {
    const chunks = [
      chunk(0, [{ text: "a" }]),
      chunk(1, [{ text: "b" }]),
      chunk(0, [], "STOP"),
      chunk(1, [{ text: "c" }], "MAX_TOKENS"),
    ];
    const watcher = dialect.streamWatcher({ hideUsage: false });
    const shown = watcher.push(sse(...chunks));
    expect(shown).toEqual(sse(...chunks.slice(0, 3)));
    expect(watcher.end()).toMatchObject({
      terminal: sse(...chunks.slice(3)),
      error: undefined,
      finishReason: "stop",
      outputCharacters: 3,
      usage: { outputTokens: 2 },
    });
    expect(responseOf(parseBytes(dialect, sse(...chunks), 9)).choices).toMatchObject([
      { finishReason: "stop" },
      { finishReason: "length" },
    ]);
    const short = dialect.streamWatcher({ hideUsage: false });
    short.push(sse(...chunks.slice(0, 3)));
    expect(short.end()).toMatchObject({ error: { reason: "stream_interrupted" }, usage: { inputTokens: 4 } });
    expect(() => parseBytes(dialect, sse(...chunks.slice(0, 3)), 9)).toThrow(
      expect.objectContaining({ reason: "stream_interrupted" }),
    );
  });

  it("loses nothing where every chunk says that it is the last", () => {
    const chunks = [chunk(0, [], "STOP"), chunk(0, [{ text: "a" }], "STOP"), chunk(0, [{ text: "b" }], "MAX_TOKENS")];
    expect(responseOf(parseBytes(dialect, sse(...chunks), 9)).choices).toMatchObject([
      { parts: [{ text: "" }, { text: "ab" }], finishReason: "length" },
    ]);
    const watcher = dialect.streamWatcher({ hideUsage: false });
    for (const one of chunks) {
      watcher.push(sse(one));
      expect(watcher.done).toBe(false);
    }
    const { terminal, error, finishReason } = watcher.end();
    expect([Buffer.from(terminal).toString(), error, finishReason]).toEqual([
      sse(...chunks).toString(),
      undefined,
      "length",
    ]);
    expect(watcher.done).toBe(true);
  });

  it("keeps signatures where they belong", () => {
    const bytes = sse(
      chunk(0, [{ text: "hm", thought: true }]),
      chunk(0, [{ text: "so", thoughtSignature: "c2Vhbg==" }]),
      chunk(0, [{ functionCall: { name: "f", args: {} }, thoughtSignature: "c2VhbA==" }], "STOP"),
    );
    const renderer = dialect.streamRenderer(contextOf(anyRequest));
    const shown = parseBytes(dialect, bytes, 30)
      .map((event) => renderer.push(event))
      .join("");
    expect(shown).toContain('{"thoughtSignature":"c2Vhbg==","text":"so"}');
    expect(shown).toMatch(
      /"thoughtSignature":"c2VhbA==","functionCall"|"functionCall":\{[^}]*\{\}\},"thoughtSignature":"c2VhbA=="/,
    );
    expect(renderer.end().terminal).toContain('"finishReason":"STOP"');
    expect(renderer.dropped).toEqual([]);
  });

  it("ends in the provider's error, wrapped in a list or not", () => {
    const error = { error: { code: 503, message: "busy", status: "UNAVAILABLE" } };
    for (const data of [JSON.stringify(error), JSON.stringify([error])]) {
      const bytes = Buffer.from(`data: ${data}\n\n`);
      expect(() => parseBytes(dialect, bytes, 9)).toThrow(expect.objectContaining({ reason: "provider_overloaded" }));
      const watcher = dialect.streamWatcher({ hideUsage: false });
      expect(watcher.push(bytes)).toBeUndefined();
      expect(watcher).toMatchObject({ started: false, done: true, failure: { code: "UNAVAILABLE" } });
      expect(watcher.end().error?.reason).toBe("provider_overloaded");
    }
  });

  it("whose prompt was refused has a reason and no content", () => {
    const bytes = sse({
      promptFeedback: { blockReason: "PROHIBITED_CONTENT" },
      usageMetadata: { promptTokenCount: 4 },
    });
    expect(responseOf(parseBytes(dialect, bytes, 9)).choices).toMatchObject([
      { parts: [{ type: "text", text: "" }], finishReason: "content-filter" },
    ]);
    const watcher = dialect.streamWatcher({ hideUsage: false });
    watcher.push(bytes);
    expect(watcher.end()).toMatchObject({ error: undefined, finishReason: "content-filter" });
  });
});

describe("an error", () => {
  const quota = (quotaId: string, retryDelay: string): JsonObject[] => [
    { "@type": "type.googleapis.com/google.rpc.QuotaFailure", violations: [{ quotaId }] },
    { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay },
  ];
  it.each<[number, string, string, JsonObject[], string, number | undefined]>([
    [
      429,
      "RESOURCE_EXHAUSTED",
      "quota",
      quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "34s"),
      "provider_rate_limited",
      34_000,
    ],
    [
      429,
      "RESOURCE_EXHAUSTED",
      "quota",
      quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "55.25s"),
      "provider_quota",
      55_250,
    ],
    [429, "RESOURCE_EXHAUSTED", "Quota exceeded, limit: 0, model: x", [], "provider_quota", undefined],
    [503, "UNAVAILABLE", "The model is overloaded.", [], "provider_overloaded", undefined],
    [400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [], "provider_auth", undefined],
    [400, "INVALID_ARGUMENT", "Unknown name", [], "provider_rejected", undefined],
    [403, "PERMISSION_DENIED", "no", [], "provider_auth", undefined],
    [404, "NOT_FOUND", "models/x is not found", [], "provider_rejected", undefined],
    [500, "INTERNAL", "oops", [], "provider_error", undefined],
    [504, "DEADLINE_EXCEEDED", "late", [], "provider_timeout", undefined],
  ])("%i %s (%s) is of its class", (code, status, message, details, reason, retryAfterMs) => {
    const body: JsonObject = { error: { code, message, status, details } };
    const wrapped = JSON.parse(JSON.stringify([body])) as unknown as JsonObject;
    for (const given of [body, wrapped])
      expect(dialect.parseError(code, given, () => undefined)).toMatchObject({
        code: status,
        error: { reason, retryAfterMs },
      });
  });
});
