import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { nodeHash, rootOf, type Sha256 } from "./index.ts";

const sha256: Sha256 = (bytes) => createHash("sha256").update(bytes).digest();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const leafOf = (data: string): Uint8Array => sha256(Buffer.from(`00${data}`, "hex"));

// The leaves and roots of the certificate-transparency reference tests (merkle_tree_test.cc), which RFC 6962 implementations share.
const LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

test("roots equal the reference vectors of RFC 6962, the empty and the single-leaf tree included", () => {
  for (const [size, root] of ROOTS.entries()) {
    expect(hex(rootOf(sha256, LEAVES.slice(0, size).map(leafOf))), `size ${size}`).toBe(root);
  }
});

test("the streamed root equals the recursive definition of RFC 9162 §2.1.1", () => {
  const mth = (leaves: Uint8Array[]): Uint8Array => {
    const [first] = leaves;
    if (first === undefined) return sha256(new Uint8Array(0));
    if (leaves.length === 1) return first;
    let split = 1;
    while (split * 2 < leaves.length) split *= 2;
    return nodeHash(sha256, mth(leaves.slice(0, split)), mth(leaves.slice(split)));
  };
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 70 }), (leaves) => {
      expect(hex(rootOf(sha256, leaves))).toBe(hex(mth(leaves)));
    }),
  );
});
