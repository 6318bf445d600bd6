import { audit } from "@weir/contracts";
import { systemClock, WeirError } from "@weir/kernel";
import { inProcessPeers, route } from "@weir/mesh";
import { createOpener, newPrivateKey, privateKeyOf, publicKeyOf } from "@weir/sealing";
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
  await using watched = new WatchedTransportKey(client, "p", systemClock, (error) => errors.push(error));
  await expect.poll(() => asked, { timeout: 5_000 }).toBe(2);
  expect(watched.sealer).toBeUndefined();
  await expect.poll(() => watched.sealer !== undefined, { timeout: 5_000 }).toBe(true);
  expect(errors).toHaveLength(1);
  const sealed = watched.sealer?.seal(Buffer.from("text"), "id", new Uint8Array(32)) ?? new Uint8Array(0);
  expect(createOpener(key).open(sealed, "id").toString()).toBe("text");
}, 15_000);

test("a later key is taken, an earlier one never again; pseudonyms last as long as a key", async () => {
  const keys = [1, 2, 1].map((number) => ({
    number: BigInt(number),
    publicKey: publicKeyOf(privateKeyOf(newPrivateKey())),
  }));
  let asked = 0;
  const producers: string[] = [];
  const getTransportKey = ({ producer }: { producer?: string }) => {
    producers.push(producer ?? "");
    const key = keys[asked++];
    return key === undefined ? Promise.reject(new Error("away")) : Promise.resolve(key);
  };
  await using watched = new WatchedTransportKey({ getTransportKey } as never, "p", systemClock, () => undefined, 50);
  const before = watched.pseudonyms.of("w", "ann");
  expect(watched.pseudonyms.of("w", "ann")).toEqual(before);
  expect(watched.pseudonyms.of("w", "bob")).not.toEqual(before);
  expect(watched.pseudonyms.of("v", "ann")).not.toEqual(before);
  await expect.poll(() => watched.number, { timeout: 20_000 }).toBeGreaterThan(0);
  expect(watched.pseudonyms.of("w", "ann")).not.toEqual(before);
  await expect.poll(() => watched.number, { timeout: 20_000 }).toBe(2);
  await expect.poll(() => asked, { timeout: 20_000 }).toBeGreaterThan(2);
  expect(watched.number).toBe(2);
  expect(new Set(producers)).toEqual(new Set(["p"]));
}, 60_000);
