import { WeirError } from "@weir/kernel";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ChatEvent, ChatRequest, Json, JsonObject, Part } from "./core.ts";
import type { RenderContext } from "./dialect.ts";
import { openAiChat } from "./openai-chat.ts";
import { openAiResponses } from "./openai-responses.ts";
import { SseParser } from "./sse.ts";

const request: ChatRequest = { model: "m", messages: [{ role: "user", parts: [] }], stream: true };
const context: RenderContext = { request, requestId: "0190a0b0-0000-7000-8000-000000000001", nowS: 1_700_000_000 };
const again = (body: JsonObject): JsonObject => openAiResponses.renderRequest(openAiResponses.parseRequest(body)).body;

const eventsOf = (text: string) => {
  const sse = new SseParser();
  return [...sse.push(new TextEncoder().encode(text)), ...sse.end()];
};
const parseStream = (text: string): ChatEvent[] => {
  const parser = openAiResponses.streamParser();
  const events = eventsOf(text).flatMap((event) => parser.push(event));
  return [...events, ...parser.end()];
};
const stream = (...bodies: JsonObject[]): string =>
  bodies.map((body) => `event: ${body.type as string}\ndata: ${JSON.stringify(body)}\n\n`).join("");
const render = (events: readonly ChatEvent[], within = context): string => {
  const renderer = openAiResponses.streamRenderer(within);
  const text = events.map((event) => renderer.push(event)).join("");
  const { preface, terminal } = renderer.end();
  return text + preface + terminal;
};
/** The parts that a stream's events make up. */
const partsOf = (events: readonly ChatEvent[]) => {
  const parts = new Map<number, Record<string, unknown>>();
  for (const event of events) {
    if (event.type === "part-start") {
      const part: Record<string, unknown> = { ...event.part };
      delete part.extra;
      parts.set(event.index, part);
    } else if (event.type === "part-delta") {
      const part = parts.get(event.index) ?? {};
      const key = part.type === "tool-call" ? "arguments" : "text";
      part[key] = `${part[key] as string}${event.text}`;
      if (event.signature !== undefined) part.signature = event.signature;
    }
  }
  return [...parts.values()];
};

describe("a responses request", () => {
  const body: JsonObject = {
    model: "gpt-x",
    instructions: "be brief",
    input: [
      { type: "message", role: "developer", content: "d" },
      {
        type: "message",
        role: "user",
        content: [
          { type: "input_text", text: "look" },
          { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "low" },
          { type: "input_image", file_id: "file-1", detail: "auto" },
          { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,CCCC" },
          { type: "input_file", file_url: "https://x.test/a.pdf" },
          { type: "surprise", x: 1 },
        ],
      },
      {
        type: "reasoning",
        id: "rs_1",
        summary: [
          { type: "summary_text", text: "a" },
          { type: "summary_text", text: "b" },
        ],
        encrypted_content: "E",
      },
      {
        type: "message",
        id: "msg_1",
        status: "completed",
        phase: "commentary",
        role: "assistant",
        content: [{ type: "output_text", text: "let me", annotations: [{ type: "url_citation" }], logprobs: [] }],
      },
      {
        type: "function_call",
        id: "fc_1",
        status: "completed",
        call_id: "call_1",
        name: "f",
        arguments: "{}",
        namespace: "n",
      },
      { type: "function_call", call_id: "call_2", name: "f", arguments: "{}" },
      { type: "function_call_output", call_id: "call_1", output: "one", id: "fco_1" },
      {
        type: "function_call_output",
        call_id: "call_2",
        output: [{ type: "input_image", image_url: "https://x.test/i.png", detail: "auto" }],
      },
      { type: "item_reference", id: "msg_0" },
      { type: "web_search_call", id: "ws_1", status: "completed", action: {} },
      { type: "custom_tool_call_output", call_id: "c", output: "x" },
      { type: "message", role: "assistant", content: "plain" },
    ],
    tools: [
      { type: "function", name: "f", parameters: { type: "object" }, strict: true, defer_loading: true },
      { type: "web_search" },
    ],
    tool_choice: { type: "allowed_tools", mode: "auto", tools: [] },
    parallel_tool_calls: true,
    text: { format: { type: "json_schema", name: "n", schema: {}, strict: true }, verbosity: "low" },
    reasoning: { effort: "low", summary: "auto" },
    max_output_tokens: 9,
    temperature: 0.5,
    top_p: 1,
    top_logprobs: 2,
    user: "u",
    stream: true,
    include: ["message.output_text.logprobs", "reasoning.encrypted_content"],
    store: true,
    previous_response_id: "resp_0",
    metadata: { a: "b" },
  };

  it("comes back as it was, unknown fields of every level included", () => {
    expect(again(body)).toEqual(body);
    expect(again({ model: "m", input: "hi" })).toEqual({ model: "m", input: "hi" });
    expect(again({ model: "m", input: "hi", instructions: "be brief" })).toEqual({
      model: "m",
      input: "hi",
      instructions: "be brief",
    });
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
        ([top, message, part, call, tool, said]) => {
          const once: JsonObject = {
            ...top,
            model: "m",
            input: [
              {
                ...message,
                type: "message",
                role: "user",
                content: [
                  { ...part, type: "input_text", text: "a" },
                  { type: "input_text", text: "b" },
                ],
              },
              { ...said, type: "message", role: "assistant", content: "c" },
              { ...call, type: "function_call", call_id: "i", name: "f", arguments: "" },
              { ...call, type: "reasoning", summary: [] },
              { ...call, type: "function_call_output", call_id: "i", output: "" },
            ],
            tools: [{ ...tool, type: "function", name: "f" }],
            text: { ...part, format: { type: "text" } },
          };
          expect(again(once)).toEqual(once);
        },
      ),
    );
  });

  it("gathers what the assistant did in a row, so that chat completions can say it", () => {
    const { body: chat, dropped } = openAiChat.renderRequest(openAiResponses.parseRequest(body));
    const roles = (chat.messages as JsonObject[]).map(({ role }) => role);
    // The items that only this dialect has are named as dropped, and leave no empty messages.
    expect(roles).toEqual("system developer user assistant tool tool user assistant".split(" "));
    expect((chat.messages as JsonObject[])[3]).toMatchObject({
      content: "let me",
      tool_calls: [{ id: "call_1" }, { id: "call_2" }],
    });
    expect(dropped).toEqual(
      expect.arrayContaining(["store", "previous_response_id", "include", "tools[1].web_search"]),
    );
  });

  it("writes another dialect's request", () => {
    const chat = openAiChat.parseRequest({
      model: "m",
      messages: [
        { role: "system", content: "s" },
        { role: "user", content: "u" },
        {
          role: "assistant",
          content: "a",
          reasoning_content: "t",
          tool_calls: [{ id: "c", function: { name: "f", arguments: "{}" } }],
        },
        { role: "tool", tool_call_id: "c", content: "r" },
      ],
      tools: [{ type: "function", function: { name: "f" } }],
      stop: ["x"],
      seed: 1,
    });
    const { body: rendered, dropped } = openAiResponses.renderRequest(chat);
    expect(rendered).toEqual({
      model: "m",
      instructions: "s",
      input: [
        { type: "message", role: "user", content: "u" },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "a", annotations: [] }] },
        { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
        { type: "function_call_output", call_id: "c", output: "r" },
      ],
      tools: [{ type: "function", name: "f", parameters: { type: "object", properties: {} }, strict: false }],
      store: false,
    });
    expect(dropped).toEqual(["messages[2].content[0].thinking", "stop", "seed"]);
  });

  it("names the parameter at fault", () => {
    for (const [wrong, param] of [
      [{}, "model"],
      [{ model: "m", input: [{ x: 1 }] }, "input[0].type"],
      [{ model: "m", input: [{ type: "function_call_output", output: "x" }] }, "input[0].call_id"],
      [{ model: "m", input: [{ role: "user", content: [{ type: "input_text" }] }] }, "input[0].content[0].text"],
      [{ model: "m", max_output_tokens: -1 }, "max_output_tokens"],
    ] as [JsonObject, string][])
      expect(() => openAiResponses.parseRequest(wrong)).toThrow(
        expect.objectContaining({ reason: "invalid_request", param }),
      );
  });
});

describe("a response", () => {
  it("comes back as it was", () => {
    const body: JsonObject = {
      id: "resp_1",
      object: "response",
      created_at: 5,
      status: "completed",
      background: false,
      error: null,
      incomplete_details: null,
      instructions: null,
      max_output_tokens: null,
      model: "m",
      parallel_tool_calls: true,
      previous_response_id: null,
      reasoning: { effort: "none", summary: null },
      service_tier: "default",
      store: true,
      temperature: 1,
      text: { format: { type: "text" }, verbosity: "medium" },
      tool_choice: "auto",
      tools: [],
      top_p: 1,
      truncation: "disabled",
      user: null,
      metadata: {},
      output: [
        { id: "rs_1", type: "reasoning", summary: [], encrypted_content: "E" },
        { id: "ws_1", type: "web_search_call", status: "completed" },
        {
          id: "msg_1",
          type: "message",
          status: "completed",
          role: "assistant",
          content: [
            { type: "output_text", text: "a", annotations: [{ type: "file_citation" }], logprobs: [] },
            { type: "refusal", refusal: "b" },
          ],
        },
        { id: "fc_1", type: "function_call", status: "completed", call_id: "c", name: "f", arguments: "{}" },
      ],
      usage: {
        input_tokens: 5,
        input_tokens_details: { cached_tokens: 1 },
        output_tokens: 2,
        output_tokens_details: { reasoning_tokens: 1 },
        total_tokens: 7,
      },
    };
    const parsed = openAiResponses.parseResponse(body);
    expect(parsed.choices[0]?.finishReason).toBe("tool-calls");
    const { body: rendered, dropped } = openAiResponses.renderResponse(parsed, context);
    expect(rendered).toEqual(body);
    expect(dropped).toEqual([]);
    expect(openAiResponses.inspectResponse(body)).toMatchObject({
      finishReason: "tool-calls",
      outputCharacters: "abf{}".length,
      usage: { inputTokens: 5 },
    });
  });

  it("says why it is incomplete, and fails where it failed", () => {
    const base: JsonObject = { output: [], status: "incomplete", incomplete_details: { reason: "max_output_tokens" } };
    const parsed = openAiResponses.parseResponse(base);
    expect(parsed.choices[0]?.finishReason).toBe("length");
    expect(openAiResponses.renderResponse(parsed, context).body).toMatchObject(base);
    const failed: JsonObject = {
      output: [],
      status: "failed",
      error: { code: "rate_limit_exceeded", message: "slow" },
    };
    expect(() => openAiResponses.parseResponse(failed)).toThrow(
      expect.objectContaining({ reason: "provider_rate_limited" }),
    );
  });
});

describe("a streamed response", () => {
  const part = fc.oneof(
    fc.record({ type: fc.constantFrom("text" as const, "refusal" as const), text: fc.string() }),
    fc.record({ type: fc.constant("thinking" as const), text: fc.string() }),
    fc.record({
      type: fc.constant("tool-call" as const),
      id: fc.uuid(),
      name: fc.string({ minLength: 1 }),
      arguments: fc.json(),
    }),
  ) as fc.Arbitrary<Part & { type: "text" | "refusal" | "thinking" | "tool-call" }>;

  it("says again what was rendered", () => {
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 6 }),
        fc.constantFrom("length" as const, "content-filter" as const, undefined),
        fc.nat(5),
        (parts, reason, step) => {
          const events: ChatEvent[] = [{ type: "start", id: "resp_1", model: "m", createdS: 5 }];
          for (const [index, one] of parts.entries()) {
            const whole = one.type === "tool-call" ? one.arguments : one.text;
            events.push({
              type: "part-start",
              choice: 0,
              index,
              part: one.type === "tool-call" ? { ...one, arguments: "" } : { ...one, text: "" },
            });
            for (let at = 0; at < whole.length; at += step + 1)
              events.push({ type: "part-delta", choice: 0, index, text: whole.slice(at, at + step + 1) });
            // Calls may be open at once; they end with the stream.
            if (one.type !== "tool-call") events.push({ type: "part-end", choice: 0, index });
          }
          for (const [index, one] of parts.entries())
            if (one.type === "tool-call") events.push({ type: "part-end", choice: 0, index });
          const finish = reason ?? (parts.some((one) => one.type === "tool-call") ? "tool-calls" : "stop");
          events.push({ type: "finish", choice: 0, reason: finish });
          const usage = {
            inputTokens: 9,
            outputTokens: 5,
            cachedInputTokens: 3,
            cacheWriteTokens: 2,
            reasoningTokens: 1,
            estimated: false,
          };
          events.push({ type: "usage", usage });
          const text = render(events);
          const heard = parseStream(text);
          expect(heard[0]).toMatchObject({ type: "start", id: "resp_1", model: "m", createdS: 5 });
          expect(partsOf(heard)).toEqual(parts);
          expect(heard).toContainEqual({ type: "finish", choice: 0, reason: finish });
          expect(heard.at(-1)).toEqual({ type: "usage", usage });
          const numbers = eventsOf(text).map(({ data }) => (JSON.parse(data) as JsonObject).sequence_number);
          expect(numbers).toEqual(numbers.map((_, at) => at));
          const watcher = openAiResponses.streamWatcher({ hideUsage: false });
          watcher.push(new TextEncoder().encode(text));
          expect(watcher.end()).toMatchObject({ error: undefined, usage, finishReason: finish });
        },
      ),
    );
  });

  it("carries the seal of thinking back to its own clients only", () => {
    const item: JsonObject = {
      type: "reasoning",
      id: "rs_1",
      summary: [
        { type: "summary_text", text: "a" },
        { type: "summary_text", text: "b" },
      ],
      encrypted_content: "E",
    };
    const heard = parseStream(
      stream(
        { type: "response.created", response: { id: "resp_1", model: "m", created_at: 1 } },
        {
          type: "response.output_item.added",
          output_index: 0,
          item: { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "" },
        },
        { type: "response.reasoning_summary_part.added", output_index: 0, summary_index: 0 },
        { type: "response.reasoning_summary_text.delta", output_index: 0, summary_index: 0, delta: "a" },
        { type: "response.reasoning_summary_part.added", output_index: 0, summary_index: 1 },
        { type: "response.reasoning_summary_text.delta", output_index: 0, summary_index: 1, delta: "b" },
        { type: "response.output_item.done", output_index: 0, item },
        { type: "response.completed", response: { id: "resp_1", status: "completed", usage: null } },
      ),
    );
    expect(partsOf(heard)).toEqual([{ type: "thinking", text: "a\n\nb", signature: "E" }]);
    expect(render(heard)).toContain('"encrypted_content":"E"');
    const chat = openAiChat.streamRenderer(context);
    expect(heard.map((event) => chat.push(event)).join("")).not.toContain('E"');
    expect(chat.dropped).toEqual(["choices[0].content[0].signature"]);
  });

  it("reads servers that leave deltas, added items or event names out", () => {
    const message: JsonObject = { type: "message", id: "m", content: [{ type: "output_text", text: "hi" }] };
    const call: JsonObject = { type: "function_call", call_id: "c", name: "f", arguments: "{}" };
    const text = [
      { type: "response.output_item.done", output_index: 0, item: message },
      { type: "response.output_item.done", output_index: 1, item: call },
      { type: "response.completed", response: { status: "completed" } },
    ]
      .map((body) => `data: ${JSON.stringify(body)}\n\n`)
      .join("");
    expect(partsOf(parseStream(text))).toEqual([
      { type: "text", text: "hi" },
      { type: "tool-call", id: "c", name: "f", arguments: "{}" },
    ]);
  });

  it("throws its error, wherever it stands, and is interrupted where no end came", () => {
    const flat: JsonObject = { type: "error", code: "server_error", message: "m", param: null, sequence_number: 3 };
    const nested: JsonObject = {
      type: "error",
      error: { type: "insufficient_quota", code: "insufficient_quota", message: "m" },
    };
    const failed: JsonObject = {
      type: "response.failed",
      response: { status: "failed", error: { code: "rate_limit_exceeded", message: "m" } },
    };
    for (const [body, reason] of [
      [flat, "provider_error"],
      [nested, "provider_quota"],
      [failed, "provider_rate_limited"],
    ] as const) {
      expect(() => parseStream(stream(body))).toThrow(expect.objectContaining({ reason, message: "m" }));
      const watcher = openAiResponses.streamWatcher({ hideUsage: false });
      expect(watcher.push(new TextEncoder().encode(stream(body)))).toBeUndefined();
      expect(watcher.done).toBe(true);
      expect(watcher.end().error?.reason).toBe(reason);
    }
    const cut = stream({ type: "response.created", response: { id: "r" } });
    expect(() => parseStream(cut)).toThrow(expect.objectContaining({ reason: "stream_interrupted" }));
  });

  it("has not started before it says something", () => {
    const watcher = openAiResponses.streamWatcher({ hideUsage: false });
    const push = (body: JsonObject) => watcher.push(new TextEncoder().encode(stream(body)));
    push({ type: "response.created", response: {} });
    push({ type: "response.output_item.added", item: { type: "message" } });
    expect(watcher.started).toBe(false);
    push({ type: "response.output_text.delta", delta: "x" });
    expect(watcher.started).toBe(true);
  });
});

describe("any JSON", () => {
  it("is read, or refused with a WeirError", () => {
    const types = (
      "message function_call reasoning output_text input_text input_image function_call_output input_file refusal error " +
      "response.created response.output_item.added response.output_text.delta response.completed"
    ).split(" ");
    const keys = (
      "type role content text output call_id name arguments item part delta response input tools tool_choice reasoning summary " +
      "error status usage output_index image_url refusal include"
    ).split(" ");
    const { value } = fc.letrec<{ value: Json }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<Json[]>("user", "assistant", "x", 1, true, null, ...types),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...keys), tie("value"), { maxKeys: 6, noNullPrototype: true }),
      ),
    }));
    const any = fc.dictionary(fc.constantFrom(...keys), value, { noNullPrototype: true }) as fc.Arbitrary<JsonObject>;
    const tolerate = (run: () => void): void => {
      try {
        run();
      } catch (error) {
        expect(error).toBeInstanceOf(WeirError);
      }
    };
    fc.assert(
      fc.property(any, (body) => {
        tolerate(() => void openAiResponses.renderRequest(openAiResponses.parseRequest({ model: "m", ...body })));
        tolerate(() => void openAiResponses.renderRequest(openAiResponses.parseRequest({ model: "m", input: [body] })));
        tolerate(() => void openAiResponses.renderResponse(openAiResponses.parseResponse(body), context));
        tolerate(() => void openAiResponses.renderResponse(openAiResponses.parseResponse({ output: [body] }), context));
        const parser = openAiResponses.streamParser();
        const renderer = openAiResponses.streamRenderer(context);
        for (const data of [body, { ...body, item: body }, { ...body, type: "response.output_item.done" }])
          tolerate(() =>
            parser.push({ event: "", data: JSON.stringify(data) }).forEach((event) => renderer.push(event)),
          );
        renderer.end();
        const watcher = openAiResponses.streamWatcher({ hideUsage: false });
        watcher.push(new TextEncoder().encode(`data: ${JSON.stringify(body)}\n\n`));
        openAiResponses.inspectResponse(body);
      }),
      { numRuns: 500 },
    );
  });
});
