/**
 * Recorded streams that break off after each of their events: once their client saw something nobody is asked again, and what it has ends in an
 * error and never as if it were whole. Before that the request is made once more.
 */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  boot,
  type Booted,
  collect,
  configOf,
  provider,
  rawCall,
  type WireName,
} from "../../services/router/test/harness.ts";
import { type Api, type Exchange, recordings } from "./exchange.ts";
import { FACES } from "./faces.ts";
import { handmade } from "./handmade/index.ts";

/** By what a stream of each says that it is over; streams of Bedrock are no text. */
const OVER: Partial<Record<Api, RegExp>> = {
  "openai-chat": /\[DONE\]/,
  "mistral-chat": /\[DONE\]/,
  "openai-responses": /response\.(?:completed|incomplete|failed)/,
  "anthropic-messages": /message_stop/,
  "gemini-generate": /finishReason/,
};
const ENDING = /\[DONE\]|"type":"message_stop"|response\.completed/;
/** A long one is cut after its first, its last, and some of those between. */
const MOST_CUTS = 24;

const streams = [...recordings(), ...handmade].filter(
  ({ stream, status, api }) => stream && status < 300 && OVER[api] !== undefined,
);

const eventsOf = ({ answer }: Exchange): string[] => answer.toString("latin1").match(/[\s\S]+?\r?\n\r?\n/g) ?? [];

function cutsOf(events: number): number[] {
  const all = Array.from({ length: events }, (_, at) => at);
  const third = Math.floor(MOST_CUTS / 3);
  const step = Math.max(1, Math.floor(events / third));
  return events <= MOST_CUTS ? all : all.filter((at) => at < third || at >= events - third || at % step === 0);
}

let server: Server;
let weir: Booted;
let asked = 0;
let sent: string[] = [];
beforeAll(async () => {
  server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      asked += 1;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(Buffer.from(sent.join(""), "latin1"), () => setImmediate(() => response.destroy()));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  weir = await boot({
    config: configOf([
      provider("openai", "openai", { baseUrl: `${origin}/v1` }),
      provider("groq", "groq", { baseUrl: `${origin}/v1` }),
      provider("openrouter", "openrouter", { baseUrl: `${origin}/v1` }),
      provider("mistral", "mistral", { baseUrl: `${origin}/v1` }),
      provider("anthropic", "anthropic", { baseUrl: `${origin}/v1` }),
      provider("gemini", "gemini", { baseUrl: `${origin}/v1beta` }),
    ]),
  });
});
afterAll(async () => {
  await weir?.[Symbol.asyncDispose]();
  server?.closeAllConnections();
  server?.close();
});

// OpenAI's own responses are asked for in their own dialect only.
const pairs = streams.flatMap((exchange) =>
  FACES.filter(({ api }) => api === exchange.api || exchange.api !== "openai-responses")
    .filter(({ api }) => !(exchange.api === "openai-chat" && exchange.kind === "openai" && api === "openai-responses"))
    .map((face): [string, Exchange, (typeof FACES)[number]] => [`${exchange.name} to ${face.name}`, exchange, face]),
);

let names = 0;
describe("a recorded stream that breaks off", () => {
  test.each(pairs)("%s", async (_name, exchange, face) => {
    const events = eventsOf(exchange);
    const over = OVER[exchange.api] as RegExp;
    for (const cut of cutsOf(events.length)) {
      sent = events.slice(0, cut);
      // It said that it was over.
      if (over.test(sent.join(""))) break;
      asked = 0;
      // A name of its own for each: breakers are tested elsewhere.
      const model = `${exchange.kind}/${exchange.kind === "openai" ? "gpt-4o" : "m"}-${++names}`;
      const call = rawCall(face.api as WireName, { ...face.ask(model, true), model });
      const { start, text, end } = await collect(weir.client.streamComplete(call));
      const where = `after ${cut} of ${events.length} events: ${text.slice(-300)}`;
      expect(end.result?.error, where).toBeDefined();
      expect(text, where).not.toMatch(ENDING);
      if (start === undefined) expect([1, 2], where).toContain(asked);
      else {
        expect(asked, where).toBe(1);
        expect(Buffer.from(end.terminal).toString(), where).toContain("error");
      }
    }
  });
});
