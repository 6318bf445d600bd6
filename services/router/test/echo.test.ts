import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { common } from "@weir/contracts";
import { loadKind } from "../src/providers/registry.ts";
import { boot, type Booted, collect, configOf, jsonOf, model, provider, rawCall } from "./harness.ts";

let weir: Booted;

beforeAll(async () => {
  weir = await boot({ config: configOf([provider("echo", "echo")]) });
});
afterAll(() => weir[Symbol.asyncDispose]());

const tools = [
  {
    type: "function",
    function: {
      name: "weather",
      parameters: { type: "object", properties: { city: { type: "string" }, days: { type: "integer", minimum: 2 } } },
    },
  },
];

describe("echo", () => {
  it("repeats the last user text under any name, and counts it", async () => {
    const body = { model: "any-name", messages: [{ role: "user", content: "hello brave world" }] };
    const { output, result } = await weir.client.complete(rawCall("openai-chat", body));
    expect(jsonOf(output)).toMatchObject({
      model: "any-name",
      choices: [{ message: { content: "hello brave world" } }],
    });
    expect(result?.usage).toMatchObject({ inputTokens: 3, outputTokens: 3, estimated: false });
    expect(result?.costNanos).toBe(3n * 150n + 3n * 600n);
  });

  it("streams word by word, and stops at the cap", async () => {
    const body = { model: "echo", stream: true, max_tokens: 2, messages: [{ role: "user", content: "a b c d" }] };
    const { frames, text, terminal, end } = await collect(weir.client.streamComplete(rawCall("openai-chat", body)));
    expect(frames.length).toBeGreaterThan(1);
    expect(text).toContain('"content":" b"');
    expect(text).not.toContain('"content":" c"');
    expect(terminal).toBe("data: [DONE]\n\n");
    expect(end.result).toMatchObject({ finishReason: common.FinishReason.LENGTH, usage: { outputTokens: 2 } });
  });

  it("calls a tool with arguments of its schema, and then answers with a text", async () => {
    const user = { role: "user", content: "weather?" };
    const first = await weir.client.complete(rawCall("openai-chat", { model: "echo", messages: [user], tools }));
    const { choices } = jsonOf(first.output) as { choices: { message: { tool_calls: { id: string }[] } }[] };
    expect(choices).toMatchObject([
      {
        finish_reason: "tool_calls",
        message: { tool_calls: [{ function: { arguments: '{"city":"text","days":2}' } }] },
      },
    ]);
    const message = choices[0]?.message;
    const tool = { role: "tool", tool_call_id: message?.tool_calls[0]?.id, content: "sunny" };
    const body = { model: "echo", messages: [user, message, tool], tools };
    const second = await weir.client.complete(rawCall("openai-chat", body));
    expect(jsonOf(second.output)).toMatchObject({ choices: [{ message: { content: "The tool said: sunny" } }] });
  });

  it("answers in the shape of a schema, and acknowledges images", async () => {
    const schema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] };
    const response_format = { type: "json_schema", json_schema: { name: "s", schema } };
    const content = [
      { type: "text", text: "see" },
      { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } },
    ];
    const messages = [{ role: "user", content }];
    const shaped = await weir.client.complete(rawCall("openai-chat", { model: "e", messages, response_format }));
    expect(jsonOf(shaped.output)).toMatchObject({ choices: [{ message: { content: '{"ok":true}' } }] });
    const seen = await weir.client.complete(rawCall("openai-chat", { model: "e", messages }));
    expect(jsonOf(seen.output)).toMatchObject({ choices: [{ message: { content: "see [an image]" } }] });
  });

  it("makes the same unit vector of the same text", async () => {
    const body = { model: "e", input: ["a", "b", "a"], dimensions: 16 };
    const { output, result } = await weir.client.embed(rawCall("openai-embeddings", body));
    const { data } = jsonOf(output) as { data: { embedding: number[] }[] };
    expect(data.map(({ embedding }) => embedding.length)).toEqual([16, 16, 16]);
    expect(Math.hypot(...(data[0]?.embedding ?? []))).toBeCloseTo(1, 6);
    expect(data[0]).toEqual({ ...data[2], index: 0 });
    expect(data[0]?.embedding).not.toEqual(data[1]?.embedding);
    expect(result?.usage?.inputTokens).toBe(3);
  });

  it("is listed with its price and its limits", async () => {
    const { models, version } = await weir.client.listModels({});
    expect(models).toMatchObject([
      { id: "echo", candidates: [{ provider: "echo", price: { version: "echo" }, contextWindow: 128_000 }] },
    ]);
    expect(version).toMatch(/^[0-9a-f]{16}$/);
    expect((await weir.client.listModels({})).version).toBe(version);
  });
});

describe("a new kind of provider", () => {
  it("is one file, found by its name", async () => {
    const directory = await mkdtemp(join(tmpdir(), "weir-kinds-"));
    await writeFile(
      join(directory, "shout.mjs"),
      `export const kinds = { shout: {
        wires: ["openai-chat"], forwards: [], quirks: { outputCaps: {}, asksForUsage: false },
        endpoint: () => ({ path: "/", headers: [] }),
        answer: () => ({ status: 200, body: JSON.stringify({ id: "x", object: "chat.completion", created: 1, model: "loud",
          choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "HEY" } }] }) }),
      } };`,
    );
    const booted = await boot({
      config: configOf([provider("loud", "shout")], [model("m", ["loud/x"])]),
      loadProvider: (file) => import(pathToFileURL(join(directory, `${file}.mjs`)).href),
    });
    const { output } = await booted.client.complete(rawCall("openai-chat", { model: "m", messages: [] }));
    expect(jsonOf(output)).toMatchObject({ choices: [{ message: { content: "HEY" } }] });
    await booted[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  it("is an error in the configuration where there is no such file, or it is not one", async () => {
    await expect(loadKind("nowhere")).rejects.toThrow('no provider of kind "nowhere"');
    await expect(loadKind("../../etc/passwd")).rejects.toThrow("no kind of provider");
    await expect(loadKind("provider")).rejects.toThrow("does not export");
    await expect(boot({ config: configOf([provider("x", "openai-compatible")]) })).rejects.toThrow("base_url");
  });
});
