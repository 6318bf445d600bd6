import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Simulator, startSimulator } from "./simulator.ts";

let simulator: Simulator;
let openai: OpenAI;
let anthropic: Anthropic;
let gemini: GoogleGenAI;

beforeAll(async () => {
  simulator = await startSimulator();
  const options = { apiKey: "k", maxRetries: 0 };
  openai = new OpenAI({ ...options, baseURL: `${simulator.origin}/v1` });
  anthropic = new Anthropic({ ...options, baseURL: simulator.origin });
  gemini = new GoogleGenAI({ apiKey: "k", httpOptions: { baseUrl: simulator.origin } });
});
afterAll(() => simulator[Symbol.asyncDispose]());
afterEach(() => simulator.reset());

const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const hello = "hello there";

// What the official clients understand is what the providers document.
describe("the simulator, to the official clients", () => {
  it("is OpenAI's chat", async () => {
    const messages = [{ role: "user" as const, content: hello }];
    const whole = await openai.chat.completions.create({ model: "m", messages });
    expect(whole.choices[0]?.message.content).toBe("You said: hello there");
    const runner = openai.chat.completions.stream({ model: "m", messages, stream_options: { include_usage: true } });
    const final = await runner.finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe("You said: hello there");
    expect(final.usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 4 });
    const tools = [{ type: "function" as const, function: { name: "weather", parameters } }];
    const called = await openai.chat.completions.stream({ model: "m", messages, tools }).finalChatCompletion();
    expect(called.choices[0]?.message.tool_calls?.[0]).toMatchObject({
      function: { name: "weather", arguments: '{"city":"text"}' },
    });
    expect(called.choices[0]?.finish_reason).toBe("tool_calls");
  });

  it("is OpenAI's Responses", async () => {
    const whole = await openai.responses.create({ model: "m", input: hello });
    expect(whole.output_text).toBe("You said: hello there");
    const final = await openai.responses.stream({ model: "m", input: hello }).finalResponse();
    expect(final.output_text).toBe("You said: hello there");
    const tools = [{ type: "function" as const, name: "weather", parameters, strict: true }];
    const called = await openai.responses.stream({ model: "m", input: hello, tools }).finalResponse();
    expect(called.output[0]).toMatchObject({ type: "function_call", name: "weather", arguments: '{"city":"text"}' });
  });

  it("is Anthropic's messages", async () => {
    const messages = [{ role: "user" as const, content: hello }];
    const whole = await anthropic.messages.create({ model: "m", max_tokens: 3, messages });
    expect(whole).toMatchObject({ content: [{ type: "text", text: "You said: hello" }], stop_reason: "max_tokens" });
    const tools = [{ name: "weather", input_schema: { type: "object" as const, properties: parameters.properties } }];
    const final = await anthropic.messages.stream({ model: "m", max_tokens: 99, messages, tools }).finalMessage();
    expect(final).toMatchObject({ content: [{ type: "tool_use", input: { city: "text" } }], stop_reason: "tool_use" });
    expect(final.usage.output_tokens).toBeGreaterThan(0);
  });

  it("is Gemini's generate", async () => {
    const whole = await gemini.models.generateContent({ model: "g", contents: hello });
    expect(whole.text).toBe("You said: hello there");
    let text = "";
    for await (const chunk of await gemini.models.generateContentStream({ model: "g", contents: hello }))
      text += chunk.text ?? "";
    expect(text).toBe("You said: hello there");
    const functionDeclarations = [{ name: "weather", parametersJsonSchema: parameters }];
    const config = { tools: [{ functionDeclarations }] };
    const called = await gemini.models.generateContent({ model: "g", contents: hello, config });
    expect(called.functionCalls).toMatchObject([{ name: "weather", args: { city: "text" } }]);
    const embedded = await gemini.models.embedContent({ model: "g", contents: ["a", "b"] });
    expect(embedded.embeddings?.map(({ values }) => values?.length)).toEqual([8, 8]);
  });

  it("is OpenAI's embeddings", async () => {
    const { data, usage } = await openai.embeddings.create({ model: "e", input: ["a b", "c"], dimensions: 4 });
    expect(data.map(({ embedding }) => embedding.length)).toEqual([4, 4]);
    expect(usage.prompt_tokens).toBe(3);
  });

  it("fails as it is told, in the provider's shape", async () => {
    const messages = [{ role: "user" as const, content: hello }];
    simulator.script({ behaviour: { status: 429, code: "insufficient_quota", retryAfterS: 7 }, times: 1 });
    const refused = openai.chat.completions.create({ model: "m", messages });
    await expect(refused).rejects.toMatchObject({ status: 429, code: "insufficient_quota" });
    simulator.script({ behaviour: { status: 529 } });
    const overloaded = anthropic.messages.create({ model: "m", max_tokens: 9, messages });
    await expect(overloaded).rejects.toMatchObject({ status: 529, type: "overloaded_error" });
  });
});

describe("the simulator's ledger", () => {
  it("says what was asked, sent and cancelled", async () => {
    simulator.script({ behaviour: { words: 500, trickleMs: 5 } });
    const stream = await openai.chat.completions.create({
      model: "m",
      stream: true,
      messages: [{ role: "user", content: "a b" }],
    });
    let events = 0;
    for await (const _ of stream) if (++events === 4) break;
    await expect.poll(() => simulator.ledger[0]?.cancelledAtMs).toBeGreaterThan(0);
    const [entry] = simulator.ledger;
    expect(entry).toMatchObject({ model: "m", stream: true, status: 200, inputTokens: 2, finished: false });
    expect(entry?.outputTokens).toBeGreaterThanOrEqual(2);
    expect(entry?.outputTokens).toBeLessThan(500);
    expect(entry?.headers["authorization"]).toBe("Bearer k");
  });

  it("is there for a process of its own, too, as are its rules", async () => {
    const file = fileURLToPath(new URL("./main.ts", import.meta.url));
    const child = spawn(process.execPath, [file, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const origin = line.toString().trim();
    const post = (path: string, body: string) => fetch(origin + path, { method: "POST", body });
    await post("/_script", JSON.stringify([{ behaviour: { status: 503 } }]));
    expect((await post("/v1/chat/completions", '{"model":"x"}')).status).toBe(503);
    expect(await (await fetch(`${origin}/_ledger`)).json()).toMatchObject([{ id: 1, model: "x", status: 503 }]);
    await post("/_reset", "");
    expect(await (await fetch(`${origin}/_ledger`)).json()).toEqual([]);
    child.kill("SIGTERM");
    const [code] = (await once(child, "exit")) as [number | null];
    expect(code).toBe(0);
  });
});
