/** Ports that write down what was asked of them, in order, and fail where a test says so. */
import { type Clock, type WeirError, WeirError as Failure } from "@weir/kernel";
import { type CallResult, type StreamMessage, UpstreamError } from "../domain/call.ts";
import { grantOf } from "../domain/grant.ts";
import { Guards } from "../domain/guardrails/guard.ts";
import type { Key } from "../domain/key.ts";
import { testKey } from "../domain/test-key.ts";
import type { Admissions, Journal, KeyDirectory, Models, PayloadRecorder, Upstream, Verdict, Slots } from "../ports.ts";
import type { Incoming } from "./trail.ts";
import type { Outcome, SealedPayload } from "../domain/record.ts";
import type { Settlement } from "../domain/settlement.ts";

export const SERVED = { provider: "p", model: "pm", region: "eu", attempt: 1 };

export const result = (some: Partial<CallResult> = {}): CallResult => ({
  served: SERVED,
  usage: {
    inputTokens: 3,
    outputTokens: 4,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    estimated: false,
  },
  finishReason: "stop",
  attempts: [
    {
      ...SERVED,
      status: 200,
      error: undefined,
      usage: {
        inputTokens: 3,
        outputTokens: 4,
        cachedInputTokens: 0,
        cacheWriteTokens: 0,
        reasoningTokens: 0,
        estimated: false,
      },
      costNanos: 7n,
      billing: "charged",
      durationUs: 10,
    },
  ],
  error: undefined,
  dropped: [],
  headers: [],
  providerUs: 10,
  firstTokenUs: 0,
  costNanos: 7n,
  priceVersion: "test",
  ...some,
});

export const key: Key = testKey({ hasLimit: true });

export interface Failures {
  admit?: WeirError;
  verdict?: Verdict;
  intent?: WeirError;
  outcome?: WeirError;
  call?: unknown;
  /** While the call runs. */
  onCall?: () => void;
  stream?: readonly (StreamMessage<string> | Error)[];
}

const clock: Clock = { nowMs: () => 1_700_000_000_000, monotonicMs: () => 0 };

export function testPorts(failures: Failures = {}) {
  const steps: string[] = [];
  const outcomes: Outcome[] = [];
  /** As recorded with the outcomes. */
  const kept: (SealedPayload | undefined)[] = [];
  const settlements: Settlement[] = [];
  const admissions: Admissions = {
    admit() {
      steps.push("admit");
      if (failures.admit !== undefined) return Promise.reject(failures.admit);
      return Promise.resolve(failures.verdict ?? { admitted: true, held: true, limits: [] });
    },
    settle(settled) {
      steps.push("settle");
      settlements.push(...settled);
    },
  };
  const slots: Slots = {
    began: () => void steps.push("slot"),
    ended: () => void steps.push("slot free"),
  };
  const journal: Journal = {
    intent() {
      steps.push("intent");
      return failures.intent === undefined ? Promise.resolve(1) : Promise.reject(failures.intent);
    },
    outcome(_number, outcome, payload) {
      kept.push(payload);
      steps.push(`outcome ${outcome.kind}`);
      outcomes.push(outcome);
      return failures.outcome === undefined ? Promise.resolve(2) : Promise.reject(failures.outcome);
    },
    refusal: (refusal) => void steps.push(`refusal ${refusal.reason}`),
    hmac: () => new Uint8Array(32),
    hmacStream: () => ({ update: () => undefined, digest: () => new Uint8Array(32) }),
    notReady: () => undefined,
  };
  // "Seals" by joining, so that a test can read what was kept.
  const payloads: PayloadRecorder<string, string> = {
    begin(requestId, contentType, request) {
      const said = [`${requestId} ${contentType} ${Buffer.from(request).toString()}`];
      return {
        answer: (output) =>
          void said.push(output.kind === "raw" ? `answer ${Buffer.from(output.body).toString()}` : output.kind),
        frame: (bytes) => void said.push(Buffer.from(bytes).toString().trim()),
        event: (event) => void said.push(event),
        sealed: () => ({ bytes: Buffer.from(said.join(" | ")), omitted: false }),
      };
    },
  };
  const upstream: Upstream<never, string, string> = {
    complete() {
      steps.push("call");
      failures.onCall?.();
      if (failures.call !== undefined) return Promise.reject(failures.call);
      return Promise.resolve({
        result: result(),
        output: { kind: "raw", status: 200, contentType: "application/json", body: Buffer.from("{}") },
      });
    },
    embed: () => Promise.reject(new Error("not asked for here")),
    cancel: () => Promise.resolve(false),
    async *stream(_call, { signal }) {
      steps.push("call");
      for (const message of failures.stream ?? []) {
        await new Promise((resolve) => setImmediate(resolve));
        if (signal.aborted) throw new UpstreamError(new Failure("client_closed", "cut"), true);
        if (message instanceof Error) throw message;
        yield await Promise.resolve(message);
      }
    },
  };
  const models: Models = {
    candidates: () => undefined,
    find: () => Promise.resolve([]),
    shadow: () => undefined,
    list: () => [],
    notReady: () => undefined,
  };
  const keys: KeyDirectory = { find: () => grantOf(key), byId: () => undefined, freshness: () => "live", version: 1n };
  return {
    steps,
    outcomes,
    kept,
    settlements,
    admissions,
    slots,
    journal,
    pseudonyms: { of: () => new Uint8Array(32) },
    payloads,
    upstream,
    models,
    keys,
    clock,
    countInput: () => Promise.resolve(undefined),
    guards: new Guards(new Map()),
    detectors: { ask: () => Promise.resolve("nothing" as const) },
  };
}

export const incoming = (some: Partial<Key> = {}): Incoming<never> => ({
  requestId: "r",
  route: "POST /v1/chat/completions",
  dialect: "openai-chat",
  grant: grantOf({ ...key, ...some }),
  shape: {
    model: "m",
    stream: false,
    outputCap: 10,
    capNames: ["max_tokens"],
    choices: 1,
    textBytes: 10,
    media: { images: 0, audioBytes: 0 },
    unbounded: undefined,
    premium: undefined,
    tools: false,
    instructed: false,
    generates: true,
    endUser: "",
  },
  input: { dialect: "openai-chat", body: Buffer.from("{}") },
  inputBytes: Buffer.from("{}"),
  inputType: "application/json",
  clientIp: "127.0.0.1",
  clientRequestId: "",
  traceparent: undefined,
  tags: {},
  runId: "",
  conversation: "",
  headers: [],
});
