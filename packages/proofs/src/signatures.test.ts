import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { batchBytes, runsOf, type Sha256, type SignatureProblem, type VerifySignature } from "./index.ts";
import { Ranges } from "./ranges.ts";
import { ProducerSignatures } from "./signatures.ts";

const sha256: Sha256 = (bytes) => createHash("sha256").update(bytes).digest();
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const rawOf = (key: KeyObject): Uint8Array => key.export({ type: "spki", format: "der" }).subarray(SPKI.length);
const verifySignature: VerifySignature = (publicKey, message, signature) =>
  publicKey.length === 32 &&
  verify(
    null,
    message,
    createPublicKey({ key: Buffer.concat([SPKI, publicKey]), type: "spki", format: "der" }),
    signature,
  );
const newKey = () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return { raw: rawOf(publicKey), sign: (message: Uint8Array): Uint8Array => sign(null, message, privateKey) };
};
type Key = ReturnType<typeof newKey>;
const OWN = newKey();
const THIEF = newKey();
const OUTCOME = 3;

const hashOf = (number: number): Uint8Array => sha256(Buffer.from(`record ${number}`));

function signed(producer: string, numbers: readonly number[], key: Key = OWN) {
  const leafHashes = Buffer.concat(numbers.map(hashOf));
  const set = new Ranges();
  for (const number of numbers) set.add(number);
  const runs = runsOf(set.sorted()).map(BigInt);
  return { runs, leafHashes, signature: key.sign(batchBytes(producer, numbers, leafHashes)) };
}

interface Log {
  readonly check: ProducerSignatures;
  readonly problems: SignatureProblem[];
  readonly record: (producer: string, number: number, hash?: Uint8Array) => void;
  readonly finish: () => SignatureProblem[];
}

function log(trusted: readonly Uint8Array[] = []): Log {
  const problems: SignatureProblem[] = [];
  const check = new ProducerSignatures(verifySignature, trusted, (problem) => problems.push(problem));
  let index = 0;
  return {
    check,
    problems,
    record: (producer, number, hash = hashOf(number)) =>
      check.leaf({ index: index++, producer, number, kind: OUTCOME, hash }),
    finish: () => (check.finish(), problems),
  };
}

test("records in any batches, sent once or again in others, are all signed; whichever has no signature is named", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9 }), fc.nat(), (count, size, pick) => {
      const lost = Math.floor((pick % count) / size);
      const { check, record, finish } = log();
      check.open(0, "i.0.a", OWN.raw);
      const missing: number[] = [];
      for (let from = 1, batch = 0; from <= count; from += size, batch++) {
        const numbers = Array.from({ length: Math.min(size, count - from + 1) }, (_, at) => from + at);
        for (const number of numbers) record("i.0.a", number);
        if (batch === lost) missing.push(...numbers);
        else check.signature(0, "i.0.a", signed("i.0.a", numbers));
        // What is sent again may be cut otherwise.
        if (batch > lost + 1) check.signature(0, "i.0.a", signed("i.0.a", [from - 1, from]));
      }
      expect(finish()).toEqual([
        { kind: "unsigned-record", producer: "i.0.a", first: missing[0], last: missing.at(-1) },
      ]);
    }),
    { numRuns: 30 },
  );
});

test("who owns the tables, and not the producer's key, can put nothing in and change nothing", () => {
  const { check, record, finish } = log();
  check.open(0, "i.0.a", OWN.raw);
  record("i.0.a", 1);
  record("i.0.a", 2, hashOf(99));
  check.signature(2, "i.0.a", signed("i.0.a", [1, 2]));
  // A number that its producer never gave, signed by somebody else.
  record("i.0.a", 3);
  check.signature(4, "i.0.a", signed("i.0.a", [3], THIEF));
  // Another producer's signature over the same numbers.
  check.signature(5, "i.0.a", signed("i.0.b", [3]));
  expect(finish()).toMatchObject([
    { kind: "signed-otherwise", producer: "i.0.a", number: 2 },
    { kind: "bad-signature", index: 4, why: "it is not i.0.a's, for #3 to #3" },
    { kind: "bad-signature", index: 5 },
    { kind: "unsigned-record", producer: "i.0.a", first: 3, last: 3 },
  ]);
});

test("an invented epoch of a known line needs its key, and one that signs nothing is told", () => {
  const { check, record, finish } = log();
  check.open(0, "i.0.a", OWN.raw);
  check.open(1, "i.0.b", OWN.raw);
  check.open(2, "i.0.c", THIEF.raw);
  check.open(3, "i.0.d", new Uint8Array(0));
  check.open(4, "old.0.a", new Uint8Array(0));
  record("old.0.a", 2);
  record("nobody.0.a", 1);
  expect(finish()).toMatchObject([
    { kind: "producer-key", producer: "i.0.c", why: "its key is another one than that of the epochs before it" },
    { kind: "producer-key", producer: "i.0.d", why: "it signs nothing, and an epoch before it did" },
    { kind: "unsigned-record", producer: "nobody.0.a", first: 1, last: 1 },
  ]);
  const given = log([OWN.raw]);
  given.check.open(0, "i.0.a", OWN.raw);
  given.check.open(1, "j.0.a", THIEF.raw);
  expect(given.finish()).toMatchObject([{ kind: "producer-key", producer: "j.0.a" }]);
});

test("a log of before there were signatures has no problem, and bytes that are no signature are told", () => {
  const old = log();
  old.record("p", 1);
  expect(old.finish()).toEqual([]);
  fc.assert(
    fc.property(
      fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { maxLength: 6 }),
      fc.uint8Array({ maxLength: 100 }),
      fc.uint8Array({ maxLength: 70 }),
      (runs, leafHashes, signature) => {
        const { check, finish } = log();
        check.open(0, "i.0.a", OWN.raw);
        check.signature(1, "i.0.a", { runs, leafHashes, signature });
        expect(finish().map(({ kind }) => kind)).toEqual(["bad-signature"]);
      },
    ),
  );
});
