import { randomUUID } from "node:crypto";
import type { Client } from "@connectrpc/connect";
import type { ModelConfig, ProviderConfig } from "@weir/config";
import { common, policy, router } from "@weir/contracts";
import { Secret } from "@weir/kernel";
import { inProcessPeers, type Route, route } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { createRouter, type Router, type RouterOptions } from "../src/index.ts";

export type RouterClient = Client<typeof router.RouterService>;

export function provider(name: string, kind: string, more: Partial<ProviderConfig> = {}): ProviderConfig {
  return {
    name,
    kind,
    apiKey: new Secret("sk-test-0123456789abcdef"),
    moreApiKeys: [],
    baseUrl: undefined,
    region: undefined,
    settings: {},
    headers: {},
    timeouts: { connectMs: 2_000, firstByteMs: 10_000, idleMs: 10_000, slowMs: undefined },
    maxConnections: 64,
    ...more,
  };
}

export function model(name: string, targets: readonly string[], more: Partial<ModelConfig> = {}): ModelConfig {
  return {
    name,
    strategies: ["priority"],
    targets: targets.map((target) => {
      const slash = target.indexOf("/");
      return { provider: target.slice(0, slash), model: target.slice(slash + 1), weight: 1 };
    }),
    fallbacks: [],
    rules: [],
    canary: undefined,
    cacheMs: undefined,
    price: undefined,
    contextWindow: undefined,
    maxOutputTokens: undefined,
    ...more,
  };
}

export const configOf = (providers: readonly ProviderConfig[], models: readonly ModelConfig[] = []) => ({
  providers: new Map(providers.map((one) => [one.name, one])),
  models: new Map(models.map((one) => [one.name, one])),
});

const settings = (values: Readonly<Record<string, string>>): ProviderConfig["settings"] =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, new Secret(value)]));

/** The faces of a provider simulator, each under the name of its kind. */
export const simulated = (origin: string): ProviderConfig[] => [
  provider("openai", "openai", { baseUrl: `${origin}/v1` }),
  provider("anthropic", "anthropic", { baseUrl: `${origin}/v1` }),
  provider("gemini", "gemini", { baseUrl: `${origin}/v1beta` }),
  provider("local", "openai-compatible", { baseUrl: `${origin}/v1/` }),
  provider("azure", "azure-openai", { baseUrl: origin }),
  provider("vertex", "vertex", {
    baseUrl: `${origin}/v1`,
    settings: settings({ project: "p", location: "europe-west1" }),
  }),
  provider("bedrock", "bedrock", {
    baseUrl: origin,
    region: "eu-central-1",
    apiKey: undefined,
    settings: settings({ access_key_id: "AKIDEXAMPLE", secret_access_key: "wJalrXUtnFEMI" }),
  }),
  provider("mistral", "mistral", { baseUrl: `${origin}/mistral/v1` }),
  provider("cohere", "cohere", { baseUrl: `${origin}/cohere/v2` }),
  provider("tgi", "tgi", { baseUrl: `${origin}/v1` }),
  provider("echo", "echo"),
];

export interface Extension {
  readonly attempt: number;
  readonly costNanos: bigint;
}

export interface Booted extends AsyncDisposable {
  readonly router: Router;
  readonly client: RouterClient;
  /** What was asked of policy. */
  readonly extensions: Extension[];
  renderMetrics(): Promise<string>;
}

export interface BootOptions extends Partial<Omit<RouterOptions, "config" | "telemetry" | "peers">> {
  readonly config: RouterOptions["config"];
  /** What policy says to further attempts. */
  readonly admit?: boolean;
}

/** A router behind its contract, with a policy service that admits further attempts or does not. */
export async function boot({ config, admit = true, ...options }: BootOptions): Promise<Booted> {
  const extensions: Extension[] = [];
  const routes: Route[] = [];
  const peers = inProcessPeers(routes);
  const telemetry = createTelemetry({ service: "router", level: "silent", env: {}, processMetrics: false });
  const booted = await createRouter({ config, telemetry, peers, random: () => 0, ...options });
  routes.push(...booted.routes, extendingPolicy(extensions, admit));
  return {
    router: booted,
    client: peers.client(router.RouterService),
    extensions,
    renderMetrics: () => telemetry.renderMetrics(),
    async [Symbol.asyncDispose]() {
      await booted[Symbol.asyncDispose]();
      await telemetry[Symbol.asyncDispose]();
    },
  };
}

/** The policy service as far as the router asks it. */
function extendingPolicy(extensions: Extension[], admit: boolean): Route {
  const refuse = (): never => {
    throw new Error("the router does not call this");
  };
  return route(policy.PolicyService, {
    admitBatch: refuse,
    settleBatch: refuse,
    recover: refuse,
    watch: refuse,
    awaitAdmission: refuse,
    renewSlots: refuse,
    reportUse: refuse,
    extend: ({ attempt, bound }) => {
      extensions.push({ attempt, costNanos: bound?.costNanos ?? 0n });
      return admit
        ? { verdict: { case: "admitted", value: { held: true } } }
        : { verdict: { case: "refused", value: { rule: "budget" } } };
    },
  });
}

export const DIALECTS = {
  "openai-chat": common.Dialect.OPENAI_CHAT,
  "openai-responses": common.Dialect.OPENAI_RESPONSES,
  "anthropic-messages": common.Dialect.ANTHROPIC_MESSAGES,
  "gemini-generate": common.Dialect.GEMINI_GENERATE,
  "openai-embeddings": common.Dialect.OPENAI_EMBEDDINGS,
} as const;

export type WireName = keyof typeof DIALECTS;

export type CallInit = Parameters<RouterClient["complete"]>[0] extends infer Init
  ? Init extends { call?: infer Call }
    ? NonNullable<Call>
    : never
  : never;

/** A call with the client's bytes. */
export function rawCall(dialect: WireName, body: object | string, more: object = {}): { call: CallInit } {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const name = typeof body === "object" && "model" in body && typeof body.model === "string" ? body.model : "m";
  const call = {
    requestId: randomUUID(),
    model: name,
    input: { case: "raw" as const, value: { dialect: DIALECTS[dialect], body: Buffer.from(text) } },
    ...more,
  };
  return { call: call as CallInit };
}

export interface Collected {
  readonly start: router.StreamStart | undefined;
  /** All that the client sees, terminal bytes included. */
  readonly text: string;
  readonly frames: readonly string[];
  readonly events: readonly common.ChatEvent[];
  readonly end: router.StreamEnd;
  readonly terminal: string;
  readonly outputBytes: number;
}

export async function collect(stream: AsyncIterable<router.StreamCompleteResponse>): Promise<Collected> {
  let start: router.StreamStart | undefined;
  let end: router.StreamEnd | undefined;
  let outputBytes = 0;
  const frames: string[] = [];
  const events: common.ChatEvent[] = [];
  for await (const { message, outputBytes: bytes } of stream) {
    outputBytes = Math.max(outputBytes, bytes);
    if (end !== undefined) throw new Error("something came after the end");
    if (message.case === "start") start = message.value;
    else if (message.case === "frame") frames.push(Buffer.from(message.value).toString());
    else if (message.case === "event") events.push(message.value);
    else if (message.case === "end") end = message.value;
    if (message.case !== "end" && start === undefined) throw new Error("something came before the start");
  }
  if (end === undefined) throw new Error("the stream had no end");
  const terminal = Buffer.from(end.terminal).toString();
  return { start, text: frames.join("") + terminal, frames, events, end, terminal, outputBytes };
}

export const textOf = (answer: { readonly body: Uint8Array }): string => Buffer.from(answer.body).toString();

/** The answer's body, parsed. */
export function jsonOf(output: { case: string | undefined; value?: unknown }): Record<string, unknown> {
  if (output.case !== "raw") throw new Error(`an answer in bytes, not ${output.case}`);
  return JSON.parse(textOf(output.value as { body: Uint8Array })) as Record<string, unknown>;
}
