/**
 * What admission and settlement cost by themselves: the policy service in this process, on a Postgres of its own, asked by 64 requests at a
 * time as an ingress asks it (what arrives in one turn of the event loop shares a call; settlements go with the next admissions).
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Client } from "@connectrpc/connect";
import { policy } from "@weir/contracts";
import { Secret, uuidv7 } from "@weir/kernel";
import { inProcessPeers } from "@weir/mesh";
import { createPolicy } from "@weir/policy";
import { startPostgres } from "@weir/testkit";
import pg from "pg";

const CONCURRENT = 64;
const TOKEN = "weir-bench-admin-token";
const OWNER = "bench/0/1";
const COST = { costNanos: 2_000_000n, tokens: 1_000n };
const DAY_MS = 86_400_000;

export interface PolicyMeasurement {
  readonly perSecond: number;
  /** CPU per request, admission and settlement together, of the thread that serves. */
  readonly cpuUs: number;
  /** Of Postgres' backends. */
  readonly postgresUs: number;
  readonly requestsPerCommit: number;
}

/** On a hard budget in money and a soft one in tokens. Linux. */
export async function measurePolicy(seconds: number): Promise<PolicyMeasurement> {
  await using postgres = await startPostgres();
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  await using service = await createPolicy({
    config: {
      instance: "bench",
      bootstrapKey: undefined,
      adminToken: new Secret(TOKEN),
      workspaces: new Map(),
      guardrails: new Map(),
      oidc: { internalOrigins: [] },
      webhooks: { internalOrigins: [] },
      ledger: { keepEntriesMs: 400 * DAY_MS },
    },
    telemetry: { log },
    database: { connectionString: postgres.url },
  });
  await service.start();
  const peers = inProcessPeers(service.routes);
  const keyId = await keyWithBudgets(peers.client(policy.PolicyAdminService));
  const asked = new Turns(peers.client(policy.PolicyService), keyId);
  const books = new pg.Client(postgres.url);
  await books.connect();
  try {
    await asked.run(1_000);
    const [pids, before] = [await backends(books), await commits(books)];
    const look = () => ({ own: process.threadCpuUsage(), postgres: pids.map(cpuNs), done: asked.done });
    const first = look();
    const begin = performance.now();
    await asked.run(seconds * 1_000);
    const elapsed = (performance.now() - begin) / 1_000;
    const last = look();
    const requests = last.done - first.done;
    const own = last.own.user + last.own.system - first.own.user - first.own.system;
    const postgresNs = last.postgres.reduce((sum, now, at) => sum + now - (first.postgres[at] ?? now), 0);
    return {
      perSecond: requests / elapsed,
      cpuUs: own / requests,
      postgresUs: postgresNs / 1_000 / requests,
      requestsPerCommit: requests / ((await commits(books)) - before),
    };
  } finally {
    await books.end();
  }
}

async function keyWithBudgets(admin: Client<typeof policy.PolicyAdminService>): Promise<string> {
  const call = { headers: { authorization: `Bearer ${TOKEN}` } };
  const place = { place: { case: "workspace" as const, value: "default" } };
  const limit = 10n ** 17n;
  const { NANO_USD, TOKENS } = policy.BudgetUnit;
  const { MONTH, DAY } = policy.BudgetPeriod;
  await admin.putBudget({ place, unit: NANO_USD, period: MONTH, limit, hard: true }, call);
  await admin.putBudget({ place, unit: TOKENS, period: DAY, limit, hard: false }, call);
  const { key } = await admin.createKey({ name: "bench" }, call);
  return key?.id ?? "";
}

async function backends(books: pg.Client): Promise<number[]> {
  const { rows } = await books.query<{ pid: number }>(
    "select pid from pg_stat_activity where application_name = 'weir-policy-ledger'",
  );
  return rows.map(({ pid }) => pid);
}

/** Of the ledger: a commit is a transaction that held something. */
async function commits(books: pg.Client): Promise<number> {
  const { rows } = await books.query<{ n: string }>("select count(distinct h.xmin::text) as n from policy.hold h");
  return Number(rows[0]?.n);
}

function cpuNs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]);
  } catch {
    return 0; // an idle connection that its pool closed
  }
}

/** Requests that are admitted, and settled once others are. */
class Turns {
  done = 0;
  readonly #policy: Client<typeof policy.PolicyService>;
  readonly #keyId: string;
  #waiting: { readonly requestId: string; readonly admitted: () => void }[] = [];
  #finished: string[] = [];
  #planned = false;

  constructor(client: Client<typeof policy.PolicyService>, keyId: string) {
    this.#policy = client;
    this.#keyId = keyId;
  }

  async run(forMs: number): Promise<void> {
    const endMs = performance.now() + forMs;
    const one = async (): Promise<void> => {
      while (performance.now() < endMs) {
        const requestId = uuidv7(Date.now(), randomBytes(10));
        await new Promise<void>((admitted) => {
          this.#waiting.push({ requestId, admitted });
          this.#plan();
        });
        this.#finished.push(requestId);
        this.done += 1;
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT }, one));
    await this.#send();
  }

  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    setImmediate(() => void this.#send());
  }

  async #send(): Promise<void> {
    this.#planned = false;
    const [waiting, finished] = [this.#waiting, this.#finished];
    this.#waiting = [];
    this.#finished = [];
    const [verdicts] = await Promise.all([
      waiting.length === 0
        ? undefined
        : this.#policy.admitBatch({ owner: OWNER, admissions: waiting.map((one) => this.#admission(one.requestId)) }),
      finished.length === 0
        ? undefined
        : this.#policy.settleBatch({ owner: OWNER, settlements: finished.map((id) => this.#settlement(id)) }),
    ]);
    for (const { verdict } of verdicts?.verdicts ?? [])
      if (verdict.case !== "admitted") throw new Error(`a request was not admitted: ${verdict.case}`);
    for (const { admitted } of waiting) admitted();
  }

  #admission(requestId: string) {
    return { requestId, keyId: this.#keyId, model: "m", bound: COST, inputTokens: 500, outputTokens: 500 };
  }

  #settlement(requestId: string) {
    return { requestId, attempt: 1, keyId: this.#keyId, outcome: { case: "charge" as const, value: COST } };
  }
}
