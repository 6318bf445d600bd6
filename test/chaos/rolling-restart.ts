/**
 * Every service of a mesh is stopped with SIGTERM and started again, one after the other, under steady load: two ingresses, two policies, two
 * routers, one audit. The clients do what a load balancer does: they ask ingresses whether they are ready and go to those that are, and who refuses a
 * connection is passed over for the other. Anything else than a whole answer is a request that was dropped.
 */
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { startSimulator } from "@weir/testkit";
import { type Face, FACES } from "../support/ask.ts";
import { outcomesById } from "../support/logged.ts";
import { type Cluster, type Process, startCluster } from "../support/processes.ts";
import { randomOf } from "./random.ts";

export interface RollingOptions {
  readonly rounds: number;
  readonly clients: number;
  readonly seed: number;
}

export interface RollingResult {
  readonly restarts: number;
  readonly requests: number;
  readonly streams: number;
  readonly dropped: readonly string[];
  /** Processes that did not end by themselves, with code 0. */
  readonly unclean: readonly string[];
  /** Requests that were answered and are not in the log exactly once, as succeeded. */
  readonly missing: readonly string[];
  readonly gaps: readonly string[];
  /** Of the budget, when all was quiet. */
  readonly held: bigint;
}

const READY_MS = 60_000;
const QUIET_MS = 30_000;
const WATCH_MS = 100;

export const rollingFaults = ({ dropped, unclean, missing, gaps, held }: RollingResult): string[] => [
  ...dropped.map((what) => `dropped: ${what}`),
  ...unclean,
  ...missing.map((id) => `not in the log: ${id}`),
  ...gaps.map((gap) => `gap: ${gap}`),
  ...(held === 0n ? [] : [`still held: ${held}`]),
];

export async function rollingRestart({ rounds, clients, seed }: RollingOptions): Promise<RollingResult> {
  const random = randomOf(seed);
  await using simulator = await startSimulator();
  await using cluster = await startCluster("mesh", {
    ingresses: 2,
    policies: 2,
    routers: 2,
    env: { WEIR_HTTP_DRAIN_DELAY: "1s" },
    config: `
providers:
  openai: { kind: openai, base_url: "${simulator.origin}/v1", api_key: sk-simulated-0123456789 }
models:
  m:
    targets: [{ provider: openai, model: m }]
    price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 }
    context_window: 100000
    max_output_tokens: 1000
workspaces:
  default:
    budgets: [{ period: total, limit_usd: 100000, hard: true }]
`,
  });
  simulator.script({ behaviour: { words: 20, trickleMs: 15 } });
  const load = new Load(cluster, random);
  const running = [load.watch(), ...Array.from({ length: clients }, () => load.run())];
  const unclean: string[] = [];
  let restarts = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      for (const [name, process] of restartable(cluster)) {
        await sleep(200 + random() * 400);
        load.phase = `${name}, round ${round}`;
        const code = await process.stop();
        if (code !== 0) unclean.push(`${name} ended with ${code}: ${process.output().slice(-500)}`);
        await process.start();
        for (const end = performance.now() + READY_MS; (await process.readyz()) !== 200; await sleep(50))
          if (performance.now() > end) throw new Error(`${name} is not ready again: ${process.output().slice(-2_000)}`);
        restarts += 1;
      }
    }
  } finally {
    load.stopped = true;
    await Promise.all(running);
  }
  const log = { audit: cluster.auditor };
  const held = async (): Promise<bigint> => (await cluster.operator.policy.listBudgets({})).budgets[0]?.held ?? -1n;
  const missing = async (): Promise<string[]> => {
    const outcomes = await outcomesById(log);
    return load.answered.filter((id) => {
      const found = outcomes.get(id) ?? [];
      return found.length !== 1 || found[0]?.error !== 0;
    });
  };
  for (const end = performance.now() + QUIET_MS; performance.now() < end; await sleep(250))
    if ((await held()) === 0n && (await missing()).length === 0) break;
  return {
    restarts,
    requests: load.answered.length + load.dropped.length,
    streams: load.streams,
    dropped: load.dropped,
    unclean,
    missing: await missing(),
    gaps: (await log.audit.gaps({})).gaps.map(({ producer, first, last }) => `${producer} ${first} to ${last}`),
    held: await held(),
  };
}

const restartable = ({ fronts, policies, routers, logging }: Cluster): (readonly [string, Process])[] => [
  ...fronts.map((one, index) => [`ingress ${index}`, one] as const),
  ...policies.map((one, index) => [`policy ${index}`, one] as const),
  ...routers.map((one, index) => [`router ${index}`, one] as const),
  ["audit", logging] as const,
];

class Load {
  readonly answered: string[] = [];
  readonly dropped: string[] = [];
  streams = 0;
  stopped = false;
  phase = "before";
  readonly #fronts: Cluster["fronts"];
  #ready: Cluster["fronts"];
  readonly #random: () => number;

  constructor({ fronts }: Cluster, random: () => number) {
    this.#fronts = fronts;
    this.#ready = fronts;
    this.#random = random;
  }

  /** As load balancers do, several times within the drain delay. */
  async watch(): Promise<void> {
    for (; !this.stopped; await sleep(WATCH_MS)) {
      const states = await Promise.all(this.#fronts.map((front) => front.readyz()));
      this.#ready = this.#fronts.filter((_, index) => states[index] === 200);
    }
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      const face = FACES[Math.floor(this.#random() * FACES.length)] as Face;
      const stream = this.#random() < 0.5;
      const { phase } = this;
      try {
        this.answered.push(await this.#ask(face, stream));
        if (stream) this.streams += 1;
      } catch (error) {
        this.dropped.push(`${face.name}${stream ? " stream" : ""}, ${phase}: ${String(error)}`);
      }
    }
  }

  /** @returns its id */
  async #ask(face: Face, stream: boolean): Promise<string> {
    const fronts = this.#ready.length > 0 ? this.#ready : this.#fronts;
    const start = Math.floor(this.#random() * fronts.length);
    const body = JSON.stringify({
      ...face.body("m", "hello", stream),
      ...(face.name === "chat" ? { max_tokens: 50 } : {}),
    });
    for (let turn = 0; ; turn++) {
      const front = fronts[(start + turn) % fronts.length] as Cluster["fronts"][number];
      try {
        const answer = await post(front.httpUrl + face.path, front.key, body);
        const text = await answer.text;
        if (answer.status !== 200) throw new Error(`${answer.status} ${text.slice(0, 300)}`);
        if (stream && !face.ending.test(text)) throw new Error(`broke off: ${text.slice(-300)}`);
        return answer.id;
      } catch (error) {
        const refused = error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
        if (!refused || turn >= fronts.length) throw error;
      }
    }
  }
}

/** By a connection of its own. */
async function post(url: string, key: string, body: string) {
  const asked = request(url, {
    method: "POST",
    agent: false,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", connection: "close" },
  });
  asked.end(body);
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  const text = async (): Promise<string> => {
    let all = "";
    for await (const chunk of answer.setEncoding("utf8")) all += chunk as string;
    return all;
  };
  const id = answer.headers["x-weir-request-id"];
  return { status: answer.statusCode ?? 0, id: typeof id === "string" ? id : "", text: text() };
}
