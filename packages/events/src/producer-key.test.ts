import { createPublicKey, verify } from "node:crypto";
import { chmodSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { batchBytes } from "@weir/proofs";
import { describe, expect, it } from "vitest";
import { open, scratch, text, until } from "../test/support.ts";
import type { Batch } from "./bus.ts";
import { FRAME_KIND } from "./frame.ts";
import { decodeFrames, encodeFrames } from "./frames.ts";
import { memoryBus } from "./memory-bus.ts";
import { producerKey } from "./producer-key.ts";
import { startRelay } from "./relay.ts";

const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const publicKeyOf = (raw: Uint8Array) =>
  createPublicKey({ key: Buffer.concat([SPKI, raw]), type: "spki", format: "der" });

/** The fields of a BatchSignature, of which each is bytes: runs (packed), leaf hashes, signature. */
function fieldsOf(header: Uint8Array): Map<number, Buffer> {
  const bytes = Buffer.from(header);
  const fields = new Map<number, Buffer>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const number = varint() >> 3;
    const length = varint();
    fields.set(number, bytes.subarray(at, at + length));
    at += length;
  }
  return fields;
}

describe("the key of a spool folder's producers", () => {
  it("is made once, for its owner only, and is the same for whoever comes later", () => {
    const directory = scratch();
    const { publicKey } = producerKey(directory);
    expect(publicKey).toHaveLength(32);
    expect(producerKey(directory).publicKey).toEqual(publicKey);
    expect(statSync(join(directory, "producer.key")).mode & 0o777).toBe(0o600);
    const broken = scratch();
    writeFileSync(join(broken, "producer.key"), "hunter2");
    chmodSync(join(broken, "producer.key"), 0o600);
    expect(() => producerKey(broken)).toThrow();
  });

  it("signs numbers and leaf hashes, sorted and once each, and nothing of what nobody can read", () => {
    const key = producerKey(scratch());
    const frame = (number: number, kind: number = FRAME_KIND.outcome) =>
      decodeFrames(encodeFrames([{ kind, number, header: text(`header ${number}`) }])).frames[0] ?? expect.fail();
    const frames = [frame(300), frame(2), frame(3), frame(2), frame(9, FRAME_KIND.quarantined)];
    const [signature] = decodeFrames(key.signatureOf("i.0.a", frames)).frames;
    expect(signature).toMatchObject({ kind: FRAME_KIND.signature, number: 0 });
    const fields = fieldsOf(signature?.header ?? new Uint8Array(0));
    // 2 behind 0, two of them; 296 behind 4, one.
    expect([...(fields.get(1) ?? [])]).toEqual([2, 2, 0xa8, 0x02, 1]);
    const leafHashes = fields.get(2) ?? Buffer.alloc(0);
    expect(leafHashes).toHaveLength(96);
    const message = batchBytes("i.0.a", [2, 3, 300], leafHashes);
    expect(verify(null, message, publicKeyOf(key.publicKey), fields.get(3) ?? Buffer.alloc(0))).toBe(true);
    expect(key.signatureOf("i.0.a", [frame(9, FRAME_KIND.quarantined)])).toHaveLength(0);
  });

  it("signs each batch that a relay ships, also of an epoch whose process died", async () => {
    const directory = scratch();
    const dead = await open(directory);
    await dead.intent(text("i"), new Uint8Array(0), 0);
    const batches: Batch[] = [];
    await using bus = memoryBus({ consumers: ["log"] });
    await bus.subscribe("log", (delivered) => {
      batches.push(...delivered.map((batch) => ({ ...batch, data: Buffer.from(batch.data) })));
      return Promise.resolve();
    });
    const key = producerKey(directory);
    await using _relay = startRelay({
      directory,
      bus,
      key,
      firstWatermarkMs: 0,
      openAfterMs: 0,
      watermarks: () => Promise.resolve([]),
    });
    const numbers = (): number[] =>
      batches.flatMap(({ data }) => decodeFrames(data).frames.flatMap(({ number }) => (number === 0 ? [] : [number])));
    await until(() => numbers().length >= 2, "shipped");
    expect(numbers().slice(0, 2)).toEqual([1, 2]);
    for (const { producer, data } of batches) {
      const { frames } = decodeFrames(data);
      const signature = frames.at(-1);
      expect(signature?.kind).toBe(FRAME_KIND.signature);
      const fields = fieldsOf(signature?.header ?? new Uint8Array(0));
      const signed = frames.slice(0, -1).map(({ number }) => number);
      const message = batchBytes(producer, signed, fields.get(2) ?? Buffer.alloc(0));
      expect(verify(null, message, publicKeyOf(key.publicKey), fields.get(3) ?? Buffer.alloc(0))).toBe(true);
    }
    await dead.close();
  });
});
