import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  consistencyPath,
  GrowingTree,
  inclusionPath,
  joined,
  type LeafRange,
  nodeHash,
  rootOf,
  type Sha256,
  subtreesOf,
  verifyConsistency,
  verifyInclusion,
} from "./index.ts";

const sha256: Sha256 = (bytes) => createHash("sha256").update(bytes).digest();
const bytes = (hex: string): Uint8Array => Buffer.from(hex, "hex");
const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");
const leafOf = (data: string): Uint8Array => sha256(bytes(`00${data}`));
const leaf = (n: number): Uint8Array => leafOf(n.toString(16).padStart(16, "0"));
const leavesTo = (count: number): Uint8Array[] => Array.from({ length: count }, (_, n) => leaf(n));

// The certificate-transparency reference tests (merkle_tree_test.cc), which implementations of RFC 6962 share.
const LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const INCLUSION: [number, number, string[]][] = [
  [0, 1, []],
  [
    0,
    8,
    [
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
  ],
  [
    5,
    8,
    [
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
  ],
  [2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]],
  [
    1,
    5,
    [
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
  ],
];
const CONSISTENCY: [number, number, string[]][] = [
  [1, 1, []],
  [
    1,
    8,
    [
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
  ],
  [
    6,
    8,
    [
      "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
  ],
  [
    2,
    5,
    [
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
  ],
];

/** A proof's node from the leaves themselves. */
const hashOf = (leaves: readonly Uint8Array[], range: LeafRange): Uint8Array =>
  rootOf(sha256, leaves.slice(range.from, range.to));

describe("the reference vectors", () => {
  const leaves = LEAVES.map(leafOf);
  const root = (size: number): Uint8Array => rootOf(sha256, leaves.slice(0, size));

  test.each(INCLUSION)("inclusion of leaf %i in %i", (index, size, wanted) => {
    const path = inclusionPath(index, size).map((range) => hashOf(leaves, range));
    expect(path.map(hex)).toEqual(wanted);
    const leafHash = leaves[index] as Uint8Array;
    expect(verifyInclusion(sha256, { leafHash, index, size, path, root: root(size) })).toBe(true);
  });

  test.each(CONSISTENCY)("consistency of %i with %i", (first, second, wanted) => {
    const path = consistencyPath(first, second).map((range) => hashOf(leaves, range));
    expect(path.map(hex)).toEqual(wanted);
    const roots = { firstRoot: root(first), secondRoot: root(second) };
    expect(verifyConsistency(sha256, { first, second, path, ...roots })).toBe(true);
  });
});

const sizes = fc.integer({ min: 1, max: 70 });

test("every proof of every leaf holds, and for no other index, size, leaf or root", () => {
  fc.assert(
    fc.property(sizes, fc.nat(), fc.nat(), fc.nat(), (size, pick, other, flip) => {
      const leaves = leavesTo(size);
      const index = pick % size;
      const path = inclusionPath(index, size).map((range) => hashOf(leaves, range));
      const claim = { leafHash: leaf(index), index, size, path, root: rootOf(sha256, leaves) };
      expect(verifyInclusion(sha256, claim)).toBe(true);
      const wrongIndex = other % (size + 2);
      if (wrongIndex !== index) expect(verifyInclusion(sha256, { ...claim, index: wrongIndex })).toBe(false);
      expect(verifyInclusion(sha256, { ...claim, leafHash: leaf(size) })).toBe(false);
      expect(verifyInclusion(sha256, { ...claim, root: leaf(size) })).toBe(false);
      expect(verifyInclusion(sha256, { ...claim, path: [...path, leaf(0)] })).toBe(false);
      if (path.length > 0) {
        expect(verifyInclusion(sha256, { ...claim, path: path.slice(1) })).toBe(false);
        const bent = path.map((hash, at) => (at === flip % path.length ? leaf(999) : hash));
        expect(verifyInclusion(sha256, { ...claim, path: bent })).toBe(false);
      }
    }),
  );
});

test("every tree is consistent with its beginnings, and with nothing else", () => {
  fc.assert(
    fc.property(sizes, fc.nat(), fc.nat(), (second, pick, changed) => {
      const leaves = leavesTo(second);
      const first = pick % (second + 1);
      const path = consistencyPath(first, second).map((range) => hashOf(leaves, range));
      const firstRoot = rootOf(sha256, leaves.slice(0, first));
      const claim = { first, second, path, firstRoot, secondRoot: rootOf(sha256, leaves) };
      expect(verifyConsistency(sha256, claim)).toBe(true);
      expect(verifyConsistency(sha256, { ...claim, path: [...path, leaf(0)] })).toBe(false);
      if (first === 0) return;
      // A tree whose beginning was changed has no proof at all: not with the old path, nor with its own.
      const forged = leaves.map((hash, at) => (at === changed % first ? leaf(1_000) : hash));
      const secondRoot = rootOf(sha256, forged);
      expect(verifyConsistency(sha256, { ...claim, secondRoot })).toBe(false);
      const ownPath = consistencyPath(first, second).map((range) => hashOf(forged, range));
      expect(verifyConsistency(sha256, { ...claim, secondRoot, path: ownPath })).toBe(false);
    }),
  );
});

test("a proof's ranges are made of the full subtrees that a growing tree tells of", () => {
  fc.assert(
    fc.property(sizes, fc.nat(), fc.nat(), (size, pick, cut) => {
      const leaves = leavesTo(size);
      const nodes = new Map<string, Uint8Array>();
      const told = (level: number, index: number, hash: Uint8Array): void => void nodes.set(`${level}/${index}`, hash);
      // Stopped and continued anywhere: what was told before and after is the same as in one go.
      const before = new GrowingTree(sha256, undefined, told);
      for (const hash of leaves.slice(0, cut % size)) before.append(hash);
      const tree = new GrowingTree(sha256, before.frontier, told);
      for (const hash of leaves.slice(cut % size)) tree.append(hash);
      expect(hex(tree.root())).toBe(hex(rootOf(sha256, leaves)));
      for (const range of [...inclusionPath(pick % size, size), ...consistencyPath(pick % size, size)]) {
        const roots = subtreesOf(range).map(({ level, index }) =>
          level === 0 ? leaf(index) : (nodes.get(`${level}/${index}`) as Uint8Array),
        );
        expect(hex(joined(sha256, roots) as Uint8Array)).toBe(hex(hashOf(leaves, range)));
      }
    }),
  );
});

test("what no tree has is refused, by who makes a proof and by who checks one", () => {
  for (const [index, size] of [
    [0, 0],
    [1, 1],
    [-1, 4],
    [0.5, 4],
    [3, Number.NaN],
  ] as const) {
    expect(() => inclusionPath(index, size)).toThrow(RangeError);
    expect(verifyInclusion(sha256, { leafHash: leaf(0), index, size, path: [], root: leaf(0) })).toBe(false);
  }
  for (const [first, second] of [
    [2, 1],
    [-1, 4],
    [1, 1.5],
  ] as const) {
    expect(() => consistencyPath(first, second)).toThrow(RangeError);
    const roots = { firstRoot: leaf(0), secondRoot: leaf(0) };
    expect(verifyConsistency(sha256, { first, second, path: [], ...roots })).toBe(false);
  }
  expect(hex(nodeHash(sha256, leaf(0), leaf(1)))).toHaveLength(64);
});
