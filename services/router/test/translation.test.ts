import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { common, router } from "@weir/contracts";
import { type Simulator, startSimulator } from "@weir/testkit";
import { boot, type Booted, collect, configOf, jsonOf, model, rawCall, simulated, type WireName } from "./harness.ts";
import { at, readStream, readWhole } from "./reading.ts";

type Json = Record<string, unknown>;

const parameters = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};
const ARGUMENTS = { city: "text", days: 1 };
const HELLO = "hello brave new world";

/** What a client of each dialect sends, and how its streams end. */
interface ClientSide {
  ask(name: string, options: { tools?: boolean; stream?: boolean }): Json;
  readonly terminal: string | undefined;
}

const clients: Record<Exclude<WireName, "openai-embeddings">, ClientSide> = {
  "openai-chat": {
    ask: (name, { tools, stream }) => ({
      model: name,
      messages: [
        { role: "system", content: "be kind" },
        { role: "user", content: HELLO },
      ],
      ...(tools === true ? { tools: [{ type: "function", function: { name: "weather", parameters } }] } : {}),
      ...(stream === true ? { stream, stream_options: { include_usage: true } } : {}),
    }),
    terminal: "[DONE]",
  },
  "openai-responses": {
    ask: (name, { tools, stream }) => ({
      model: name,
      instructions: "be kind",
      input: [{ role: "user", content: [{ type: "input_text", text: HELLO }] }],
      ...(tools === true ? { tools: [{ type: "function", name: "weather", parameters, strict: true }] } : {}),
      ...(stream === true ? { stream } : {}),
    }),
    terminal: "response.completed",
  },
  "anthropic-messages": {
    ask: (name, { tools, stream }) => ({
      model: name,
      max_tokens: 500,
      system: "be kind",
      messages: [{ role: "user", content: HELLO }],
      ...(tools === true ? { tools: [{ name: "weather", input_schema: parameters }] } : {}),
      ...(stream === true ? { stream } : {}),
    }),
    terminal: "message_stop",
  },
  "gemini-generate": {
    ask: (_, { tools }) => ({
      systemInstruction: { parts: [{ text: "be kind" }] },
      contents: [{ role: "user", parts: [{ text: HELLO }] }],
      ...(tools === true
        ? { tools: [{ functionDeclarations: [{ name: "weather", parametersJsonSchema: parameters }] }] }
        : {}),
    }),
    terminal: undefined,
  },
};

let simulator: Simulator;
let weir: Booted;

const models = {
  openai: "gpt-4o-mini",
  anthropic: "claude-haiku-4-5",
  gemini: "gemini-2.5-flash",
  local: "llama-3.3",
  azure: "gpt-4o-mini",
  vertex: "gemini-2.5-flash",
  bedrock: "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
  mistral: "mistral-large-latest",
  cohere: "command-r-08-2024",
  tgi: "tgi",
  echo: "echo",
} as const;
const kinds = Object.keys(models) as (keyof typeof models)[];
/** The same provider with other models of other makers. */
const others = {
  claude: "vertex/claude-haiku-4-5@20251001",
  llama: "vertex/meta/llama-3.3-70b-instruct-maas",
  embedder: "vertex/gemini-embedding-001",
};

beforeAll(async () => {
  simulator = await startSimulator();
  const aliases = [
    ...kinds.map((kind) => model(`by-${kind}`, [`${kind}/${models[kind]}`])),
    ...Object.entries(others).map(([name, target]) => model(`by-${name}`, [target])),
  ];
  weir = await boot({ config: configOf(simulated(simulator.origin), aliases) });
});
afterAll(async () => {
  await weir[Symbol.asyncDispose]();
  await simulator[Symbol.asyncDispose]();
});
afterEach(() => simulator.reset());

const dialects = Object.keys(clients) as (keyof typeof clients)[];
const pairs = dialects.flatMap((dialect) => kinds.map((kind) => ({ dialect, kind })));

describe.each(pairs)("a client of $dialect, served by $kind", ({ dialect, kind }) => {
  const client = clients[dialect];
  const name = `by-${kind}`;
  const said = kind === "echo" ? HELLO : `You said: ${HELLO}`;
  const more = { model: name };

  it("gets the text", async () => {
    const { output, result } = await weir.client.complete(rawCall(dialect, client.ask(name, {}), more));
    expect(readWhole[dialect]?.(jsonOf(output)).text).toBe(said);
    expect(result).toMatchObject({
      finishReason: common.FinishReason.STOP,
      served: { provider: kind, model: models[kind] },
    });
    expect(result?.usage).toMatchObject({ estimated: false });
    expect(result?.usage?.inputTokens).toBe(6);
    if (kind !== "local" && kind !== "tgi") expect(result?.costNanos).toBeGreaterThan(0n);
  });

  it("gets the tool call", async () => {
    const { output, result } = await weir.client.complete(rawCall(dialect, client.ask(name, { tools: true }), more));
    expect(readWhole[dialect]?.(jsonOf(output)).calls).toEqual([{ name: "weather", args: ARGUMENTS }]);
    // Gemini says STOP also where it calls a tool.
    if (kind !== "gemini" || dialect !== "gemini-generate")
      expect(result?.finishReason).toBe(common.FinishReason.TOOL_CALLS);
  });

  it("gets the text as a stream", async () => {
    const call = rawCall(dialect, client.ask(name, { stream: true }), more);
    const { text, terminal, end, frames, outputBytes } = await collect(weir.client.streamComplete(call));
    expect(readStream[dialect]?.(text).text).toBe(said);
    expect(frames.every((frame) => frame.endsWith("\n\n"))).toBe(true);
    if (client.terminal !== undefined) {
      expect(terminal).toContain(client.terminal);
      expect(frames.join("")).not.toContain(`"${client.terminal}"`);
    }
    expect(end.result).toMatchObject({
      finishReason: common.FinishReason.STOP,
      usage: { estimated: false, inputTokens: 6 },
    });
    expect(outputBytes).toBeGreaterThanOrEqual(said.length);
  });

  it("gets the tool call as a stream", async () => {
    const call = rawCall(dialect, client.ask(name, { stream: true, tools: true }), more);
    const { text } = await collect(weir.client.streamComplete(call));
    expect(readStream[dialect]?.(text).calls).toEqual([{ name: "weather", args: ARGUMENTS }]);
  });

  it("gets a stream that breaks as an error, never as the end", async () => {
    if (kind === "echo") return;
    simulator.script({ behaviour: { cutAfterEvents: 5, words: 50 } });
    const call = rawCall(dialect, client.ask(name, { stream: true }), more);
    const { text, end } = await collect(weir.client.streamComplete(call));
    expect(end.result?.error).toBeDefined();
    if (client.terminal !== undefined) expect(text).not.toContain(client.terminal);
    expect(text).toMatch(/error|failed/);
    expect(end.result?.attempts.at(-1)).toMatchObject({ billing: router.Billing.CHARGED });
  });

  it("gets a rejection in its own shape", async () => {
    if (kind === "echo") return;
    simulator.script({ behaviour: { status: 400, text: "this cannot be done" } });
    const { output } = await weir.client.complete(rawCall(dialect, client.ask(name, {}), more));
    expect(output.value).toMatchObject({ status: 400 });
    expect(at(jsonOf(output), "error", "message")).toContain("this cannot be done");
  });
});

describe.each(["claude", "llama"])("another maker's model on Vertex, %s,", (name) => {
  it.each(dialects)("serves a client of %s, whole and streamed, with tools", async (dialect) => {
    const client = clients[dialect];
    const more = { model: `by-${name}` };
    const { output } = await weir.client.complete(rawCall(dialect, client.ask(`by-${name}`, { tools: true }), more));
    expect(readWhole[dialect]?.(jsonOf(output)).calls).toEqual([{ name: "weather", args: ARGUMENTS }]);
    const call = rawCall(dialect, client.ask(`by-${name}`, { stream: true }), more);
    const { text, end } = await collect(weir.client.streamComplete(call));
    expect(readStream[dialect]?.(text).text).toBe(`You said: ${HELLO}`);
    expect(end.result?.usage).toMatchObject({ estimated: false, inputTokens: 6 });
  });
});

describe("a typed caller", () => {
  const chat = (name: string, more: object = {}) => ({
    requestId: "018f0000-0000-7000-8000-000000000000",
    model: name,
    input: {
      case: "chat" as const,
      value: {
        model: name,
        messages: [{ role: common.Role.USER, parts: [{ part: { case: "text" as const, value: { text: HELLO } } }] }],
        ...more,
      },
    },
  });
  const tools = [{ name: "weather", parametersJson: JSON.stringify(parameters) }];

  it.each(kinds)("gets a typed answer of %s", async (kind) => {
    const said = kind === "echo" ? HELLO : `You said: ${HELLO}`;
    const text = await weir.client.complete({ call: chat(`by-${kind}`) });
    expect(text.output).toMatchObject({ case: "chat" });
    expect(at(text.output.value, "choices", 0, "parts", 0, "part", "value", "text")).toBe(said);
    const called = await weir.client.complete({ call: chat(`by-${kind}`, { tools }) });
    // Cohere says what it will do before it calls.
    const parts = at(called.output.value, "choices", 0, "parts") as { part: { case: string } }[];
    const part = parts.map((one) => one.part).find((one) => one.case === "toolCall");
    expect(part).toMatchObject({ case: "toolCall", value: { name: "weather" } });
    expect(JSON.parse(String(at(part, "value", "arguments")))).toEqual(ARGUMENTS);
  });

  it.each(kinds)("gets typed events of %s", async (kind) => {
    const said = kind === "echo" ? HELLO : `You said: ${HELLO}`;
    const { events, end, start } = await collect(weir.client.streamComplete({ call: chat(`by-${kind}`) }));
    const text = events.map(({ event }) => (event.case === "partDelta" ? event.value.text : "")).join("");
    expect(text).toBe(said);
    expect(events[0]?.event.case).toBe("start");
    expect(events.some(({ event }) => event.case === "finish")).toBe(true);
    expect(start?.served?.provider).toBe(kind);
    expect(end.terminal).toHaveLength(0);
    expect(end.result?.usage?.outputTokens).toBeGreaterThan(0);
  });

  it("is told of a failure by the result alone", async () => {
    simulator.script({ behaviour: { status: 400, text: "no" } });
    const { output, result } = await weir.client.complete({ call: chat("by-openai") });
    expect(output.case).toBeUndefined();
    expect(result?.error).toMatchObject({ reason: common.ErrorReason.PROVIDER_REJECTED, upstreamStatus: 400 });
  });
});

describe("embeddings", () => {
  it.each(["openai", "gemini", "local", "echo", "azure", "embedder", "mistral", "cohere"])(
    "of %s are in OpenAI's shape",
    async (kind) => {
      const body = { model: `by-${kind}`, input: ["a b", "c"], dimensions: 4 };
      const { output, result } = await weir.client.embed(rawCall("openai-embeddings", body));
      const answer = jsonOf(output) as { object: string; data: { embedding: number[] }[] };
      expect(answer.object).toBe("list");
      expect(answer.data.map(({ embedding }) => embedding.length)).toEqual([4, 4]);
      expect(result?.usage?.inputTokens).toBeGreaterThan(0);
      const packed = await weir.client.embed(rawCall("openai-embeddings", { ...body, encoding_format: "base64" }));
      const [first] = (jsonOf(packed.output) as { data: { embedding: string }[] }).data;
      const bytes = Buffer.from(first?.embedding ?? "", "base64");
      expect(bytes.readFloatLE(0)).toBeCloseTo(answer.data[0]?.embedding[0] ?? 0, 5);
    },
  );

  it("are typed for a typed caller", async () => {
    const call = {
      requestId: "018f0000-0000-7000-8000-000000000000",
      model: "by-gemini",
      input: { case: "embed" as const, value: { model: "by-gemini", inputs: ["a", "b"] } },
    };
    const { output, result } = await weir.client.embed({ call });
    expect(output).toMatchObject({ case: "embed" });
    expect(at(output.value, "embeddings", "length")).toBe(2);
    expect(result?.usage?.estimated).toBe(true);
  });

  it("are refused by who makes none", async () => {
    const { output } = await weir.client.embed(rawCall("openai-embeddings", { model: "by-anthropic", input: "a" }));
    expect(output.value).toMatchObject({ status: 400 });
    expect(at(jsonOf(output), "error", "code")).toBe("unsupported");
  });
});
