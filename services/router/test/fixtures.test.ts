/**
 * Traffic that real providers sent, replayed to clients of every dialect. The recordings are not part of this repository: their folder is
 * WEIR_FIXTURES, or ../shared/fixtures beside the repository; without one the suite is skipped and says so.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { boot, type Booted, collect, configOf, jsonOf, model, provider, rawCall } from "./harness.ts";
import { at, readStream, readWhole } from "./reading.ts";

const folder = process.env["WEIR_FIXTURES"] ?? fileURLToPath(new URL("../../../../shared/fixtures", import.meta.url));

/** Which dialect a recording's name begins with, and which kind of provider speaks it. */
const APIS = [
  ["anthropic-messages", "anthropic-messages", "anthropic"],
  ["gemini-generate", "gemini-generate", "gemini"],
  ["gemini-stream", "gemini-generate", "gemini"],
  ["openai-responses", "openai-responses", "responses"],
  ["openai-chat", "openai-chat", "chat"],
  ["groq-chat", "openai-chat", "groq"],
  ["mistral-chat", "openai-chat", "mistral"],
  ["openrouter-chat", "openai-chat", "openrouter"],
] as const;

interface Recording {
  readonly name: string;
  readonly dialect: (typeof APIS)[number][1];
  readonly kind: string;
  readonly model: string;
  readonly request: string;
  readonly status: number;
  readonly stream: boolean;
  readonly response: string;
}

function recordings(): Recording[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".request.json"))
    .flatMap((file) => {
      const api = APIS.find(([prefix]) => file.startsWith(prefix));
      // Bedrock speaks a dialect that Weir does not.
      if (api === undefined) return [];
      const [, dialect, kind] = api;
      const recorded = JSON.parse(readFileSync(join(folder, file), "utf8")) as Record<string, unknown>;
      const body = recorded["body"] as Record<string, unknown>;
      const responseFile = String(recorded["response_file"]);
      const named = /models\/([^:/]+):/.exec(String(recorded["uri"]))?.[1] ?? body["model"];
      return [
        {
          name: file.replace(".request.json", ""),
          dialect,
          kind,
          model: String(named),
          request: JSON.stringify(body),
          status: Number(recorded["response_status"]),
          stream: responseFile.endsWith(".sse"),
          response: readFileSync(join(folder, responseFile), "utf8"),
        },
      ];
    });
}

const found = recordings();
const clients = ["openai-chat", "openai-responses", "anthropic-messages", "gemini-generate"] as const;

/** A small request of a client that speaks another dialect than the recording's. */
const asks: Record<(typeof clients)[number], (name: string, stream: boolean) => object> = {
  "openai-chat": (name, stream) => ({
    model: name,
    messages: [{ role: "user", content: "hello" }],
    ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
  }),
  "openai-responses": (name, stream) => ({ model: name, input: "hello", ...(stream ? { stream } : {}) }),
  "anthropic-messages": (name, stream) => ({
    model: name,
    max_tokens: 1000,
    messages: [{ role: "user", content: "hello" }],
    ...(stream ? { stream } : {}),
  }),
  "gemini-generate": () => ({ contents: [{ role: "user", parts: [{ text: "hello" }] }] }),
};

describe.skipIf(found.length === 0)(
  `recorded traffic${found.length === 0 ? ` (skipped: nothing in ${folder})` : ""}`,
  () => {
    let current: Recording | undefined;
    let received = "";
    let server: Server;
    let weir: Booted;

    beforeAll(async () => {
      server = createServer((request, response) => {
        const chunks: Buffer[] = [];
        request.on("data", (chunk: Buffer) => chunks.push(chunk));
        request.on("end", () => {
          received = Buffer.concat(chunks).toString();
          if (current === undefined) return response.writeHead(500).end();
          const contentType = current.stream ? "text/event-stream" : "application/json";
          response.writeHead(current.status, { "content-type": contentType });
          // In odd pieces: no event and no character may depend on how they are cut.
          const bytes = Buffer.from(current.response);
          for (let from = 0; from < bytes.length; from += 997) response.write(bytes.subarray(from, from + 997));
          return response.end();
        });
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const kinds = ["anthropic", "gemini", "responses", "chat", "groq", "mistral", "openrouter"];
      // OpenAI speaks two dialects; a recording answers in the one that was asked.
      const only = (wire: string) => ({
        wires: [wire],
        forwards: [],
        quirks: { outputCaps: {}, asksForUsage: true },
        endpoint: () => ({ path: `/${wire}`, headers: [] }),
      });
      const half: Record<string, object> = {
        responses: { kinds: { responses: only("openai-responses") } },
        chat: { kinds: { chat: only("openai-chat") } },
      };
      const names = new Map(found.map((recording) => [`${recording.kind}/${recording.model}`, recording]));
      weir = await boot({
        config: configOf(
          kinds.map((kind) => provider(kind, kind, { baseUrl })),
          [...names.keys()].map((name) => model(`as:${name}`, [name])),
        ),
        loadProvider: (file) => (file in half ? Promise.resolve(half[file]) : import(`../src/providers/${file}.ts`)),
      });
    });
    afterAll(async () => {
      await weir[Symbol.asyncDispose]();
      server.close();
    });

    const cases = found.flatMap((recording) => clients.map((client) => ({ name: recording.name, client, recording })));

    it.each(cases)("$name reaches a client of $client", async ({ recording, client }) => {
      current = recording;
      // Mistral's is a dialect of its own, though it looks like OpenAI's.
      const same = recording.dialect === client && recording.kind !== "mistral";
      const name = `${recording.kind}/${recording.model}`;
      const ask = same ? recording.request : JSON.stringify(asks[client](name, recording.stream));
      // In the same dialect the client uses the provider's own name, so that nothing at all has to change.
      const call = rawCall(client, ask, { model: same ? name : `as:${name}` });
      if (same) call.call.model = name;
      if (recording.status !== 200) return refused(recording, client, await weir.client.complete(call));
      if (recording.stream) return streamed(recording, client, same, await collect(weir.client.streamComplete(call)));
      const { output, result } = await weir.client.complete(call);
      if (same) {
        expect(output.case === "raw" ? Buffer.from(output.value.body).toString() : "").toBe(recording.response);
      }
      const expected = readWhole[recording.dialect]?.(JSON.parse(recording.response) as Record<string, unknown>);
      const seen = readWhole[client]?.(jsonOf(output));
      expect(seen?.text).toBe(expected?.text);
      expect(seen?.calls).toEqual(expected?.calls);
      expect(result?.usage).toMatchObject({ inputTokens: expected?.inputTokens, outputTokens: expected?.outputTokens });
      expect([seen?.inputTokens, seen?.outputTokens]).toEqual([expected?.inputTokens, expected?.outputTokens]);
    });

    function refused(
      recording: Recording,
      client: string,
      answer: Awaited<ReturnType<Booted["client"]["complete"]>>,
    ): void {
      const recorded = JSON.parse(recording.response) as Record<string, unknown>;
      expect(answer.output.value).toMatchObject({ status: recording.status });
      if (recording.status !== 429)
        expect(at(jsonOf(answer.output), "error", "message")).toBe(at(recorded, "error", "message"));
      if (recording.dialect === client && recording.kind !== "mistral" && recording.status !== 429)
        expect(answer.output.case === "raw" ? Buffer.from(answer.output.value.body).toString() : "").toBe(
          recording.response,
        );
    }

    function streamed(
      recording: Recording,
      client: string,
      same: boolean,
      answer: Awaited<ReturnType<typeof collect>>,
    ): void {
      const { end, text } = answer;
      const expected = readStream[recording.dialect]?.(recording.response);
      const seen = readStream[client]?.(text);
      const asked = !same || recording.dialect !== "openai-chat" || recording.request.includes('"include_usage":true');
      if (same && asked && !recording.response.includes('"error"')) expect(text).toBe(recording.response);
      expect(seen?.text).toBe(expected?.text);
      expect(seen?.calls).toEqual(expected?.calls);
      if (end.result?.error !== undefined) return;
      expect(end.result?.usage).toMatchObject({
        inputTokens: expected?.inputTokens,
        outputTokens: expected?.outputTokens,
      });
      if (asked)
        expect([seen?.inputTokens, seen?.outputTokens]).toEqual([expected?.inputTokens, expected?.outputTokens]);
      expect(answer.outputBytes).toBeGreaterThanOrEqual(Buffer.byteLength(expected?.text ?? ""));
      expect(received.length).toBeGreaterThan(0);
    }
  },
);
