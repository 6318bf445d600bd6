/**
 * Requests go through a Weir that is killed at random, and started again on the same data. Afterwards the client's notes, the provider's
 * own ledger and the audit log must tell the same story.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { audit, common } from "@weir/contracts";
import {
  type BootedWeir,
  bootWeir,
  type Composition,
  startNats,
  startPostgres,
  startRedis,
  startSimulator,
} from "@weir/testkit";
import { answered } from "./client-load.ts";
import { randomOf } from "./random.ts";

export interface KillsResult {
  readonly requests: number;
  readonly kills: number;
  /** Requests whose terminal byte the client saw. */
  readonly seen: number;
  /** Of those, how many the log does not have, or has more than once. */
  readonly missing: readonly string[];
  readonly doubled: readonly string[];
  /** Requests in the provider's ledger that the log knows nothing of, and those that were cut there and are not unknown here. */
  readonly unrecorded: readonly string[];
  readonly notUnknown: readonly string[];
  /** Requests that the log has as unknown. */
  readonly unknown: number;
  readonly gaps: readonly string[];
}

export const configOf = (origin: string): string => `
providers:
  sim: { kind: openai-compatible, base_url: "${origin}/v1", api_key: "env:TEST_PROVIDER_KEY" }
models:
  m:
    targets: [{ provider: sim, model: sim-1 }]
    price: { input_usd_per_mtok: 1, output_usd_per_mtok: 1 }
    context_window: 8000
    max_output_tokens: 1000
workspaces:
  default:
    budgets: [{ period: total, limit_usd: 100000, hard: true }]
`;

const MARK = /mark-(\d+)-/;

export async function ingressKills(options: {
  readonly composition: Composition;
  readonly requests: number;
  readonly kills: number;
  readonly clients: number;
  readonly seed: number;
}): Promise<KillsResult> {
  const draw = randomOf(options.seed);
  const dataDir = mkdtempSync(join(tmpdir(), "weir-kills-"));
  await using simulator = await startSimulator({ rules: [{ behaviour: { trickleMs: 1 } }] });
  await using stores = new AsyncDisposableStack();
  const env: Record<string, string> = { TEST_PROVIDER_KEY: "sk-simulated" };
  if (options.composition === "mesh") {
    // A mesh that is started without stores starts its own, and they end with it.
    env["WEIR_DATABASE_URL"] = stores.use(await startPostgres()).url;
    env["WEIR_REDIS_URL"] = stores.use(await startRedis()).url;
    env["WEIR_NATS_URL"] = stores.use(await startNats()).url;
  }
  const boot = (): Promise<BootedWeir> =>
    bootWeir(options.composition, { dataDir, config: configOf(simulator.origin), env });
  let weir = await boot();
  let back: Promise<void> = Promise.resolve();
  /** Of each request that was seen to its end: the id that Weir gave it. */
  const seen = new Map<number, string>();
  let next = 0;

  async function one(mark: number): Promise<void> {
    const id = await answered(weir, mark);
    if (id !== undefined) seen.set(mark, id);
    // Killed under it: what the log must know of it is asked below.
    else await back;
  }

  async function client(): Promise<void> {
    for (let mark = next++; mark < options.requests; mark = next++) await one(mark);
  }

  async function killer(): Promise<void> {
    for (let kill = 1; kill <= options.kills; kill += 1) {
      const at = Math.floor((options.requests * (kill - draw() * 0.8)) / (options.kills + 1));
      while (next < at) await sleep(5);
      await sleep(draw() * 30);
      await weir.kill();
      back = boot().then((booted) => {
        weir = booted;
      });
      await back;
    }
  }

  try {
    await Promise.all([killer(), ...Array.from({ length: options.clients }, client)]);
    return await compare(logOf(weir), simulator.ledger, seen, options);
  } finally {
    await weir[Symbol.asyncDispose]();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

export type LogClient = ReturnType<typeof createClient<typeof audit.AuditService>>;

function logOf(weir: BootedWeir): LogClient {
  const transport = createConnectTransport({
    baseUrl: weir.rpcUrl,
    httpVersion: "1.1",
    interceptors: [
      (call) => (request) => {
        request.header.set("authorization", `Bearer ${weir.adminToken}`);
        return call(request);
      },
    ],
  });
  return createClient(audit.AuditService, transport);
}

/** What the clients noted, what the provider saw and what the log has, against each other. */
export async function compare(
  log: LogClient,
  ledger: readonly { readonly body: string; readonly finished: boolean }[],
  seen: ReadonlyMap<number, string>,
  options: { readonly requests: number; readonly kills: number },
): Promise<KillsResult> {
  const outcomes = await settledOutcomes(log, seen.size);
  const byMark = new Map<string, audit.Outcome[]>();
  for (const outcome of outcomes) {
    const mark = outcome.intent?.tags["mark"] ?? "";
    byMark.set(mark, [...(byMark.get(mark) ?? []), outcome]);
  }
  const has = (mark: number, id: string): boolean =>
    byMark.get(String(mark))?.some(({ intent }) => intent?.requestId === id) ?? false;
  const missing = [...seen].filter(([mark, id]) => !has(mark, id)).map(([, id]) => id);
  const doubled = [...byMark].filter(([, found]) => found.length > 1).map(([mark]) => mark);
  const reached = ledger.map((entry) => ({ mark: MARK.exec(entry.body)?.[1] ?? "", finished: entry.finished }));
  const unrecorded = reached.filter(({ mark }) => !byMark.has(mark)).map(({ mark }) => mark);
  // Five processes do not die in one instant: an ingress that outlives its router by a moment has written that the router is gone.
  const isKnownAsCut = ({ kind, error }: audit.Outcome): boolean =>
    kind === audit.OutcomeKind.UNKNOWN ||
    (kind === audit.OutcomeKind.FAILED && error === common.ErrorReason.ROUTER_UNAVAILABLE);
  const notUnknown = reached
    .filter(({ mark, finished }) => !finished && !byMark.get(mark)?.some(isKnownAsCut))
    .map(({ mark }) => mark);
  const { gaps } = await log.gaps({});
  return {
    requests: options.requests,
    kills: options.kills,
    seen: seen.size,
    missing,
    doubled,
    unrecorded,
    notUnknown,
    unknown: outcomes.filter(({ kind }) => kind === audit.OutcomeKind.UNKNOWN).length,
    gaps: gaps.map(({ producer, first, last }) => `${producer} ${first}-${last}`),
  };
}

/** A batch that NATS lost is sent again after 150 s; one that the log had when it died comes again sooner. */
const CATCH_UP_MS = 240_000;

/** All outcomes, once the log has taken in what the spool holds, or has had its time to. */
async function settledOutcomes(log: LogClient, atLeast: number): Promise<audit.Outcome[]> {
  let before = -1;
  for (const end = Date.now() + CATCH_UP_MS; ; await sleep(1_500)) {
    const { gaps } = await log.gaps({});
    const outcomes: audit.Outcome[] = [];
    let pageToken = "";
    do {
      const page = await log.list({ kind: audit.RecordKind.OUTCOME, pageSize: 1000, pageToken });
      for (const { record } of page.entries) if (record.case === "outcome") outcomes.push(record.value);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    const whole = gaps.length === 0 && outcomes.length >= atLeast && outcomes.length === before;
    if (whole || Date.now() > end) return outcomes;
    before = outcomes.length;
  }
}
