/**
 * Many clients spend budgets that are too small for them, through replicas of policy and ingress that are killed at random and started
 * again on their data. Every answer costs exactly what was held for it, so the provider's own ledger says how many requests were let
 * through: never more than fit, and exactly as many where nobody was killed; with kills at most as many fewer as there are charges of
 * which nobody knows whether they were one. After that, nothing is held any more and the books agree.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { policy } from "@weir/contracts";
import { startSimulator, type Simulator } from "@weir/testkit";
import pg from "pg";
import { type Cluster, type Process, startCluster } from "../support/processes.ts";
import { randomOf } from "./random.ts";

export interface StormOptions {
  readonly seed: number;
  readonly clients: number;
  /** Of each client. */
  readonly requests: number;
  /** Of processes; 0: nobody is killed. */
  readonly kills: number;
  /** Whether some clients go away before their answer is there. */
  readonly leavers: boolean;
}

export interface StormResult {
  readonly seed: number;
  readonly kills: number;
  readonly leavers: boolean;
  readonly sent: number;
  /** Answers by what they were: "200", "429 budget_exceeded", "cut", "left". */
  readonly answers: Readonly<Record<string, number>>;
  /** Of each budget: how many fit, how many the provider saw, how many charges are unresolved. */
  readonly budgets: readonly {
    readonly name: string;
    readonly fit: number;
    readonly served: number;
    readonly unresolved: number;
  }[];
  /** From the last answer until nothing was held any more. */
  readonly quietMs: number;
  /** What is still held: since when, by whom, and whether that owner was declared dead. */
  readonly held: readonly string[];
  readonly mismatches: number;
}

/** What of a result breaks a promise; nothing: all hold. */
export function faultsOf({ kills, leavers, budgets, held, mismatches, answers }: StormResult): string[] {
  const faults: string[] = [];
  for (const { name, fit, served, unresolved } of budgets) {
    if (served > fit) faults.push(`${name}: ${served} were served where ${fit} fit`);
    if (served < fit - unresolved) faults.push(`${name}: only ${served} were served where ${fit} fit`);
    if (kills === 0 && !leavers && unresolved > 0)
      faults.push(`${name}: ${unresolved} charges are unresolved without a cause`);
  }
  if (held.length > 0) faults.push(`${held.length} are still held`);
  if (mismatches !== 0) faults.push(`${mismatches} periods do not add up`);
  for (const [answer, count] of Object.entries(answers)) {
    const isDue = answer === "200" || answer === "429 budget_exceeded" || (leavers && answer === "left");
    // A process that dies takes its answers with it, and who asks it is told to come again.
    if (!isDue && !(kills > 0 && (answer === "cut" || answer.startsWith("503 ")))) faults.push(`${count} × ${answer}`);
  }
  return faults;
}

const PRICE_NANOS = 10_000_000n;
/** Who is not answered by then never is. */
const LATEST_MS = 90_000;

const configOf = (origin: string): string => `
providers:
  sim: { kind: openai-compatible, base_url: "${origin}/v1", api_key: "env:TEST_PROVIDER_KEY" }
models:
  m:
    targets: [{ provider: sim, model: sim-1 }]
    price: { input_usd_per_mtok: 0, output_usd_per_mtok: 0, request_usd: 0.01 }
    context_window: 8000
    max_output_tokens: 1000
`;

/** The storms of a seed: every third one is calm, in every third one only clients go away, in the others processes die, too. */
export const stormOf = (seed: number): Pick<StormOptions, "seed" | "kills" | "leavers"> => ({
  seed,
  kills: seed % 3 === 0 ? 6 : 0,
  leavers: seed % 3 !== 1,
});

export interface StormGround extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly simulator: Simulator;
  storm(options: StormOptions): Promise<StormResult>;
}

/** Four replicas of policy, two of ingress; seeds follow each other on it, each with workspaces of its own. */
export async function stormGround(): Promise<StormGround> {
  await using stack = new AsyncDisposableStack();
  const simulator = stack.use(await startSimulator());
  const cluster = stack.use(
    await startCluster("mesh", {
      config: configOf(simulator.origin),
      env: { TEST_PROVIDER_KEY: "sk-simulated" },
      policies: 4,
      ingresses: 2,
    }),
  );
  const books = new pg.Pool({ connectionString: cluster.postgres.url, max: 2, options: "-c search_path=policy" });
  books.on("error", () => undefined);
  stack.defer(() => books.end());
  const running = stack.move();
  return {
    cluster,
    simulator,
    storm: (options) => new Storm(cluster, simulator, books, options).run(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** A key, and the budget that bounds it. */
interface Purse {
  readonly name: string;
  readonly fit: number;
  readonly keyId: string;
  readonly secret: string;
  readonly workspaceId: string;
  /** Of a purse per run: how many runs share it, each of which `fit / runs` fit. */
  readonly runs: number;
}

class Storm {
  readonly #draw: () => number;
  readonly #answers: Record<string, number> = {};
  #sent = 0;
  #purses: Purse[] = [];
  readonly cluster: Cluster;
  readonly simulator: Simulator;
  readonly books: pg.Pool;
  readonly options: StormOptions;

  constructor(cluster: Cluster, simulator: Simulator, books: pg.Pool, options: StormOptions) {
    this.cluster = cluster;
    this.simulator = simulator;
    this.books = books;
    this.options = options;
    this.#draw = randomOf(options.seed);
  }

  async run(): Promise<StormResult> {
    const { seed, clients, requests, kills, leavers } = this.options;
    this.simulator.reset();
    this.simulator.script({ behaviour: { trickleMs: 1, words: 6 } });
    this.#purses = await this.#fillPurses();
    let storming = true;
    const killers = kills === 0 ? Promise.resolve() : this.#kill(() => storming);
    try {
      await Promise.all(Array.from({ length: clients }, () => this.#client(requests)));
    } finally {
      storming = false;
      await killers;
    }
    await this.#quiet();
    // What was given back in the end is room that somebody may still take.
    await Promise.all(this.#purses.map((purse) => this.#drain(purse)));
    const quietMs = await this.#quiet();
    const budgets = await Promise.all(this.#purses.map((purse) => this.#balance(purse)));
    const { rows } = await this.books.query<{ count: string }>("select count(*) from policy.verify_ledger()");
    return {
      seed,
      kills,
      leavers,
      sent: this.#sent,
      answers: this.#answers,
      budgets,
      quietMs,
      held: await this.#held(),
      mismatches: Number(rows[0]?.count),
    };
  }

  async #fillPurses(): Promise<Purse[]> {
    const { seed, clients, requests } = this.options;
    const total = clients * requests;
    const make = async (kind: string, share: number, budgets: (fit: number) => Budget[], runs = 1): Promise<Purse> => {
      const fit = Math.max(1, Math.floor((total * share * (0.5 + this.#draw())) / runs)) * runs;
      const { operator } = this.cluster;
      const { workspace } = await operator.policy.createWorkspace({ name: `storm-${seed}-${Date.now()}-${kind}` });
      const workspaceId = workspace?.id ?? "";
      for (const { where, ...terms } of budgets(fit / runs)) {
        const place =
          where === "workspace"
            ? ({ case: "workspace", value: workspaceId } as const)
            : ({ case: "project", value: `${workspace?.name}/default` } as const);
        await operator.policy.putBudget({ place: { place }, period: policy.BudgetPeriod.TOTAL, hard: true, ...terms });
      }
      const made = await operator.policy.createKey({ workspace: workspaceId, name: kind });
      return { name: kind, fit, keyId: made.key?.id ?? "", secret: made.secret, workspaceId, runs };
    };
    const money = (fit: number): Budget => ({
      where: "workspace",
      unit: policy.BudgetUnit.NANO_USD,
      // A little more, which is no room for another one.
      limit: BigInt(fit) * PRICE_NANOS + PRICE_NANOS - 1n,
    });
    const count = (fit: number): Budget => ({
      where: "project",
      unit: policy.BudgetUnit.REQUESTS,
      limit: BigInt(fit),
    });
    const purses = [
      await make("money", 0.1, (fit) => [money(fit)]),
      await make("both", 0.1, (fit) => [money(fit * 2), count(fit)]),
      await make("runs", 0.1, (fit) => [{ ...count(fit), per: policy.BudgetSubject.RUN }], 8),
    ];
    for (const { secret } of purses) await this.#known(secret);
    return purses;
  }

  /** A new key is known everywhere within a second. */
  async #known(secret: string): Promise<void> {
    for (const front of this.cluster.fronts) {
      for (const endMs = Date.now() + 30_000; ; await sleep(20)) {
        const answer = await fetch(`${front.httpUrl}/v1/models`, { headers: { authorization: `Bearer ${secret}` } });
        await answer.text();
        if (answer.status === 200) break;
        if (Date.now() > endMs) throw new Error(`a new key is still unknown: ${answer.status}`);
      }
    }
  }

  async #client(requests: number): Promise<void> {
    for (let turn = 0; turn < requests; turn++) {
      const purse = this.#purses[Math.floor(this.#draw() * this.#purses.length)] as Purse;
      const answer = await this.#ask(purse, Math.floor(this.#draw() * purse.runs), {
        stream: this.#draw() < 0.5,
        leaveAfterMs: this.options.leavers && this.#draw() < 0.1 ? Math.floor(this.#draw() * 30) : undefined,
      });
      this.#answers[answer] = (this.#answers[answer] ?? 0) + 1;
      if (answer === "cut" || answer.startsWith("503")) await sleep(300 + this.#draw() * 300);
      // So long that the storm outlasts the kills.
      if (this.options.kills > 0) await sleep(this.#draw() * 500);
    }
  }

  async #ask(
    purse: Purse,
    run: number,
    { stream, leaveAfterMs }: { stream: boolean; leaveAfterMs?: number | undefined },
  ): Promise<string> {
    this.#sent++;
    const fronts = this.cluster.fronts;
    const front = fronts[Math.floor(this.#draw() * fronts.length)];
    const leaving = leaveAfterMs === undefined ? undefined : AbortSignal.timeout(leaveAfterMs);
    const late = AbortSignal.timeout(LATEST_MS);
    try {
      const response = await fetch(`${front?.httpUrl}/v1/chat/completions`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${purse.secret}`,
          "content-type": "application/json",
          ...(purse.runs > 1 ? { "x-weir-run-id": `run-${run}` } : {}),
        },
        body: JSON.stringify({
          model: "m",
          stream,
          max_tokens: 20,
          messages: [{ role: "user", content: `mark-${purse.name}-${run}-` }],
        }),
        signal: leaving === undefined ? late : AbortSignal.any([leaving, late]),
      });
      const text = await response.text();
      if (response.status === 200) return stream && !text.includes("data: [DONE]") ? "cut" : "200";
      return `${response.status} ${/"code": ?"([a-z_]+)"/.exec(text)?.[1] ?? text.slice(0, 200)}`;
    } catch {
      if (leaving?.aborted === true) return "left";
      return late.aborted ? "never answered" : "cut";
    }
  }

  /** Any process may die while another one is away or just starting; who dies comes again after a while, on its data. */
  async #kill(storming: () => boolean): Promise<void> {
    const { policies, fronts } = this.cluster;
    const alive = new Set<Process>([...policies, ...fronts]);
    const restarts: Promise<void>[] = [];
    for (let kill = 0; kill < this.options.kills && storming(); kill++) {
      await sleep(this.#draw() * 600);
      const victim = [...alive][Math.floor(this.#draw() * alive.size)];
      if (victim === undefined) continue;
      alive.delete(victim);
      await victim.kill();
      restarts.push(this.#restart(victim, this.#draw() * 500).then(() => void alive.add(victim)));
    }
    await Promise.all(restarts);
  }

  async #restart(victim: Process, afterMs: number): Promise<void> {
    await sleep(afterMs);
    await victim.start();
    for (const endMs = Date.now() + 60_000; (await victim.readyz()) !== 200; await sleep(50)) {
      if (Date.now() > endMs) throw new Error(`not ready in a minute after a kill:\n${victim.output()}`);
    }
  }

  /** Waits until nothing is held any more. @returns how long that took; it is not thrown where it does not come, `held` says so */
  async #quiet(): Promise<number> {
    const beginMs = Date.now();
    while ((await this.#held()).length > 0 && Date.now() < beginMs + 60_000) await sleep(50);
    return Date.now() - beginMs;
  }

  async #held(): Promise<string[]> {
    const { rows } = await this.books.query<{ held: string }>(
      `select concat_ws(' ', h.request_id, h.attempt, h.created_at, o.name, 'dead ' || o.dead_at) as held
        from policy.hold h join policy.owner o on o.id = h.owner_id where h.key_id = any($1) and not exists (
          select from policy.settlement s where s.request_id = h.request_id and s.attempt = h.attempt)`,
      [this.#purses.map(({ keyId }) => keyId)],
    );
    return rows.map(({ held }) => held);
  }

  async #drain(purse: Purse): Promise<void> {
    for (let run = 0; run < purse.runs; run++) {
      for (let refusals = 0; refusals < 2; ) {
        const answer = await this.#ask(purse, run, { stream: false });
        this.#answers[answer] = (this.#answers[answer] ?? 0) + 1;
        if (answer !== "200") refusals++;
        if (answer.startsWith("503") || answer === "cut") await sleep(100);
      }
    }
  }

  async #balance({ name, fit, keyId }: Purse): Promise<StormResult["budgets"][number]> {
    const served = this.simulator.ledger.filter(({ body }) => body.includes(`mark-${name}-`)).length;
    const { rows } = await this.books.query<{ unresolved: string }>(
      `select count(*) as unresolved from policy.settlement s join policy.hold h using (request_id, attempt)
        where h.key_id = $1 and s.kind = 'at-bound' and not s.correction and not exists (
          select from policy.settlement c where c.request_id = s.request_id and c.attempt = s.attempt and c.correction)`,
      [keyId],
    );
    return { name, fit, served, unresolved: Number(rows[0]?.unresolved) };
  }
}

interface Budget {
  readonly where: "workspace" | "project";
  readonly unit: policy.BudgetUnit;
  readonly limit: bigint;
  readonly per?: policy.BudgetSubject;
}
