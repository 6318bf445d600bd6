import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  Accounts,
  canonicalHead,
  type EndorsedKey,
  endorsementBytes,
  type ExportedLeaf,
  FIRST_PREVIOUS,
  GrowingTree,
  leafHash,
  LogVerifier,
  type Problem,
  type Sha256,
  type SignedHead,
  signingKeyId,
  type VerifySignature,
} from "./index.ts";

const sha256: Sha256 = (bytes) => createHash("sha256").update(bytes).digest();
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const rawOf = (key: KeyObject): Uint8Array => key.export({ type: "spki", format: "der" }).subarray(SPKI.length);
const verifySignature: VerifySignature = (publicKey, message, signature) =>
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

const UNKNOWN_KEY = "its key is neither a trusted one nor a successor of one";
const LOG_ID = new Uint8Array(16).fill(5);
const KEY = newKey();
const KIND = { intent: 2, outcome: 3 };

/** A log of `count` leaves of two producers; every third record is an outcome that carries an intent that was never sent alone. */
function logOf(count: number): ExportedLeaf[] {
  const next = new Map([
    ["a", 1],
    ["b", 1],
  ]);
  return Array.from({ length: count }, (_, index) => {
    const producer = index % 2 === 0 ? "a" : "b";
    const first = next.get(producer) ?? 1;
    const answers = index % 3 === 0;
    next.set(producer, first + (answers ? 2 : 1));
    const leaf = {
      producer,
      number: answers ? first + 1 : first,
      kind: answers ? KIND.outcome : KIND.intent,
      intentNumber: answers ? first : 0,
      intentProducer: "",
      payloadOmitted: false,
      header: Buffer.from(`header ${index}`),
      payloadDigest: sha256(Buffer.from(`payload ${index}`)),
    };
    return { ...leaf, index, storedHash: leafHash(sha256, leaf), closes: false, predecessor: undefined };
  });
}

function headOf(leaves: readonly ExportedLeaf[], key: Key = KEY, logId = LOG_ID): SignedHead {
  const tree = new GrowingTree(sha256);
  const accounts = new Accounts();
  for (const leaf of leaves) {
    tree.append(leaf.storedHash);
    accounts.add(leaf, false, undefined);
  }
  const epochs = ["a", "b"].map((producer) => ({
    producer,
    contiguous: accounts.contiguous(producer),
    closed: false,
  }));
  const head = canonicalHead({
    logId,
    size: leaves.length,
    root: tree.root(),
    atMs: 1,
    previous: FIRST_PREVIOUS,
    epochs,
  });
  return { head, keyId: signingKeyId(sha256, key.raw), signature: key.sign(head) };
}

function check(leaves: readonly ExportedLeaf[], heads: readonly SignedHead[], keys: readonly EndorsedKey[] = []) {
  const verifier = new LogVerifier(sha256, verifySignature, [KEY.raw], keys, heads);
  for (const leaf of leaves) verifier.take(leaf);
  return verifier.finish();
}
const kinds = (problems: readonly Problem[]): string[] => problems.map(({ kind }) => kind);

test("a log that nobody touched has no problem, whatever was appended after the last head", () => {
  fc.assert(
    fc.property(fc.nat(60), fc.nat(), fc.nat(), (count, first, second) => {
      const leaves = logOf(count);
      const sizes = [first % (count + 1), second % (count + 1)];
      const result = check(
        leaves,
        sizes.map((size) => headOf(leaves.slice(0, size))),
      );
      expect(result).toMatchObject({ problems: [], leaves: count, provenTo: Math.max(...sizes) });
    }),
  );
});

describe("whoever owns the tables", () => {
  const count = 60;
  const original = logOf(count);
  const heads = [headOf(original.slice(0, 35)), headOf(original)];
  const place = fc.nat(count - 1);
  /** The log as it would look if it had been so from the beginning: indexes and hashes are made to fit. */
  const dressed = (leaves: readonly ExportedLeaf[]): ExportedLeaf[] =>
    leaves.map((leaf, index) => ({ ...leaf, index, storedHash: leafHash(sha256, leaf) }));
  const without = (at: number): ExportedLeaf[] => original.filter(({ index }) => index !== at);
  const found = (leaves: readonly ExportedLeaf[]): readonly Problem[] => check(leaves, heads).problems;

  test("cannot change a record", () => {
    fc.assert(
      fc.property(place, fc.constantFrom("header", "payloadDigest"), fc.nat(31), (at, field, byte) => {
        const edited = original.map((leaf) => {
          if (leaf.index !== at) return leaf;
          const bytes = Buffer.from(leaf[field as "header"]);
          bytes[byte % bytes.length] = (bytes[byte % bytes.length] ?? 0) ^ 1;
          return { ...leaf, [field]: bytes };
        });
        const leaf = original[at] as ExportedLeaf;
        const named = { kind: "changed-leaf", index: at, producer: leaf.producer, number: leaf.number };
        expect(found(edited)).toContainEqual(named);
        expect(kinds(found(dressed(edited)))).toContain("wrong-root");
      }),
    );
  });

  test("cannot take a record out: it is named by producer and number", () => {
    fc.assert(
      fc.property(place, (at) => {
        const leaf = original[at] as ExportedLeaf;
        expect(found(without(at)).length).toBeGreaterThan(0);
        const problems = found(dressed(without(at)));
        expect(kinds(problems)).toContain("missing-leaf");
        if (at < 35) expect(kinds(problems)).toContain("wrong-root");
        // The last one of its producer leaves no hole between others: the head promised it.
        const missing = problems.some(
          (problem) =>
            (problem.kind === "missing-record" || problem.kind === "broken-promise") &&
            problem.producer === leaf.producer &&
            (problem.kind === "broken-promise"
              ? problem.found < leaf.number && leaf.number <= problem.promised
              : problem.first <= leaf.number && leaf.number <= problem.last),
        );
        expect(missing).toBe(true);
      }),
    );
  });

  test("cannot put one in, move one, or cut the end off", () => {
    fc.assert(
      fc.property(place, place, (from, to) => {
        const stranger = { ...(original[0] as ExportedLeaf), number: 900, header: Buffer.from("stranger") };
        const inserted = [...original.slice(0, from), stranger, ...original.slice(from)];
        expect(kinds(found(dressed(inserted)))).toContain("wrong-root");
        if (from !== to) {
          const moved = without(from);
          moved.splice(to, 0, original[from] as ExportedLeaf);
          expect(kinds(found(moved))).toEqual(expect.arrayContaining(["misplaced-leaf"]));
          expect(kinds(found(dressed(moved)))).toContain("wrong-root");
        }
        expect(kinds(found(original.slice(0, from)))).toContain("missing-leaf");
      }),
    );
  });

  test("cannot sign a head for what was made of it", () => {
    const forged = dressed(without(7));
    const thief = newKey();
    const { problems } = check(forged, [headOf(forged, thief)]);
    expect(problems[0]).toEqual({
      kind: "bad-head",
      head: 0,
      why: UNKNOWN_KEY,
    });
    const [own] = heads as [SignedHead];
    const renamed = { ...headOf(forged, thief), keyId: own.keyId };
    expect(check(forged, [renamed]).problems[0]).toMatchObject({ kind: "bad-head", why: "its signature is not valid" });
    const elsewhere = headOf(forged, KEY, new Uint8Array(16));
    expect(check(forged, [own, elsewhere]).problems[0]).toMatchObject({
      kind: "bad-head",
      why: "it is of another log",
    });
    expect(check(forged, [{ ...own, head: own.head.slice(1) }]).problems[0]).toMatchObject({
      why: "it is no tree head",
    });
  });
});

test("a successor is believed by its endorsement, a self-made one is not", () => {
  const [second, third] = [newKey(), newKey()];
  const leaves = logOf(10);
  const endorsed = (by: Key, key: Key): EndorsedKey => ({
    publicKey: key.raw,
    endorsement: by.sign(endorsementBytes(LOG_ID, key.raw)),
  });
  const keys = [endorsed(KEY, second), endorsed(second, third)];
  const heads = [headOf(leaves.slice(0, 4)), headOf(leaves.slice(0, 6), second), headOf(leaves, third)];
  expect(check(leaves, heads, keys).problems).toEqual([]);
  const selfMade = [endorsed(third, third)];
  expect(check(leaves, [headOf(leaves, third)], selfMade).problems[0]).toMatchObject({
    why: UNKNOWN_KEY,
  });
});

test("two heads of the same size that differ cannot both hold", () => {
  const leaves = logOf(9);
  const other = logOf(9).map((leaf) => (leaf.index === 3 ? { ...leaf, storedHash: sha256(leaf.storedHash) } : leaf));
  expect(kinds(check(leaves, [headOf(leaves), headOf(other)]).problems)).toEqual(["wrong-root"]);
});

test("an epoch that died, and one of which nothing came, are named from what their successor found", () => {
  const [first, second] = logOf(2) as [ExportedLeaf, ExportedLeaf];
  const tellsOf = (leaf: ExportedLeaf, producer: string, lastNumber: number): ExportedLeaf => ({
    ...leaf,
    predecessor: { producer, lastNumber },
  });
  const { problems } = check([tellsOf(first, "b", 4), tellsOf(second, "ghost", 3)], []);
  expect(problems).toEqual([
    { kind: "missing-record", producer: "b", first: 2, last: 4 },
    { kind: "missing-record", producer: "ghost", first: 1, last: 3 },
  ]);
});
