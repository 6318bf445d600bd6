/** What goes through Weir comes out as it went in: same dialect, same bytes; another dialect, the same meaning. */
import { COMPOSITIONS, type LedgerEntry } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask, FACES } from "../support/ask.ts";
import { bootWhole, MODELS, type Whole } from "../support/whole.ts";

/** The same names on both sides, so that not even the model is changed. */
const CONFIG = `  gpt-4o-mini: { targets: [{ provider: openai, model: gpt-4o-mini }] }
  claude-haiku-4-5: { targets: [{ provider: claude, model: claude-haiku-4-5 }] }
`;

/** Odd, and valid: spacing, key order, escapes, numbers that JavaScript would round, fields nobody knows yet. */
const odd = (name: string): string =>
  String.raw`{ "z_first":null,${"\n\t"}"model" :"${name}", "n_big":9007199254740993,"esc":"\u00e9 é \ud83c\udf0a 🌊 \/ \"\\ \u2028","empty":{ },"list":[ ], "nums":[ 1.0 ,2e3,-0, 12345678901234567890,0.1000000000000000055511151231257827]`;

interface Passed {
  readonly face: string;
  readonly path: string;
  readonly own: string;
  readonly alias: string;
  readonly request: (model: string, more?: string) => string;
  readonly answer: string;
  readonly stream: string;
}

const sse = (...events: string[]): string => events.map((event) => `${event}\n\n`).join("");

const PASSED: readonly Passed[] = [
  {
    face: "chat",
    path: "/v1/chat/completions",
    own: "gpt-4o-mini",
    alias: "m-openai",
    request: (model, more = "") => `${odd(model)} ,"messages":[ {"content":"hi","role":"user","x_in":[{}]} ]${more}}`,
    answer: String.raw`{ "id":"chatcmpl-1",  "x_unknown":{"big":12345678901234567890,"f":1.50}, "choices":[{"index":0,"message":{"role":"assistant","content":"caf\u00e9","x_in":1},"finish_reason":"stop","x_c":[ ]}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"x_u":1.0},"model":"gpt-4o-mini-2024"} `,
    stream: sse(
      `: a comment`,
      String.raw`data: {"id":"c","object":"chat.completion.chunk","x_new":1.0,"choices":[{"index":0,"delta":{"role":"assistant","content":"caf\u00e9","x_d":12345678901234567890}}]}`,
      `data:{"id":"c", "choices":[{"index":0,"delta":{ "content":" é"}}]}`,
      `data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x":null}`,
      `data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"x_u":2}}`,
      "data: [DONE]",
    ),
  },
  {
    face: "responses",
    path: "/v1/responses",
    own: "gpt-4o-mini",
    alias: "m-openai",
    request: (model, more = "") => `${odd(model)} ,"input":[ {"content":"hi","role":"user","x_in":[{}]} ]${more}}`,
    answer: String.raw`{ "id":"resp_1", "object":"response","status":"completed","x_unknown":{"big":12345678901234567890}, "output":[{"type":"message","id":"m","role":"assistant","status":"completed","content":[{"type":"output_text","text":"caf\u00e9","annotations":[],"x":1.0}]},{"type":"x_new_item","v":[ ]}],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5,"x_u":1.0}} `,
    stream: sse(
      String.raw`event: response.created` +
        "\n" +
        `data: {"type":"response.created","sequence_number":0,"response":{"id":"r","status":"in_progress","x":1.0,"output":[]}}`,
      `event: response.x_new\ndata: {"type":"response.x_new","sequence_number":1,"v":12345678901234567890}`,
      String.raw`event: response.output_text.delta` +
        "\n" +
        String.raw`data: {"type":"response.output_text.delta","sequence_number":2,"item_id":"m","output_index":0,"content_index":0,"delta":"caf\u00e9"}`,
      `event: response.completed\ndata: {"type":"response.completed","sequence_number":3,"response":{"id":"r","status":"completed","output":[],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5},"x": 1.0}}`,
    ),
  },
  {
    face: "messages",
    path: "/v1/messages",
    own: "claude-haiku-4-5",
    alias: "m-anthropic",
    request: (model, more = "") =>
      `${odd(model)} ,"max_tokens" : 100,"messages":[ {"content":"hi","role":"user","x_in":[{}]} ]${more}}`,
    answer: String.raw`{ "id":"msg_1","type":"message","role":"assistant", "model":"claude-x","x_unknown":{"big":12345678901234567890}, "content":[{"type":"text","text":"caf\u00e9","x":1.0},{"type":"x_new_block","v":[ ]}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2,"x_u":1.0}} `,
    stream: sse(
      `event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"x":1.0,"usage":{"input_tokens":3,"output_tokens":1}}}`,
      `event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
      `event: x_new\ndata: {"type":"x_new","v":12345678901234567890}`,
      String.raw`event: content_block_delta` +
        "\n" +
        String.raw`data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"caf\u00e9","x":[ ]}}`,
      `event: content_block_stop\ndata: {"type":"content_block_stop","index":0}`,
      `event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2,"x_u":1.0}}`,
      `event: message_stop\ndata: {"type":"message_stop"}`,
    ),
  },
];

/** Without comments, which are no events. */
const eventsOf = (stream: string): string[] =>
  stream.split("\n\n").filter((event) => event !== "" && !event.startsWith(":"));

const TOOL = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
/** A tool in each dialect's words, and what the answer must hold. */
const TOOLS: Record<string, object> = {
  chat: { tools: [{ type: "function", function: { name: "get_weather", parameters: TOOL } }] },
  responses: { tools: [{ type: "function", name: "get_weather", parameters: TOOL }] },
  messages: { tools: [{ name: "get_weather", input_schema: TOOL }] },
};

interface Told {
  readonly input: number;
  readonly output: number;
  readonly finish: string;
}

function told(face: string, text: string): Told {
  const answer = JSON.parse(text) as {
    readonly usage: Record<string, number>;
    readonly choices?: { finish_reason: string }[];
    readonly stop_reason?: string;
    readonly status?: string;
  };
  const { usage } = answer;
  return {
    input: usage[face === "chat" ? "prompt_tokens" : "input_tokens"] ?? -1,
    output: usage[face === "chat" ? "completion_tokens" : "output_tokens"] ?? -1,
    finish: answer.choices?.[0]?.finish_reason ?? answer.stop_reason ?? answer.status ?? "",
  };
}

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  beforeAll(async () => {
    whole = await bootWhole(composition, { config: CONFIG });
  });
  afterAll(() => whole?.[Symbol.asyncDispose]());
  beforeEach(() => whole.simulator.reset());
  const seen = (): LedgerEntry => {
    const [entry, ...others] = whole.simulator.ledger;
    if (entry === undefined || others.length > 0)
      throw new Error(`the provider got ${whole.simulator.ledger.length} requests`);
    return entry;
  };

  describe.each(PASSED)("$face onto its own dialect", ({ path, own, alias, request, answer, stream }) => {
    test("a request's bytes are not touched", async () => {
      const sent = request(own);
      const got = await ask(whole.weir, path, sent);
      expect(got.status, await got.text()).toBe(200);
      expect(seen().body).toBe(sent);
    });

    test("an alias changes the model's name and nothing else", async () => {
      await (await ask(whole.weir, path, request(alias))).text();
      expect(seen().body).toBe(request(own));
    });

    test("an answer's bytes are not touched", async () => {
      whole.simulator.script({ behaviour: { raw: answer } });
      const got = await ask(whole.weir, path, request(alias));
      expect(await got.text()).toBe(answer);
      expect(got.headers.get("x-weir-cost-usd")).not.toBeNull();
      expect(got.headers.get("x-weir-dropped")).toBeNull();
    });

    test("a stream's request and events are not touched", async () => {
      whole.simulator.script({ behaviour: { raw: stream, contentType: "text/event-stream" } });
      const usage = path === "/v1/chat/completions" ? `, "stream_options" :{"include_usage": true , "x":1.0}` : "";
      const got = await ask(whole.weir, path, request(alias, `, "stream" : true${usage}`));
      const text = await got.text();
      expect(seen().body).toBe(request(own, `, "stream" : true${usage}`));
      expect(eventsOf(text)).toEqual(eventsOf(stream));
    });

    test("a provider's refusal keeps its own words", async () => {
      const words = `{ "error" : {"message":"no \\u00e9", "type":"invalid_request_error","x_more":12345678901234567890}, "type":"error"}`;
      whole.simulator.script({ behaviour: { status: 422, raw: words } });
      const got = await ask(whole.weir, path, request(alias));
      expect(got.status).toBe(422);
      expect(await got.text()).toBe(words);
    });
  });

  test("usage that Weir asks of a stream by itself is not shown", async () => {
    const [chat] = PASSED;
    const got = await ask(whole.weir, "/v1/chat/completions", chat?.request("m-openai", `,"stream":true`) ?? "");
    const text = await got.text();
    expect(seen().body).toBe(chat?.request("gpt-4o-mini", `,"stream":true,"stream_options":{"include_usage":true}`));
    expect(text).not.toContain("prompt_tokens");
    expect(text).toMatch(FACES[0]?.ending ?? /never/);
  });

  describe.each(FACES)("$name", ({ name, path, body, textOf, ending }) => {
    describe.each(MODELS)("onto %s", (model) => {
      test("text, usage and finish", async () => {
        const got = await ask(whole.weir, path, body(model, "one two three"));
        const text = await got.text();
        expect(got.status, text).toBe(200);
        expect(textOf(text)).toContain("one two three");
        const { input, output, finish } = told(name, text);
        expect(input).toBeGreaterThanOrEqual(3);
        expect(output).toBeGreaterThanOrEqual(3);
        expect(finish).toBe({ chat: "stop", responses: "completed", messages: "end_turn" }[name]);
      });

      test("a stream comes whole and ends as its dialect does", async () => {
        const got = await ask(whole.weir, path, body(model, "one two three", true));
        const text = await got.text();
        expect(got.headers.get("content-type")).toContain("text/event-stream");
        expect(text).toMatch(ending);
        for (const word of ["one", "two", "three"]) expect(text).toContain(word);
      });

      test("a cap ends it early, and says so", async () => {
        const cap = name === "responses" ? { max_output_tokens: 2 } : { max_tokens: 2 };
        const got = await ask(whole.weir, path, { ...body(model, "a b c d e f g h i j"), ...cap });
        const { finish, output } = told(name, await got.text());
        expect(finish).toBe({ chat: "length", responses: "incomplete", messages: "max_tokens" }[name]);
        expect(output).toBeLessThanOrEqual(2);
      });

      test("a tool is called", async () => {
        const got = await ask(whole.weir, path, { ...body(model, "weather?"), ...TOOLS[name] });
        const text = await got.text();
        expect(got.status, text).toBe(200);
        expect(text).toContain("get_weather");
        expect(text).toContain("city");
        expect(told(name, text).finish).toBe(
          { chat: "tool_calls", responses: "completed", messages: "tool_use" }[name],
        );
      });
    });
  });

  test("what a provider's dialect cannot say is named", async () => {
    const chat = FACES[0];
    const drop = async (model: string, more: object): Promise<string[]> => {
      const got = await ask(whole.weir, "/v1/chat/completions", { ...chat?.body(model, "hi"), ...more });
      expect(got.status, await got.text()).toBe(200);
      return (got.headers.get("x-weir-dropped") ?? "").split(", ").filter((field) => field !== "");
    };
    const odd = { logit_bias: { "1": 1 }, x_new: 1, seed: 7 };
    const onAnthropic = await drop("m-anthropic", odd);
    for (const field of Object.keys(odd)) expect(onAnthropic).toContain(field);
    expect(await drop("m-gemini", odd)).toEqual(expect.arrayContaining(["logit_bias", "x_new"]));
    // Nothing is dropped where nothing is translated.
    expect(await drop("m-openai", odd)).toEqual([]);
    // A stream names it before its first byte.
    const streamed = await ask(whole.weir, "/v1/chat/completions", {
      ...chat?.body("m-anthropic", "hi", true),
      ...odd,
    });
    await streamed.text();
    expect(streamed.headers.get("x-weir-dropped")).toContain("logit_bias");
  });

  test("embeddings go to every kind that embeds", async () => {
    for (const model of ["m-echo", "openai/text-embedding-3-small", "m-compatible", "gemini/gemini-embedding-001"]) {
      const got = await ask(whole.weir, "/v1/embeddings", { model, input: ["one", "two"] });
      const text = await got.text();
      expect(got.status, `${model} ${text}`).toBe(200);
      const { data, usage } = JSON.parse(text) as { data: { embedding: number[] }[]; usage: { prompt_tokens: number } };
      expect(data.map(({ embedding }) => embedding.length > 0)).toEqual([true, true]);
      expect(usage.prompt_tokens).toBeGreaterThan(0);
    }
    const none = await ask(whole.weir, "/v1/embeddings", { model: "m-anthropic", input: "x" });
    expect(none.status).toBe(400);
    expect(await none.text()).toContain('"unsupported"');
  });

  test("the alias `/v1/chat` is chat", async () => {
    const got = await ask(whole.weir, "/v1/chat", FACES[0]?.body("m-openai", "hello") ?? {});
    expect(FACES[0]?.textOf(await got.text())).toContain("hello");
  });
});
