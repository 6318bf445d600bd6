import { hash } from "node:crypto";
import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { policy } from "@weir/contracts";
import { systemClock, WeirError } from "@weir/kernel";
import { inProcessPeers, route } from "@weir/mesh";
import { expect, test } from "vitest";
import { WatchedKeys } from "./watched-keys.ts";

const view = (keyId: string) =>
  create(policy.KeyViewSchema, { keyId, hash: hash("sha256", `secret of ${keyId}`, "buffer") });
const snapshot = (keyId: string) => ({
  version: 1n,
  event: { case: "snapshot" as const, value: { keys: [view(keyId)], first: true, complete: true } },
});
const refuse = (): never => {
  throw new WeirError("unsupported", "not asked for here");
};

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
    }),
  ];
  const client = inProcessPeers(routes).client(policy.PolicyService);
  const errors: unknown[] = [];
  await using keys = new WatchedKeys(client, systemClock, (error) => errors.push(error));
  await expect.poll(() => keys.find("secret of key-1")?.key.id).toBe("key-1");
  await expect.poll(() => keys.find("secret of key-2")?.key.id, { timeout: 10_000 }).toBe("key-2");
  expect(keys.find("secret of key-1")).toBeUndefined();
  expect(errors).toHaveLength(1);
}, 15_000);
