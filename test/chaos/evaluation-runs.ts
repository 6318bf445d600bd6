/**
 * A run over many records in a process of its own, which is killed (SIGKILL) again and again and goes on each time: what it took, the most memory the
 * process had, and whether every record was judged once, with the bytes of a run that was left alone.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Client, ConnectError } from "@connectrpc/connect";
import { evaluation } from "@weir/contracts";
import { networkPeers } from "@weir/mesh";
import { startPostgres } from "@weir/testkit";
import pg from "pg";
import { randomOf } from "./random.ts";

export interface EvaluationRunsOptions {
  readonly records: number;
  readonly kills: number;
  readonly seed: number;
  /** Of JavaScript's heap, for the process that judges. */
  readonly heapMb: number;
}

export interface EvaluationRunsResult {
  readonly uploadMs: number;
  readonly wholeMs: number;
  readonly killedMs: number;
  readonly recordsPerSecond: number;
  /** The most resident memory of any process of it, by the kernel's count (VmHWM). */
  readonly peakRssMb: number;
  readonly kills: number;
  readonly faults: readonly string[];
}

const CHILD = fileURLToPath(new URL("../../services/evaluation/test/serve-child.ts", import.meta.url));
const headers = { authorization: "Bearer operator-token" };

export async function evaluationRuns({
  records,
  kills,
  seed,
  heapMb,
}: EvaluationRunsOptions): Promise<EvaluationRunsResult> {
  await using server = await startPostgres();
  const url = await server.freshDatabase();
  const dataDir = mkdtempSync(join(tmpdir(), "weir-runs-"));
  const random = randomOf(seed);
  let peakRssMb = 0;
  const serve = async () => {
    const child = spawn(process.execPath, [`--max-old-space-size=${heapMb}`, CHILD, url, dataDir], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const peers = networkPeers({ addresses: () => `http://127.0.0.1:${line.toString().trim()}` });
    const end = async (): Promise<void> => {
      peakRssMb = Math.max(peakRssMb, peakOf(child));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    };
    return {
      client: peers.client(evaluation.EvaluationService),
      end,
      async [Symbol.asyncDispose]() {
        await peers[Symbol.asyncDispose]();
        await end();
      },
    };
  };
  try {
    const [wholeRun, killedRun] = [randomUUID(), randomUUID()];
    let [uploadMs, wholeMs, killedMs, killed] = [0, 0, 0, 0];
    let digest = "";
    {
      await using service = await serve();
      uploadMs = await timed(() => prepare(service.client, records, [wholeRun, killedRun]));
      wholeMs = await timed(async () => {
        digest = await follow(service.client, wholeRun, () => Promise.resolve());
      });
    }
    const places = Array.from({ length: kills }, () => Math.floor(random() * records)).toSorted((a, b) => a - b);
    let last = "";
    killedMs = await timed(async () => {
      for (const place of [...places, Number.POSITIVE_INFINITY]) {
        await using service = await serve();
        try {
          const going = follow(service.client, killedRun, async (judged) => {
            if (judged < place) return;
            killed++;
            await service.end();
          });
          // At the end two at once, as when a caller lost its connection and asks again.
          const beside =
            place === Number.POSITIVE_INFINITY ? follow(service.client, killedRun, () => Promise.resolve()) : going;
          const [one, other] = await Promise.all([going, beside]);
          last = one === other ? one : `${one} and ${other}`;
        } catch (error) {
          if (!(error instanceof ConnectError)) throw error;
        }
      }
    });
    const faults = [
      ...(last === digest ? [] : [`digest ${last} of the killed run is not ${digest}`]),
      ...(await faultsIn(url, records, [wholeRun, killedRun])),
    ];
    const recordsPerSecond = Math.round((records * 1_000) / wholeMs);
    return { uploadMs, wholeMs, killedMs, recordsPerSecond, peakRssMb, kills: killed, faults };
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

type EvaluationClient = Client<typeof evaluation.EvaluationService>;

async function prepare(client: EvaluationClient, records: number, runs: readonly string[]): Promise<void> {
  const checks = [
    { check: { case: "length", value: { minCharacters: 2, maxCharacters: 2_000 } } },
    { check: { case: "noRefusal", value: {} } },
  ] as const;
  await client.putEvaluator(
    { name: "polite", definition: { kind: { case: "heuristic", value: { checks: [...checks] } } } },
    { headers },
  );
  const { uploadId } = await client.startUpload({ name: "large" }, { headers });
  for (let first = 0; first < records; first += 1_000) {
    const lines = Array.from({ length: Math.min(1_000, records - first) }, (_, at) => {
      const answer = (first + at) % 3 === 0 ? "I cannot help with this." : "word ".repeat(200);
      return JSON.stringify({ id: `r${first + at}`, input: first + at, answer });
    });
    await client.appendRecords({ uploadId, first, lines }, { headers });
  }
  const { dataset } = await client.commitUpload({ uploadId }, { headers });
  for (const runId of runs) await client.createRun({ runId, dataset, evaluators: [{ name: "polite" }] }, { headers });
}

async function follow(client: EvaluationClient, runId: string, at: (judged: number) => Promise<void>): Promise<string> {
  let digest = "";
  for await (const { judged, resultsDigest } of client.continueRun({ runId }, { headers })) {
    digest = resultsDigest;
    await at(judged);
  }
  return digest;
}

async function faultsIn(url: string, records: number, runs: readonly string[]): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const counted = await client.query<{ run: string; results: number; records: number; last: number }>(
      `select run, count(*)::int as results, count(distinct ordinal)::int as records, max(ordinal) as last
       from evaluation.run_result group by run`,
    );
    return runs.flatMap((run) => {
      const found = counted.rows.find((row) => row.run === run);
      const whole = found?.results === records && found.records === records && found.last === records - 1;
      return whole
        ? []
        : [`run ${run} has ${found?.records ?? 0} records and ${found?.results ?? 0} results of ${records}`];
    });
  } finally {
    await client.end();
  }
}

const peakOf = ({ pid }: ChildProcess): number => {
  try {
    return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1_024);
  } catch {
    return 0; // It has ended, or this is no Linux.
  }
};

async function timed(work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  return Math.round(performance.now() - begin);
}
