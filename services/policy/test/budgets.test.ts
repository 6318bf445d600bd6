import { createHmac, randomUUID } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { policy } from "@weir/contracts";
import { type BackingPostgres, startNats, startPostgres } from "@weir/testkit";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BUDGET_RIGHTS } from "../src/domain/authority.ts";
import { admitOne, reasonOf, type Replica, replica } from "./service-fixture.ts";

const { BudgetPeriod, BudgetSubject, BudgetUnit, ChargeState, Scope, SettlementResult } = policy;

let postgres: BackingPostgres;
let one: Replica;
let two: Replica;
let receiver: Receiver;

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Receiver extends AsyncDisposable {
  readonly origin: string;
  readonly received: Received[];
  status: number;
}

async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      received.push({ headers: request.headers, body });
      response.writeHead(made.status, { location: "http://127.0.0.1:1/" }).end("ignored");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const made: Receiver = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    status: 204,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
  return made;
}

beforeAll(async () => {
  [postgres, receiver] = await Promise.all([startPostgres(), startReceiver()]);
  const config = { webhooks: { internalOrigins: [receiver.origin] } };
  one = await replica(postgres.url, { config });
  two = await replica(postgres.url, { config });
});
afterAll(async () => {
  await one[Symbol.asyncDispose]();
  await two[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

interface Made {
  readonly workspace: string;
  readonly keyId: string;
  readonly place: { readonly place: { readonly case: "workspace"; readonly value: string } };
}

async function made(): Promise<Made> {
  const name = `w-${randomUUID().slice(0, 8)}`;
  await one.admin.createWorkspace({ name }, one.asAdmin);
  const { key } = await one.admin.createKey({ workspace: name, name: "k" }, one.asAdmin);
  return { workspace: name, keyId: key?.id ?? "", place: { place: { case: "workspace", value: name } } };
}
const money = { unit: BudgetUnit.NANO_USD, period: BudgetPeriod.TOTAL, limit: 100n, hard: true };
const charge = (keyId: string, requestId: string, costNanos: bigint) => ({
  owner: "owner",
  settlements: [
    { requestId, attempt: 1, keyId, outcome: { case: "charge" as const, value: { costNanos, tokens: 0n } } },
  ],
});
const query = async <T extends pg.QueryResultRow>(text: string): Promise<T[]> => {
  const client = new pg.Client(postgres.url);
  await client.connect();
  try {
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end();
  }
};

test("every method of the service stands in the table of rights, and nothing else does", () => {
  const names = policy.BudgetService.methods.map(({ name }) => name);
  expect(Object.keys(BUDGET_RIGHTS).toSorted()).toEqual(names.toSorted());
});

describe("a run", () => {
  test("has a budget and a number of steps of its own, whichever replica it asks", async () => {
    const { workspace, keyId, place } = await made();
    await one.admin.putBudget(
      { place, ...money, unit: BudgetUnit.REQUESTS, limit: 3n, per: BudgetSubject.RUN },
      one.asAdmin,
    );
    // The other replica hears of the budget within a second.
    await expect.poll(async () => (await admitOne(two, { keyId, runId: "run-0" })).held).toBe(true);
    const steps = [one, two, one, two].map((replicaOf) => admitOne(replicaOf, { keyId, runId: "run-a" }));
    const kinds = (await Promise.all(steps)).map(({ admitted }) => admitted);
    expect(kinds.filter(Boolean)).toHaveLength(3);
    const { refused } = await admitOne(one, { keyId, runId: "run-a" });
    expect(refused?.rule).toMatch(/^budget workspace\/.* total requests per run$/);
    expect((await admitOne(one, { keyId, runId: "run-b" })).admitted).toBe(true);
    // Who names no run takes nothing from it, and holds nothing.
    expect(await admitOne(one, { keyId })).toMatchObject({ admitted: true, held: false });
    const { budgets } = await one.admin.listBudgets({ workspace }, one.asAdmin);
    expect(budgets).toMatchObject([{ per: BudgetSubject.RUN, limit: 3n, subjects: 3n }]);
  });

  test("that asks the same again and again is refused, with a reason of its own", async () => {
    const { keyId, place } = await made();
    await one.admin.putBudget(
      { place, ...money, hard: false, per: BudgetSubject.RUN, maxIdenticalCalls: 2 },
      one.asAdmin,
    );
    const ask = (callDigest: string, runId = "run") => admitOne(one, { keyId, runId, callDigest, cost: 1n });
    expect((await ask("same")).admitted).toBe(true);
    const again = await ask("same");
    expect(again.admitted).toBe(true);
    // The same request once more is no other call.
    expect(
      (await admitOne(one, { keyId, runId: "run", callDigest: "same", cost: 1n, requestId: again.requestId })).admitted,
    ).toBe(true);
    const third = await ask("same");
    expect(third.admitted).toBe(false);
    expect(third.refused?.error?.message).toMatch(/same call/);
    expect((await ask("other")).admitted).toBe(true);
    expect((await ask("same", "another-run")).admitted).toBe(true);
    expect((await ask("")).admitted).toBe(true);
  });

  test("counts identical calls only where budgets are per run", async () => {
    const { place } = await made();
    const put = one.admin.putBudget({ place, ...money, maxIdenticalCalls: 2 }, one.asAdmin);
    expect(await reasonOf(put)).toBe("invalid_request");
  });
});

test("each end user has a budget of its own, and the ledger does not say who it is", async () => {
  const { keyId, place } = await made();
  await one.admin.putBudget({ place, ...money, limit: 10n, per: BudgetSubject.END_USER }, one.asAdmin);
  const ask = (endUser: string) => admitOne(one, { keyId, endUser, cost: 10n });
  expect((await ask("ann@example.com")).admitted).toBe(true);
  expect((await ask("ann@example.com")).admitted).toBe(false);
  expect((await ask("bob@example.com")).admitted).toBe(true);
  const subjects = await query<{ subject: string }>("select subject from policy.budget_period");
  expect(subjects.some(({ subject }) => subject.includes("ann"))).toBe(false);
});

test("a workspace's time zone is its budgets', and must be one", async () => {
  const { workspace, place } = await made();
  const { budget } = await one.admin.putBudget({ place, ...money, period: BudgetPeriod.DAY }, one.asAdmin);
  expect(budget?.timeZone).toBe("UTC");
  expect(Number(budget?.periodEndMs) % 86_400_000).toBe(0);
  await one.admin.updateWorkspace({ workspace, timeZone: "Asia/Kathmandu" }, one.asAdmin);
  const { budgets } = await one.admin.listBudgets({ workspace }, one.asAdmin);
  const moved = budgets.find(({ id }) => id === budget?.id);
  expect(moved?.timeZone).toBe("Asia/Kathmandu");
  // 5:45 before UTC.
  expect((Number(moved?.periodEndMs) + 20_700_000) % 86_400_000).toBe(0);
  const bad = one.admin.updateWorkspace({ workspace, timeZone: "Mars/Olympus" }, one.asAdmin);
  expect(await reasonOf(bad)).toBe("invalid_request");
});

describe("the books", () => {
  test("agree, and what does not is told with its sums", async () => {
    const { keyId, place } = await made();
    const { budget } = await one.admin.putBudget({ place, ...money }, one.asAdmin);
    const { requestId } = await admitOne(one, { keyId, cost: 7n });
    await one.policy.settleBatch(charge(keyId, requestId, 5n));
    const good = await one.budgets.verifyBudgets({}, one.asAdmin);
    expect(good.mismatches).toEqual([]);
    expect(good.holds).toBeGreaterThan(0n);
    await query(`update policy.budget_period set spent = spent + 1 where budget_id = ${budget?.id}`);
    const { mismatches } = await one.budgets.verifyBudgets({}, one.asAdmin);
    expect(mismatches).toMatchObject([{ budgetId: budget?.id, spent: 6n, spentByEntries: 5n, held: 0n }]);
    await query(`update policy.budget_period set spent = spent - 1 where budget_id = ${budget?.id}`);
  });

  test("show every attempt with what is charged for it, page by page", async () => {
    const { keyId, place } = await made();
    await one.admin.putBudget({ place, ...money }, one.asAdmin);
    const fromMs = BigInt(Date.now() - 60_000);
    const [a, b, c] = [
      await admitOne(one, { keyId, cost: 10n }),
      await admitOne(one, { keyId, cost: 10n }),
      await admitOne(one, { keyId, cost: 10n }),
    ];
    await one.policy.settleBatch(charge(keyId, a.requestId, 4n));
    await one.policy.settleBatch({
      owner: "owner",
      settlements: [{ requestId: b.requestId, attempt: 1, keyId, outcome: { case: "void", value: {} } }],
    });
    const found: policy.Charge[] = [];
    let pageToken = "";
    do {
      const page = await one.budgets.listCharges(
        { fromMs, toMs: BigInt(Date.now() + 60_000), pageSize: 2, pageToken },
        one.asAdmin,
      );
      found.push(...page.charges);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    const of = (id: string) =>
      found.filter(({ requestId }) => requestId === id).map(({ state, charged }) => [state, charged?.costNanos]);
    expect(of(a.requestId)).toEqual([[ChargeState.CHARGED, 4n]]);
    expect(of(b.requestId)).toEqual([[ChargeState.VOID, 0n]]);
    expect(of(c.requestId)).toEqual([[ChargeState.OPEN, 0n]]);
  });

  test("an owner whose disk is gone is ended at its bounds; each charge is resolved once, and it stands who asked", async () => {
    const { keyId, place } = await made();
    const { budget } = await one.admin.putBudget({ place, ...money }, one.asAdmin);
    const owner = `lost-${randomUUID()}`;
    const [a, b] = [await admitOne(one, { keyId, cost: 30n }, owner), await admitOne(one, { keyId, cost: 40n }, owner)];
    const sums = async () => {
      const { budgets } = await one.admin.listBudgets({}, one.asAdmin);
      const row = budgets.find(({ id }) => id === budget?.id);
      return { held: row?.held, spent: row?.spent };
    };
    const { owners } = await one.budgets.listOwners({}, one.asAdmin);
    expect(owners.find(({ name }) => name === owner)).toMatchObject({ openHolds: 2n, deadAtMs: 0n });
    expect(await one.budgets.endOwner({ owner, note: "its disk burned" }, one.asAdmin)).toMatchObject({
      chargedAtBound: 2,
    });
    expect(await sums()).toEqual({ held: 0n, spent: 70n });
    expect((await admitOne(one, { keyId, cost: 1n }, owner)).admitted).toBe(false);

    const unresolved = async () => {
      const { charges } = await one.budgets.listUnresolved({}, one.asAdmin);
      return charges
        .filter((row) => row.owner === owner)
        .map(({ requestId }) => requestId)
        .toSorted();
    };
    expect(await unresolved()).toEqual([a.requestId, b.requestId].toSorted());
    const resolve = (requestId: string, costNanos?: bigint) =>
      one.budgets.resolveCharge(
        {
          requestId,
          attempt: 1,
          outcome:
            costNanos === undefined
              ? { case: "void", value: {} }
              : { case: "charge", value: { costNanos, tokens: 0n } },
          note: "by the provider's invoice",
        },
        one.asAdmin,
      );
    expect((await resolve(a.requestId, 12n)).result).toBe(SettlementResult.CREDITED);
    expect((await resolve(b.requestId)).result).toBe(SettlementResult.CREDITED);
    expect((await resolve(b.requestId, 1n)).result).toBe(SettlementResult.UNKNOWN_HOLD);
    expect(await unresolved()).toEqual([]);
    expect(await sums()).toEqual({ held: 0n, spent: 12n });
    expect((await one.budgets.verifyBudgets({}, one.asAdmin)).mismatches).toEqual([]);
    const asked = await query<{ asked_by: string; owner: string | null; note: string }>(
      "select asked_by, owner, note from policy.resolution order by id",
    );
    expect(asked).toEqual([
      { asked_by: "operator", owner, note: "its disk burned" },
      { asked_by: "operator", owner: null, note: "by the provider's invoice" },
      { asked_by: "operator", owner: null, note: "by the provider's invoice" },
    ]);
  });

  test("are the operator's: a key does not get at them", async () => {
    const { workspace } = await made();
    const { secret } = await one.admin.createKey({ workspace, name: "admin", scopes: [Scope.ADMIN] }, one.asAdmin);
    const as = { headers: { authorization: `Bearer ${secret}` } };
    for (const call of [
      () => one.budgets.verifyBudgets({}, as),
      () => one.budgets.listCharges({ fromMs: 0n, toMs: 1n }, as),
      () => one.budgets.listOwners({}, as),
      () => one.budgets.endOwner({ owner: "x" }, as),
      () => one.budgets.listUnresolved({}, as),
    ])
      expect(await reasonOf(call())).toBe("permission_denied");
    expect(await reasonOf(one.budgets.verifyBudgets({}))).toBe("missing_key");
  });
});

test("a warning is an event on NATS, once, also where NATS came later than the warning", {
  timeout: 90_000,
}, async () => {
  await using nats = await startNats();
  await using announcing = await replica(postgres.url, { natsUrl: nats.url });
  const { workspace, keyId, place } = await made();
  await announcing.admin.putBudget({ place, ...money, limit: 1_000_000_000n, hard: false }, announcing.asAdmin);
  await nats.stop();
  const { requestId } = await admitOne(announcing, { keyId, cost: 500_000_000n });
  await announcing.policy.settleBatch(charge(keyId, requestId, 500_000_000n));
  await expect
    .poll(async () => (await announcing.budgets.listWarnings({ workspace }, announcing.asAdmin)).warnings.length)
    .toBe(1);
  await nats.restart();
  const connection = await connect({ servers: nats.url });
  try {
    const manager = await jetstreamManager(connection);
    const events = async (): Promise<string[]> => {
      const found: string[] = [];
      for (let seq = 1; ; seq += 1) {
        const event = await manager.streams.getMessage("WEIR_EVENTS", { seq }).catch(() => undefined);
        if (event === null || event === undefined) return found.filter((text) => text.includes(workspace));
        found.push(event.string());
      }
    };
    await expect
      .poll(async () => ((await events()).length === 1 ? "told" : announcing.log.slice(-8).join("\n")), {
        timeout: 30_000,
      })
      .toBe("told");
    const [event = ""] = await events();
    expect(JSON.parse(event)).toMatchObject({ type: "budget.warning", data: { workspace, percent: 50 } });
    // A round that finds nothing new tells nothing again.
    const next = await admitOne(announcing, { keyId, cost: 300_000_000n });
    await announcing.policy.settleBatch(charge(keyId, next.requestId, 300_000_000n));
    await expect.poll(async () => (await events()).length, { timeout: 30_000 }).toBe(2);
  } finally {
    await connection.close();
  }
});

describe("webhooks", () => {
  async function spend(keyId: string, cost: bigint): Promise<void> {
    const { requestId } = await admitOne(one, { keyId, cost });
    await one.policy.settleBatch(charge(keyId, requestId, cost));
  }
  const bodiesOf = (workspace: string) =>
    receiver.received
      .map(
        ({ body }) =>
          JSON.parse(body) as {
            type: string;
            data: { workspace: string; percent: number; spent: string; limit: string };
          },
      )
      .filter(({ data }) => data.workspace === workspace);

  test("are told once of each threshold, by one of the replicas, signed as the specification says", async () => {
    const { workspace, keyId, place } = await made();
    const { secret } = await one.budgets.putWebhook({ workspace, url: `${receiver.origin}/hook` }, one.asAdmin);
    await one.admin.putBudget({ place, ...money, limit: 1_000_000_000n, hard: false }, one.asAdmin);
    await spend(keyId, 500_000_000n);
    await expect.poll(() => bodiesOf(workspace).length, { timeout: 20_000 }).toBe(1);
    await spend(keyId, 600_000_000n);
    await expect.poll(() => bodiesOf(workspace).length, { timeout: 20_000 }).toBe(3);
    await spend(keyId, 600_000_000n);
    const bodies = bodiesOf(workspace);
    expect(bodies.map(({ data }) => data.percent).toSorted((a, b) => a - b)).toEqual([50, 80, 100]);
    expect(bodies[0]).toMatchObject({ type: "budget.warning", data: { spent: "0.5", limit: "1" } });
    for (const { headers, body } of receiver.received.filter((one) => one.body.includes(workspace))) {
      const text = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
      const key = Buffer.from(secret.replace("whsec_", ""), "base64");
      expect(headers["webhook-signature"]).toBe(`v1,${createHmac("sha256", key).update(text).digest("base64")}`);
    }
    await expect
      .poll(async () =>
        (await one.budgets.listWarnings({ workspace }, one.asAdmin)).warnings.map(({ delivery }) => delivery),
      )
      .toEqual(["sent", "sent", "sent"]);
  });

  test("that do not take a warning get it again, also from a replica that came later; a redirect is not followed", async () => {
    const { workspace, keyId, place } = await made();
    await one.budgets.putWebhook({ workspace, url: `${receiver.origin}/hook` }, one.asAdmin);
    await one.admin.putBudget({ place, ...money, limit: 10n, hard: false }, one.asAdmin);
    receiver.status = 302;
    await spend(keyId, 5n);
    const webhook = async () => (await one.budgets.listWebhooks({ workspace }, one.asAdmin)).webhooks[0];
    await expect.poll(async () => (await webhook())?.lastError, { timeout: 20_000 }).toMatch(/answered 302$/);
    expect(await webhook()).toMatchObject({ waiting: 1n });
    receiver.status = 204;
    await query("update policy.warning_delivery set next_at = now() where ended_at is null");
    await using _three = await replica(postgres.url, { config: { webhooks: { internalOrigins: [receiver.origin] } } });
    await expect.poll(async () => (await webhook())?.waiting, { timeout: 20_000 }).toBe(0n);
    expect((await webhook())?.lastError).toBe("");
    const ids = receiver.received
      .filter(({ body }) => body.includes(workspace))
      .map(({ headers }) => headers["webhook-id"]);
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
  });

  test("cannot lead into the operator's own network", async () => {
    const { workspace } = await made();
    for (const url of [
      "http://example.com/",
      "https://127.0.0.1/",
      "https://[::1]/",
      "https://0x7f000001/",
      "https://169.254.169.254/latest/meta-data",
      "https://10.0.0.1/",
      "https://[::ffff:10.0.0.1]/",
      `${receiver.origin.replace("127.0.0.1", "127.0.0.2")}/`,
      "https://user:password@example.com/",
      "file:///etc/passwd",
      "nonsense",
    ])
      expect(await reasonOf(one.budgets.putWebhook({ workspace, url }, one.asAdmin)), url).toBe("invalid_request");
    // A name shows where it leads only when it is called.
    const { workspace: another, keyId, place } = await made();
    await one.budgets.putWebhook({ workspace: another, url: "https://localhost:1/" }, one.asAdmin);
    await one.admin.putBudget({ place, ...money, limit: 10n, hard: false }, one.asAdmin);
    await spend(keyId, 5n);
    await expect
      .poll(async () => (await one.budgets.listWebhooks({ workspace: another }, one.asAdmin)).webhooks[0]?.lastError, {
        timeout: 20_000,
      })
      .toMatch(/internal address/);
  });

  test("are their workspace's: a key of another sees none, and one without the scope sets none", async () => {
    const [mine, other] = [await made(), await made()];
    await one.budgets.putWebhook({ workspace: other.workspace, url: "https://example.com/" }, one.asAdmin);
    const keyWith = async (scope: policy.Scope) => {
      const { secret } = await one.admin.createKey(
        { workspace: mine.workspace, name: "k", scopes: [scope] },
        one.asAdmin,
      );
      return { headers: { authorization: `Bearer ${secret}` } };
    };
    const [billing, read] = [await keyWith(Scope.BILLING), await keyWith(Scope.READ)];
    const put = (workspace: string, as: typeof billing) =>
      one.budgets.putWebhook({ workspace, url: "https://example.com/" }, as);
    expect(await reasonOf(put(mine.workspace, billing))).toBe("none");
    expect(await reasonOf(put(other.workspace, billing))).toBe("not_found");
    expect(await reasonOf(put(mine.workspace, read))).toBe("permission_denied");
    const { webhooks } = await one.budgets.listWebhooks({}, read);
    expect(webhooks).toHaveLength(1);
    await one.budgets.deleteWebhook({ workspace: mine.workspace }, billing);
    expect(await reasonOf(one.budgets.deleteWebhook({ workspace: mine.workspace }, billing))).toBe("not_found");
  });
});
