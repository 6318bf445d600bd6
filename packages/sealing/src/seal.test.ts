import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createSealer, keyIdOf, newPrivateKey, openSealed, privateKeyOf, publicKeyOf, SealError } from "./index.ts";

const recipient = () => {
  const privateKey = privateKeyOf(newPrivateKey());
  return { privateKey, publicKey: publicKeyOf(privateKey) };
};
const HOUR_MS = 3_600_000;
const OVERHEAD = 53 + 16;

const kindOf = (open: () => unknown): string => {
  try {
    open();
    return "opened";
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    return error.kind;
  }
};

test("what was sealed opens byte for byte, whatever it is, and only for what it belongs to", () => {
  const { privateKey, publicKey } = recipient();
  const sealer = createSealer(publicKey, () => 0);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5_000 }), fc.string(), fc.string(), (plain, id, other) => {
      const sealed = sealer.seal(plain, id);
      expect(sealed.length).toBe(plain.length + OVERHEAD);
      expect(openSealed(sealed, id, privateKey).equals(plain)).toBe(true);
      if (other !== id) expect(kindOf(() => openSealed(sealed, other, privateKey))).toBe("damaged");
    }),
  );
});

test("a single changed bit anywhere is refused", () => {
  const { privateKey, publicKey } = recipient();
  const sealed = createSealer(publicKey, () => 0).seal(Buffer.from("said in confidence"), "id");
  for (let bit = 0; bit < sealed.length * 8; bit += 1) {
    const changed = Buffer.from(sealed);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(
      kindOf(() => openSealed(changed, "id", privateKey)),
      `bit ${bit}`,
    ).not.toBe("opened");
  }
});

test("no bytes crash it: cut ones, longer ones, any", () => {
  const { privateKey, publicKey } = recipient();
  const sealed = createSealer(publicKey, () => 0).seal(Buffer.from("text"), "id");
  for (let length = 0; length < sealed.length; length += 1) {
    expect(kindOf(() => openSealed(sealed.subarray(0, length), "id", privateKey))).toBe("damaged");
  }
  expect(kindOf(() => openSealed(Buffer.concat([sealed, Buffer.from("x")]), "id", privateKey))).toBe("damaged");
  const head = sealed.subarray(0, 9);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, ours) => {
      const given = ours ? Buffer.concat([head, bytes]) : bytes;
      expect(["damaged", "unknown-key"]).toContain(kindOf(() => openSealed(given, "id", privateKey)));
    }),
  );
});

test("another key does not open it, and the error names both", () => {
  const { publicKey } = recipient();
  const other = recipient();
  const sealed = createSealer(publicKey, () => 0).seal(Buffer.from("text"), "id");
  const open = () => openSealed(sealed, "id", other.privateKey);
  expect(kindOf(open)).toBe("unknown-key");
  expect(open).toThrow(keyIdOf(publicKey).toString("hex"));
  expect(open).toThrow(keyIdOf(other.publicKey).toString("hex"));
});

test("equal texts look different each time; the ephemeral key lasts an hour", () => {
  const { privateKey, publicKey } = recipient();
  let nowMs = 0;
  const sealer = createSealer(publicKey, () => nowMs);
  const ephemeralOf = (sealed: Buffer): string => sealed.toString("hex", 9, 41);
  const [first, second] = [sealer.seal(Buffer.from("text"), "id"), sealer.seal(Buffer.from("text"), "id")];
  expect(first.subarray(41).equals(second.subarray(41))).toBe(false);
  nowMs = HOUR_MS - 1;
  expect(ephemeralOf(sealer.seal(Buffer.from("text"), "id"))).toBe(ephemeralOf(first));
  nowMs = HOUR_MS;
  const later = sealer.seal(Buffer.from("text"), "id");
  expect(ephemeralOf(later)).not.toBe(ephemeralOf(first));
  for (const sealed of [first, later]) expect(openSealed(sealed, "id", privateKey).toString()).toBe("text");
});

test("what is no public key is told at once", () => {
  for (const bytes of [new Uint8Array(0), randomBytes(31), randomBytes(33), new Uint8Array(32)]) {
    expect(() => createSealer(bytes, () => 0)).toThrow();
  }
});
