/**
 * node services/policy/test/ledger-bench.ts [--seconds 3] [--sizes 1,8,32,128]: what an admission and its settlement cost the ledger, by
 * the number of requests that share a commit. CPU of Postgres' backend and of this process, without the service around it. Linux.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { systemClock } from "@weir/kernel";
import { startPostgres } from "@weir/testkit";
import { nodeKeysmith } from "../src/adapters/node-keysmith.ts";
import type { HoldRequest, Settlement } from "../src/domain/ledger.ts";
import { ledgerFixture } from "./ledger-fixture.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "3" }, sizes: { type: "string", default: "1,8,32,128" } },
});

const cpuNs = (pid: number): number => Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]);

await using postgres = await startPostgres();
await using fixture = await ledgerFixture(await postgres.freshDatabase());
const ledger = fixture.ledger();
const budgetIds = [
  await fixture.budget({ period: "month", limit: 10n ** 17n }),
  await fixture.budget({ period: "day", unit: "tokens", limit: 10n ** 17n, hard: false }),
];
const keyId = "01890000-0000-7000-8000-000000000000";
const ids = nodeKeysmith(systemClock);
const holdOf = (): HoldRequest => ({
  requestId: ids.newId(),
  attempt: 1,
  owner: "bench/0/1",
  place: { keyId, budgetIds },
  bound: { costNanos: 2_000_000n, tokens: 1_000n },
});
const settlementOf = ({ requestId }: HoldRequest): Settlement => ({
  requestId,
  attempt: 1,
  outcome: { costNanos: 1_000_000n, tokens: 500n },
});

/** Each of `size` requests settles what it did before and holds for what it does next, all at once. */
async function round(size: number, before: readonly HoldRequest[]): Promise<HoldRequest[]> {
  const next = Array.from({ length: size }, holdOf);
  const settled = before.map((one) => ledger.settle([settlementOf(one)]));
  const verdicts = await Promise.all(next.map((one) => ledger.hold([one])));
  await Promise.all(settled);
  if (verdicts.flat().some(({ kind }) => kind !== "held")) throw new Error("a hold was refused");
  return next;
}

async function backends(): Promise<number[]> {
  const { rows } = await fixture.asSuperuser(
    // Idle ones are those of the fixture, which its pool closes as it likes.
    "select pid from pg_stat_activity where application_name = 'weir-policy-ledger' and query like '%apply_%'",
  );
  return rows.map(({ pid }) => pid as number);
}

const table: Record<string, string | number>[] = [];
for (const size of values.sizes.split(",").map(Number)) {
  let open = await round(size, []);
  for (let warm = 0; warm < 200; warm++) open = await round(size, open);
  const pids = await backends();
  const [postgresNs, ownUs, commits] = [pids.map(cpuNs), process.cpuUsage(), ledger.commits];
  const begin = performance.now();
  let requests = 0;
  while (performance.now() - begin < Number(values.seconds) * 1000) {
    open = await round(size, open);
    requests += size;
  }
  const own = process.cpuUsage(ownUs);
  const nanos = pids.reduce((sum, pid, at) => sum + cpuNs(pid) - (postgresNs[at] ?? 0), 0);
  const batches = ledger.commits - commits;
  table.push({
    size,
    "requests/commit": (requests / batches).toFixed(1),
    "requests/s": Math.round((requests * 1000) / (performance.now() - begin)),
    "postgres µs": (nanos / 1000 / requests).toFixed(1),
    "per commit µs": (nanos / 1000 / batches).toFixed(0),
    "own µs": ((own.user + own.system) / requests).toFixed(1),
  });
}
console.table(table);
