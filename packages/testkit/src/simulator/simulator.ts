import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Json, JsonObject } from "@weir/dialects";
import { anthropicMessages } from "./anthropic-messages.ts";
import { objectOf, say, type SentEvent, type SimulatedDialect, stringOf } from "./answer.ts";
import { bedrockConverse } from "./bedrock-converse.ts";
import { type Behaviour, type Rule, Script } from "./behaviour.ts";
import { cohereChat } from "./cohere-chat.ts";
import { cohereEmbeddings, geminiEmbeddings, openAiEmbeddings, vertexEmbeddings } from "./embeddings.ts";
import { geminiGenerate } from "./gemini-generate.ts";
import { Ledger, type LedgerEntry } from "./ledger.ts";
import { mistralChat } from "./mistral-chat.ts";
import { openAiChat } from "./openai-chat.ts";
import { openAiResponses } from "./openai-responses.ts";
import { vertexClaude } from "./vertex-claude.ts";

/** A provider that does what it is told, and writes down what was asked of it. */
export interface Simulator extends AsyncDisposable {
  /**
   * "http://127.0.0.1:port"; the base URL of its OpenAI and Anthropic faces is this + "/v1", of Gemini's + "/v1beta", of Mistral's +
   * "/mistral/v1", of Cohere's + "/cohere/v2", of Vertex's + "/v1"; Bedrock's and Azure's are this itself.
   */
  readonly origin: string;
  readonly port: number;
  readonly ledger: readonly LedgerEntry[];
  /** In place of the rules there were. */
  script(...rules: readonly Rule[]): void;
  /** Forgets rules and ledger. */
  reset(): void;
}

export interface SimulatorOptions {
  readonly port?: number;
  readonly rules?: readonly Rule[];
}

/**
 * Speaks OpenAI's chat, Responses, embeddings and models (at Azure's paths, too), Anthropic's messages, Gemini's generate, stream and embed
 * (at Vertex's paths, too), Bedrock's Converse, Mistral's and Cohere's chat over HTTP, whole and as server-sent events or Amazon's binary
 * ones; and gives out access tokens at whatever ends in "/token". Also: `GET /_ledger`, `POST /_script` (a list of rules), `POST /_reset`, for when it is a process of its own.
 */
export async function startSimulator({ port = 0, rules = [] }: SimulatorOptions = {}): Promise<Simulator> {
  const state: State = { ledger: new Ledger(), script: new Script() };
  state.script.set(rules);
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    serve(state, request, response).catch((error: unknown) => {
      // Whoever tests against it must see its own bugs at once.
      response.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const { port: bound } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${bound}`,
    port: bound,
    get ledger() {
      return state.ledger.entries;
    },
    script: (...next) => state.script.set(next),
    reset() {
      state.script.set([]);
      state.ledger.clear();
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

interface State {
  readonly ledger: Ledger;
  readonly script: Script;
}

async function serve(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString();
  const path = request.url ?? "/";
  if (path.startsWith("/_")) return control(state, path, body, response);
  const isToken = /\/token(?:\?|$)/.test(path);
  if (request.method === "GET" && !isToken) return sendJson(response, 200, models());
  const json = parsed(body);
  const dialect = dialectOf(path);
  const asked = dialect?.ask(json, path);
  const model = asked?.model ?? (stringOf(json["model"]) || (/models\/([^:/]+)/.exec(path)?.[1] ?? ""));
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  const entry = state.ledger.open({ path, model, stream: asked?.stream ?? false, body, headers });
  response.on("close", () => {
    if (!response.writableFinished && entry.cancelledAtMs === 0) entry.cancelledAtMs = Date.now();
  });
  const behaviour = state.script.next(model, path);
  if (behaviour.delayMs !== undefined) await sleep(behaviour.delayMs);
  if (response.destroyed) return;
  if (behaviour.refuse === true) {
    response.destroy();
    return;
  }
  for (const [name, value] of Object.entries(behaviour.headers ?? {})) response.setHeader(name, value);
  if (behaviour.retryAfterS !== undefined) response.setHeader("retry-after", String(behaviour.retryAfterS));
  if (behaviour.raw !== undefined) {
    response.writeHead(behaviour.status ?? 200, { "content-type": behaviour.contentType ?? "application/json" });
    return finish(entry, response, behaviour.status ?? 200, behaviour.raw);
  }
  const { status = 200 } = behaviour;
  if (isToken && status === 200) {
    response.writeHead(200, { "content-type": "application/json" });
    return finish(entry, response, 200, JSON.stringify(tokenOf(entry)));
  }
  const refused = dialect?.refuses?.(json);
  if (refused !== undefined) {
    response.writeHead(refused.status, { "content-type": "application/json" });
    return finish(entry, response, refused.status, JSON.stringify(refused.body));
  }
  if (status !== 200) {
    const speaker = dialect ?? openAiChat;
    const error = speaker.error(status, behaviour.code, behaviour.text ?? `simulated ${status}`);
    const more = speaker.errorHeaders?.(status, behaviour.code) ?? {};
    response.writeHead(status, { "content-type": "application/json", ...more });
    return finish(entry, response, status, JSON.stringify(error));
  }
  if (dialect === undefined || asked === undefined) return embed(entry, path, json, behaviour, response);
  const said = say(asked, behaviour);
  const usage = behaviour.usage ?? true;
  entry.inputTokens = said.inputTokens;
  if (asked.stream) return stream(entry, dialect, dialect.events(asked, said, usage), behaviour, response);
  const text = JSON.stringify(dialect.whole(asked, said, usage));
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  if (behaviour.malformed === true) return finish(entry, response, 200, `{${" ".repeat(text.length - 1)}`);
  if (behaviour.cutAfterEvents !== undefined) {
    entry.status = 200;
    response.write(text.slice(0, text.length / 2), () => response.destroy());
    return;
  }
  entry.outputTokens = said.outputTokens * asked.n;
  finish(entry, response, 200, text);
}

async function stream(
  entry: LedgerEntry,
  dialect: SimulatedDialect,
  events: readonly SentEvent[],
  { cutAfterEvents, errorAfterEvents, trickleMs, malformed, text }: Behaviour,
  response: ServerResponse,
): Promise<void> {
  response.writeHead(200, { "content-type": dialect.streamType ?? "text/event-stream" });
  response.flushHeaders();
  entry.status = 200;
  for (const event of events) {
    if (entry.eventsSent === errorAfterEvents)
      return finish(entry, response, 200, dialect.errorEvent(text ?? "simulated"));
    if (entry.eventsSent === cutAfterEvents) {
      response.destroy();
      return;
    }
    const bytes = malformed === true && entry.eventsSent === 2 ? "data: {not json\n\n" : event.text;
    const more = response.write(bytes);
    entry.eventsSent += 1;
    entry.bytesSent += Buffer.byteLength(bytes);
    entry.outputTokens += event.tokens;
    if (trickleMs !== undefined) await sleep(trickleMs);
    else if (!more) await Promise.race([once(response, "drain"), once(response, "close")]);
    else await new Promise((resolve) => setImmediate(resolve));
    if (response.destroyed) return;
  }
  finish(entry, response, 200, "");
}

function embed(
  entry: LedgerEntry,
  path: string,
  json: JsonObject,
  behaviour: Behaviour,
  response: ServerResponse,
): void {
  const embedder = embedderOf(path, behaviour);
  if (embedder === undefined) return sendJson(response, 404, openAiChat.error(404, undefined, "no such path"));
  const { answer, tokens } = embedder(json);
  entry.inputTokens = tokens;
  response.writeHead(200, { "content-type": "application/json" });
  finish(entry, response, 200, JSON.stringify(answer));
}

function embedderOf(path: string, { usage }: Behaviour) {
  if (path.includes(":batchEmbedContents")) return geminiEmbeddings;
  if (path.includes(":predict")) return vertexEmbeddings;
  if (path.endsWith("/v2/embed")) return cohereEmbeddings;
  return path.includes("/embeddings") ? (json: JsonObject) => openAiEmbeddings(json, usage ?? true) : undefined;
}

/** Good for an hour; each is another. */
const tokenOf = ({ id }: LedgerEntry): JsonObject => ({
  access_token: `simulated-token-${id}`,
  token_type: "Bearer",
  expires_in: 3600,
});

function finish(entry: LedgerEntry, response: ServerResponse, status: number, rest: string | Uint8Array): void {
  entry.status = status;
  entry.bytesSent += Buffer.byteLength(rest);
  entry.finished = true;
  response.end(rest);
}

function dialectOf(path: string): SimulatedDialect | undefined {
  if (path.includes("/mistral/v1/chat/completions")) return mistralChat;
  if (path.includes("/chat/completions")) return openAiChat;
  if (path.endsWith("/v2/chat")) return cohereChat;
  if (path.includes("awPredict")) return vertexClaude;
  if (path.includes("/responses")) return openAiResponses;
  if (path.includes("/messages")) return anthropicMessages;
  if (path.includes("enerateContent")) return geminiGenerate;
  if (path.includes("/converse")) return bedrockConverse;
  return undefined;
}

const models = (): JsonObject => ({
  object: "list",
  data: ["gpt-4o-mini", "claude-haiku-4-5"].map((id) => ({
    id,
    object: "model",
    created: 1_780_000_000,
    owned_by: "simulated",
  })),
});

function control({ ledger, script }: State, path: string, body: string, response: ServerResponse): void {
  if (path === "/_ledger") return sendJson(response, 200, ledger.entries as unknown as Json);
  if (path === "/_reset") {
    script.set([]);
    ledger.clear();
    return sendJson(response, 200, {});
  }
  if (path === "/_script") {
    script.set(JSON.parse(body) as Rule[]);
    return sendJson(response, 200, {});
  }
  sendJson(response, 404, {});
}

function sendJson(response: ServerResponse, status: number, value: Json): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function parsed(body: string): JsonObject {
  try {
    return objectOf(JSON.parse(body) as Json);
  } catch {
    // Whatever is no JSON is answered as an empty request; the ledger keeps the bytes.
    return {};
  }
}
