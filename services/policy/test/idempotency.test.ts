/** A name is one request's: it is run once, answered from then on, and free again when its owner died. */
import { randomBytes, randomUUID } from "node:crypto";
import { openPool } from "@weir/storage";
import { policy } from "@weir/contracts";
import { inProcessPeers } from "@weir/mesh";
import { type BackingService, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { reasonOf, replica, type Replica } from "./service-fixture.ts";

let postgres: BackingService;
let weir: Replica;
let other: Replica;
const clientOf = ({ service }: Replica) => inProcessPeers(service.routes).client(policy.IdempotencyService);

beforeAll(async () => {
  postgres = await startPostgres();
  weir = await replica(postgres.url);
  other = await replica(postgres.url);
});
afterAll(async () => {
  await other?.[Symbol.asyncDispose]();
  await weir?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
});

const newClaim = () => ({ keyId: randomUUID(), name: new Uint8Array(randomBytes(32)), requestId: randomUUID() });
const fingerprint = new Uint8Array(32).fill(7);
const again = <T extends object>(claim: T) => ({ ...claim, requestId: randomUUID(), fingerprint });

async function lapse(name: Uint8Array, column: "lease_until" | "expires_at"): Promise<void> {
  const pool = openPool({ connectionString: postgres.url }, { applicationName: "test", onError: () => undefined });
  await pool.query(`update policy.idempotent_request set ${column} = now() - interval '1 second' where name = $1`, [
    name,
  ]);
  await pool.end();
}

test("of many at once over two replicas, one begins", async () => {
  const claim = newClaim();
  const asked = await Promise.all(
    Array.from({ length: 40 }, (_, at) => clientOf(at % 2 === 0 ? weir : other).beginIdempotent(again(claim))),
  );
  expect(asked.filter(({ found }) => found.case === "begun")).toHaveLength(1);
  expect(asked.filter(({ found }) => found.case === "running")).toHaveLength(39);
});

test("answered: all get the answer, and whoever asks something else under its name is told", async () => {
  const claim = newClaim();
  const client = clientOf(weir);
  await client.beginIdempotent({ ...claim, fingerprint });
  const answer = new Uint8Array([1, 2, 3]);
  expect(await client.finishIdempotent({ claim, answer })).toMatchObject({ kept: true });
  const { found } = await clientOf(other).beginIdempotent(again(claim));
  expect(found).toMatchObject({ case: "answered", value: { requestId: claim.requestId } });
  expect(Buffer.from((found.value as policy.IdempotentAnswered).answer)).toEqual(Buffer.from(answer));
  const changed = await client.beginIdempotent({ ...again(claim), fingerprint: new Uint8Array(32) });
  expect(changed.found).toMatchObject({ case: "mismatch", value: { requestId: claim.requestId } });
  const ofAnotherKey = await client.beginIdempotent({ ...again(claim), keyId: randomUUID() });
  expect(ofAnotherKey.found.case).toBe("begun");
  await lapse(claim.name, "expires_at");
  expect((await client.beginIdempotent(again(claim))).found.case).toBe("begun");
});

test("an answer that is not kept is told of as one that was given", async () => {
  const claim = newClaim();
  const client = clientOf(weir);
  await client.beginIdempotent({ ...claim, fingerprint });
  await client.finishIdempotent({ claim, answer: new Uint8Array(0) });
  const { found } = await client.beginIdempotent(again(claim));
  expect(found.case === "answered" && found.value.answer.length).toBe(0);
});

test("released: the next one begins, whatever it asks", async () => {
  const claim = newClaim();
  const client = clientOf(weir);
  await client.beginIdempotent({ ...claim, fingerprint });
  await client.releaseIdempotent({ claim: { ...claim, requestId: randomUUID() } });
  expect((await client.beginIdempotent(again(claim))).found.case).toBe("running");
  await client.releaseIdempotent({ claim });
  expect((await client.beginIdempotent({ ...again(claim), fingerprint: new Uint8Array(32) })).found.case).toBe("begun");
});

test("whose owner died is taken over by the same request, and the dead one's late word counts nothing", async () => {
  const claim = newClaim();
  const client = clientOf(weir);
  await client.beginIdempotent({ ...claim, fingerprint });
  await lapse(claim.name, "lease_until");
  await client.renewIdempotent({ claims: [claim] });
  expect((await client.beginIdempotent(again(claim))).found.case).toBe("running");
  await lapse(claim.name, "lease_until");
  expect((await client.beginIdempotent({ ...again(claim), fingerprint: new Uint8Array(32) })).found.case).toBe(
    "mismatch",
  );
  const heir = again(claim);
  expect((await client.beginIdempotent(heir)).found.case).toBe("begun");
  expect(await client.finishIdempotent({ claim, answer: new Uint8Array([9]) })).toMatchObject({ kept: false });
  await client.releaseIdempotent({ claim });
  expect((await client.beginIdempotent(again(claim))).found).toMatchObject({
    case: "running",
    value: { requestId: heir.requestId },
  });
});

test("what is no hash and no id is refused", async () => {
  const client = clientOf(weir);
  const claim = newClaim();
  expect(await reasonOf(client.beginIdempotent({ ...claim, fingerprint: new Uint8Array(3) }))).toBe("invalid_request");
  expect(await reasonOf(client.beginIdempotent({ ...claim, keyId: "x", fingerprint }))).toBe("invalid_request");
  expect(await reasonOf(client.renewIdempotent({ claims: [] }))).toBe("invalid_request");
});
