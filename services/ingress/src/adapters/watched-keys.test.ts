import { hash } from "node:crypto";
import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { policy } from "@weir/contracts";
import { systemClock, WeirError } from "@weir/kernel";
import { inProcessPeers, route } from "@weir/mesh";
import { fakeClock } from "@weir/testkit";
import { expect, test } from "vitest";
import { WatchedKeys } from "./watched-keys.ts";

const view = (keyId: string) =>
  create(policy.KeyViewSchema, { keyId, hash: hash("sha256", `secret of ${keyId}`, "buffer") });
const snapshot = (keyId: string) => ({
  version: 1n,
  event: { case: "snapshot" as const, value: { keys: [view(keyId)], first: true, complete: true } },
});
const beat = { version: 1n, event: { case: "beat" as const, value: {} } };
const storeAway = { version: 0n, event: { case: "storeAway" as const, value: { forMs: 1_000n } } };
const refuse = (): never => {
  throw new WeirError("unsupported", "not asked for here");
};

const IGNORED = { onError: () => undefined, onEnded: () => undefined };
const GRACE = { policyMs: 3_000, storeMs: 4_000 };

test("an instance of policy that falls silent is left for another", async () => {
  let calls = 0;
  const routes = [
    route(policy.PolicyService, {
      async *watch(_request, context) {
        calls += 1;
        yield snapshot(`key-${calls}`);
        // It says nothing any more, and does not end.
        await once(context.signal, "abort");
      },
      admitBatch: refuse,
      settleBatch: refuse,
      extend: refuse,
      recover: refuse,
      reportUse: refuse,
      awaitAdmission: refuse,
      renewSlots: refuse,
    }),
  ];
  const client = inProcessPeers(routes).client(policy.PolicyService);
  const errors: unknown[] = [];
  await using keys = new WatchedKeys(client, systemClock, GRACE, {
    ...IGNORED,
    onError: (error) => errors.push(error),
  });
  await expect.poll(() => keys.find("secret of key-1")?.key.id).toBe("key-1");
  await expect.poll(() => keys.find("secret of key-2")?.key.id, { timeout: 10_000 }).toBe("key-2");
  expect(keys.find("secret of key-1")).toBeUndefined();
  expect(errors).toHaveLength(1);
}, 15_000);

/** A policy that says what it is told to, once for each time it is told. */
function scripted() {
  const said: object[] = [];
  let wake = (): void => undefined;
  const routes = [
    route(policy.PolicyService, {
      async *watch(_request, context) {
        context.signal.addEventListener("abort", () => wake());
        while (!context.signal.aborted) {
          const next = said.shift();
          if (next !== undefined) yield next;
          else await new Promise<void>((resolve) => (wake = resolve));
        }
      },
      admitBatch: refuse,
      settleBatch: refuse,
      extend: refuse,
      recover: refuse,
      reportUse: refuse,
      awaitAdmission: refuse,
      renewSlots: refuse,
    }),
  ];
  return {
    client: inProcessPeers(routes).client(policy.PolicyService),
    say: async (...messages: object[]): Promise<void> => {
      said.push(...messages);
      wake();
      await expect.poll(() => said.length).toBe(0);
    },
  };
}

test("while policy says that its store is away, keys are stale for the store's grace, not for policy's", async () => {
  const clock = fakeClock();
  const { client, say } = scripted();
  await using keys = new WatchedKeys(client, clock, GRACE, IGNORED);
  await say(snapshot("key-1"), beat);
  expect(keys.freshness()).toBe("live");
  for (let passedMs = 0; passedMs < GRACE.storeMs; passedMs += 500) {
    clock.advance(500);
    await say(storeAway);
    expect(keys.freshness()).toBe(passedMs + 500 <= 1_000 ? "live" : "stale");
  }
  expect(keys.storeAway).toBe(true);
  expect(keys.find("secret of key-1")?.key.id).toBe("key-1");
  clock.advance(1);
  await say(storeAway);
  expect(keys.freshness()).toBe("expired");
  // It left that instance for another, which knows everything.
  await say(snapshot("key-2"), beat);
  expect(keys.freshness()).toBe("live");
  expect(keys.storeAway).toBe(false);
  clock.advance(GRACE.policyMs + 1);
  expect(keys.freshness()).toBe("expired");
});

test("who hears first of a store that is away knows nothing, and says so", async () => {
  const { client, say } = scripted();
  await using keys = new WatchedKeys(client, fakeClock(), GRACE, IGNORED);
  await say(storeAway, storeAway);
  expect(keys.freshness()).toBe("never");
});

test("a rotated key's old text works until its overlap is over, without another word from policy", async () => {
  const clock = fakeClock(1_000);
  const { client, say } = scripted();
  await using keys = new WatchedKeys(client, clock, GRACE, IGNORED);
  const rotated = (expiresAtMs: bigint) =>
    create(policy.KeyViewSchema, {
      keyId: "key",
      hash: hash("sha256", "new", "buffer"),
      expiresAtMs,
      retiredSecrets: [{ hash: hash("sha256", "old", "buffer"), expiresAtMs: 5_000n }],
    });
  const changed = (version: bigint, value: policy.KeyView) => ({ version, event: { case: "key" as const, value } });
  await say(snapshot("other"), changed(2n, rotated(0n)));
  const until = (secret: string) => keys.find(secret)?.key.expiresAtMs;
  expect([until("new"), until("old")]).toEqual([0, 5_000]);
  expect(keys.find("old")?.key.id).toBe("key");
  // Never longer than the key itself.
  await say(changed(3n, rotated(4_000n)));
  expect([until("new"), until("old")]).toEqual([4_000, 4_000]);
  await say({ version: 4n, event: { case: "removedKey" as const, value: { keyId: "key" } } });
  expect([keys.find("new"), keys.find("old")]).toEqual([undefined, undefined]);
});

test("tells of keys that were revoked with their requests, also of those it did not hear of in time", async () => {
  const { client, say } = scripted();
  const ended: string[] = [];
  const onEnded = (keyIds: ReadonlySet<string>): void => void ended.push(...keyIds);
  await using _keys = new WatchedKeys(client, fakeClock(), GRACE, { ...IGNORED, onEnded });
  const removed = (version: bigint, keyId: string, endRequests: boolean) => ({
    version,
    event: { case: "removedKey" as const, value: { keyId, endRequests } },
  });
  await say(snapshot("key"), removed(2n, "runs on", false), removed(3n, "ended", true));
  await expect.poll(() => ended).toEqual(["ended"]);
  const value = { keys: [], first: true, complete: true, endedKeyIds: ["missed"] };
  await say({ version: 9n, event: { case: "snapshot" as const, value } });
  await expect.poll(() => ended).toEqual(["ended", "missed"]);
});
