/** Several accounts with one provider, each with a key of its own. */
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { Secret } from "@weir/kernel";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { boot, configOf, model, provider, rawCall } from "./harness.ts";

/** Tells accounts apart, as providers do. */
let server: Server;
let spent = new Set<string>();
let asked: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      const account = (request.headers.authorization ?? "").replace("Bearer sk-account-", "");
      asked.push(account);
      response.setHeader("content-type", "application/json");
      if (spent.has(account)) {
        response.statusCode = 429;
        response.end(
          JSON.stringify({ error: { message: "quota", type: "insufficient_quota", code: "insufficient_quota" } }),
        );
        return;
      }
      const message = { role: "assistant", content: "hello" };
      response.end(
        JSON.stringify({
          id: "c",
          object: "chat.completion",
          created: 1,
          model: "gpt-4o",
          choices: [{ index: 0, message, finish_reason: "stop" }],
          usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
        }),
      );
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(() => void server.close());
beforeEach(() => {
  spent = new Set();
  asked = [];
});

const ask = () => rawCall("openai-chat", { model: "m", messages: [{ role: "user", content: "hello" }] });

function config() {
  const { port } = server.address() as AddressInfo;
  const account = (name: string): Secret => new Secret(`sk-account-${name}`);
  const one = provider("one", "openai", {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    apiKey: account("a"),
    moreApiKeys: [account("b"), account("c")],
  });
  return configOf([one], [model("m", ["one/gpt-4o"])]);
}

it("take turns", async () => {
  await using weir = await boot({ config: config() });
  for (let call = 0; call < 6; call++) await weir.client.complete(ask());
  expect(asked).toEqual(["a", "b", "c", "a", "b", "c"]);
  const { models } = await weir.client.listModels({});
  expect(models.find(({ id }) => id === "m")?.candidates).toHaveLength(1);
  const { providers } = await weir.client.providerHealth({});
  expect(providers).toMatchObject([{ provider: "one", succeeded: 6n }]);
});

it("whose quota is used up is left at once for the next one, and alone by the requests after it", async () => {
  await using weir = await boot({ config: config() });
  spent.add("a");
  for (let call = 0; call < 4; call++) {
    const { result } = await weir.client.complete(ask());
    expect(result?.error).toBeUndefined();
  }
  expect(asked.filter((account) => account === "a")).toEqual(["a"]);
});

it("with all quotas used up, says so, and asks each account once", async () => {
  await using weir = await boot({ config: config() });
  spent = new Set(["a", "b", "c"]);
  const { output } = await weir.client.complete(ask());
  expect(output.value).toMatchObject({ status: 429 });
  await weir.client.complete(ask());
  expect(asked.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(["a", "b", "c"]);
});
