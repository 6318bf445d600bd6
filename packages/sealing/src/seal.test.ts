import { createCipheriv, generateKeyPairSync, randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CIPHER, contentKey, VERSION_WITHOUT_SUBJECT } from "./format.ts";
import {
  createOpener,
  createSealer,
  keyIdOf,
  newPrivateKey,
  openWithKey,
  privateKeyOf,
  publicKeyOf,
  recipientOf,
  SealError,
  subjectDigest,
} from "./index.ts";
import { importPublicKey } from "./x25519.ts";

const recipient = () => {
  const privateKey = privateKeyOf(newPrivateKey());
  return { privateKey, publicKey: publicKeyOf(privateKey), opener: createOpener(privateKey) };
};
const SUBJECT = subjectDigest({ workspaceId: "w", endUser: "ann" });
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const NO_KEY = Buffer.alloc(32);
const HOUR_MS = 3_600_000;
const OVERHEAD = 53 + 48 + 16;

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
  const { opener, publicKey } = recipient();
  const sealer = createSealer(publicKey, () => 0);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5_000 }), bytes32, fc.string(), fc.string(), (plain, subject, id, other) => {
      const sealed = sealer.seal(plain, id, subject);
      expect(sealed.length).toBe(plain.length + OVERHEAD);
      expect(opener.open(sealed, id).equals(plain)).toBe(true);
      const head = opener.head(sealed);
      expect(head?.subject.equals(subject)).toBe(true);
      expect(openWithKey(sealed, id, head?.payloadKey ?? NO_KEY).equals(plain)).toBe(true);
      expect(recipientOf(sealed)).toEqual(opener.keyId);
      if (other !== id) expect(kindOf(() => opener.open(sealed, other))).toBe("damaged");
    }),
  );
});

test("a single changed bit anywhere is refused", () => {
  const { opener, publicKey } = recipient();
  const sealed = createSealer(publicKey, () => 0).seal(Buffer.from("said in confidence"), "id", SUBJECT);
  for (let bit = 0; bit < sealed.length * 8; bit += 1) {
    const changed = Buffer.from(sealed);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(
      kindOf(() => opener.open(changed, "id")),
      `bit ${bit}`,
    ).not.toBe("opened");
    // Of the text itself the subject does not depend.
    if (bit < 101 * 8)
      expect(
        kindOf(() => opener.head(changed)),
        `bit ${bit}`,
      ).not.toBe("opened");
  }
});

test("no bytes crash it: cut ones, longer ones, any", () => {
  const { opener, publicKey } = recipient();
  const sealed = createSealer(publicKey, () => 0).seal(Buffer.from("text"), "id", SUBJECT);
  for (let length = 0; length < sealed.length; length += 1) {
    expect(kindOf(() => opener.open(sealed.subarray(0, length), "id"))).toBe("damaged");
  }
  expect(kindOf(() => opener.open(Buffer.concat([sealed, Buffer.from("x")]), "id"))).toBe("damaged");
  for (let length = 0; length < 117; length += 1)
    expect(kindOf(() => opener.head(sealed.subarray(0, length)))).toBe("damaged");
  const head = sealed.subarray(0, 9);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, ours) => {
      const given = ours ? Buffer.concat([head, bytes]) : bytes;
      expect(["damaged", "unknown-key"]).toContain(kindOf(() => opener.open(given, "id")));
      expect(["damaged", "unknown-key"]).toContain(kindOf(() => opener.head(given)));
      expect(kindOf(() => openWithKey(given, "id", NO_KEY))).toBe("damaged");
      expect(recipientOf(given)?.length ?? 8).toBe(8);
    }),
  );
});

test("another key does not open it, and the error names both", () => {
  const { publicKey } = recipient();
  const other = recipient();
  const sealed = createSealer(publicKey, () => 0).seal(Buffer.from("text"), "id", SUBJECT);
  const open = () => other.opener.open(sealed, "id");
  expect(kindOf(open)).toBe("unknown-key");
  expect(open).toThrow(keyIdOf(publicKey).toString("hex"));
  expect(open).toThrow(keyIdOf(other.publicKey).toString("hex"));
});

test("equal texts look different each time; the ephemeral key lasts an hour", () => {
  const { opener, publicKey } = recipient();
  let nowMs = 0;
  const sealer = createSealer(publicKey, () => nowMs);
  const ephemeralOf = (sealed: Buffer): string => sealed.toString("hex", 9, 41);
  const [first, second] = [
    sealer.seal(Buffer.from("text"), "id", SUBJECT),
    sealer.seal(Buffer.from("text"), "id", SUBJECT),
  ];
  expect(first.subarray(41).equals(second.subarray(41))).toBe(false);
  nowMs = HOUR_MS - 1;
  expect(ephemeralOf(sealer.seal(Buffer.from("text"), "id", SUBJECT))).toBe(ephemeralOf(first));
  nowMs = HOUR_MS;
  const later = sealer.seal(Buffer.from("text"), "id", SUBJECT);
  expect(ephemeralOf(later)).not.toBe(ephemeralOf(first));
  for (const sealed of [first, later]) expect(opener.open(sealed, "id").toString()).toBe("text");
});

test("what is no public key is told at once", () => {
  for (const bytes of [new Uint8Array(0), randomBytes(31), randomBytes(33), new Uint8Array(32)]) {
    expect(() => createSealer(bytes, () => 0)).toThrow();
  }
});

test("a payload's key opens that payload and no other, of the same ephemeral key, too", () => {
  const { opener, publicKey } = recipient();
  const sealer = createSealer(publicKey, () => 0);
  const [one, other] = [
    sealer.seal(Buffer.from("one"), "id", SUBJECT),
    sealer.seal(Buffer.from("other"), "id", SUBJECT),
  ];
  const key = opener.head(one)?.payloadKey ?? NO_KEY;
  expect(openWithKey(one, "id", key).toString()).toBe("one");
  expect(kindOf(() => openWithKey(other, "id", key))).toBe("damaged");
});

test("what version 1 sealed opens, and has no key of its own", () => {
  const { privateKey, publicKey, opener } = recipient();
  const own = generateKeyPairSync("x25519");
  const ephemeral = publicKeyOf(own.publicKey);
  const key = contentKey(VERSION_WITHOUT_SUBJECT, own.privateKey, importPublicKey(publicKey), ephemeral, publicKey);
  const nonce = randomBytes(12);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from("id"));
  const text = Buffer.concat([cipher.update("said before"), cipher.final(), cipher.getAuthTag()]);
  const sealed = Buffer.concat([Buffer.from([1]), keyIdOf(publicKey), ephemeral, nonce, text]);
  expect(privateKey.type).toBe("private");
  expect(opener.open(sealed, "id").toString()).toBe("said before");
  expect(kindOf(() => opener.open(sealed, "other"))).toBe("damaged");
  expect(opener.head(sealed)).toBeUndefined();
  expect(kindOf(() => openWithKey(sealed, "id", NO_KEY))).toBe("damaged");
});

test("no two subjects have the same digest", () => {
  const names = fc.string({ unit: fc.constantFrom("a", ":", "1", "e") });
  fc.assert(
    fc.property(names, names, names, names, (workspaceId, name, otherWorkspace, other) => {
      const digests = [
        subjectDigest({ workspaceId, endUser: name }),
        subjectDigest({ workspaceId, keyId: name }),
        subjectDigest({ workspaceId: otherWorkspace, endUser: other }),
      ].map((digest) => digest.toString("hex"));
      const same = workspaceId === otherWorkspace && name === other;
      expect(new Set(digests).size).toBe(same ? 2 : 3);
    }),
  );
});
