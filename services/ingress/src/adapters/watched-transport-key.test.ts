import { audit } from "@weir/contracts";
import { systemClock, WeirError } from "@weir/kernel";
import { inProcessPeers, route } from "@weir/mesh";
import { newPrivateKey, openSealed, privateKeyOf, publicKeyOf } from "@weir/sealing";
import { expect, test } from "vitest";
import { WatchedTransportKey } from "./watched-transport-key.ts";

const refuse = (): never => {
  throw new WeirError("unsupported", "not asked for here");
};

test("asked for until audit tells one that can be used; until then there is none, and the outage is told once", async () => {
  const key = privateKeyOf(newPrivateKey());
  const answers = [
    () => {
      throw new WeirError("audit_unavailable", "away");
    },
    () => new Uint8Array(5),
    () => publicKeyOf(key),
  ];
  let asked = 0;
  const routes = [
    route(audit.ProducerService, {
      getWatermarks: refuse,
      getTransportKey: () => ({ publicKey: answers[asked++]?.() ?? publicKeyOf(key) }),
    }),
  ];
  const errors: unknown[] = [];
  const client = inProcessPeers(routes).client(audit.ProducerService);
  await using watched = new WatchedTransportKey(client, systemClock, (error) => errors.push(error));
  await expect.poll(() => asked, { timeout: 5_000 }).toBe(2);
  expect(watched.sealer).toBeUndefined();
  await expect.poll(() => watched.sealer !== undefined, { timeout: 5_000 }).toBe(true);
  expect(errors).toHaveLength(1);
  const sealed = watched.sealer?.seal(Buffer.from("text"), "id") ?? new Uint8Array(0);
  expect(openSealed(sealed, "id", key).toString()).toBe("text");
}, 15_000);
