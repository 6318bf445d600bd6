import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AwsEventStreamReader, encodeAwsEvent } from "./aws-event-stream.ts";
import { crc32 } from "./crc32.ts";
import type { SseEvent } from "./sse.ts";

/** Headers by type and bytes, checksums by zlib: written apart from the encoder that is tested. */
function message(headers: readonly Buffer[], payload: string | Buffer): Buffer {
  const head = Buffer.concat(headers);
  const body = Buffer.from(payload);
  const bytes = Buffer.alloc(16 + head.length + body.length);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes.writeUInt32BE(head.length, 4);
  bytes.writeUInt32BE(zlibCrc32(bytes.subarray(0, 8)), 8);
  head.copy(bytes, 12);
  body.copy(bytes, 12 + head.length);
  bytes.writeUInt32BE(zlibCrc32(bytes.subarray(0, bytes.length - 4)), bytes.length - 4);
  return bytes;
}
const header = (name: string, type: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([type]), value]);
const text = (name: string, value: string): Buffer => {
  const bytes = Buffer.from(value);
  return header(name, 7, Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]));
};

const event = (type: string): Buffer[] => [text(":message-type", "event"), text(":event-type", type)];

function readAll(bytes: Uint8Array, cut: (at: number) => number): SseEvent[] {
  const reader = new AwsEventStreamReader();
  const events: SseEvent[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = cut(at);
    // A copy: a socket's buffer may be used again.
    const chunk = Uint8Array.from(bytes.subarray(at, at + size));
    events.push(...reader.push(chunk));
    chunk.fill(0xff);
    at += size;
  }
  return [...events, ...reader.end()];
}

describe("an Amazon event stream", () => {
  const sent = [
    message([...event("messageStart"), text(":content-type", "application/json")], '{"role":"assistant"}'),
    message(
      [
        header("true", 0, Buffer.alloc(0)),
        header("false", 1, Buffer.alloc(0)),
        header("byte", 2, Buffer.alloc(1)),
        header("short", 3, Buffer.alloc(2)),
        header("integer", 4, Buffer.alloc(4)),
        header("long", 5, Buffer.alloc(8)),
        header("bytes", 6, Buffer.from([0, 3, 1, 2, 3])),
        header("time", 8, Buffer.alloc(8)),
        header("uuid", 9, Buffer.alloc(16)),
        ...event("contentBlockDelta"),
      ],
      '{"delta":{"text":"wörld 🌍"}}',
    ),
    message([text(":message-type", "exception"), text(":exception-type", "throttlingException")], '{"message":"slow"}'),
    message([text(":message-type", "error"), text(":error-code", "Oops"), text(":error-message", "it broke")], ""),
    message(event("empty"), ""),
  ];
  const whole = Buffer.concat(sent);
  const expected = [
    { event: "messageStart", data: '{"role":"assistant"}' },
    { event: "contentBlockDelta", data: '{"delta":{"text":"wörld 🌍"}}' },
    { event: "exception:throttlingException", data: '{"message":"slow"}' },
    { event: "exception:Oops", data: '{"message":"it broke"}' },
    { event: "empty", data: "" },
  ];

  it("is read the same wherever its bytes are cut", () => {
    for (let at = 1; at < whole.length; at += 1)
      expect(
        readAll(whole, (from) => (from === 0 ? at : whole.length)),
        `cut at ${at}`,
      ).toEqual(expected);
    for (const size of [1, 2, 3, 13, 1000]) expect(readAll(whole, () => size)).toEqual(expected);
  });

  it("gives each event as soon as it is whole, and drops what is torn", () => {
    const reader = new AwsEventStreamReader();
    expect(reader.push(sent[0]?.subarray(0, -1) ?? new Uint8Array())).toEqual([]);
    expect(reader.push(sent[0]?.subarray(-1) ?? new Uint8Array())).toEqual([expected[0]]);
    expect(reader.push(sent[1]?.subarray(0, 40) ?? new Uint8Array())).toEqual([]);
    expect(reader.end()).toEqual([]);
  });

  it("is written as it is read", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ event: fc.string({ minLength: 1, maxLength: 60 }), data: fc.string() }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 50 }),
        (events, size) => {
          const sound = events.map(({ event: name, data }) => ({ event: wellFormed(name), data: wellFormed(data) }));
          expect(readAll(Buffer.concat(sound.map(encodeAwsEvent)), () => size)).toEqual(sound);
        },
      ),
    );
  });

  it("with any bit turned over is refused", () => {
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const broken = Uint8Array.from(whole);
      broken[bit >> 3] = (broken[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => readAll(broken, () => broken.length), `bit ${bit}`).toThrow("cannot be read");
    }
  });

  it("that is anything at all makes no other error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          readAll(bytes, () => 7);
        } catch (error) {
          expect(error).toMatchObject({ reason: "provider_bad_response" });
        }
      }),
    );
  });

  it("knows the published messages, and refuses those without a type", () => {
    // https://github.com/awslabs/aws-c-event-stream/tree/main/tests/resources: payload_no_headers, empty_message
    const published = [
      "0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936",
      "000000100000000005c248eb7d98c8ff",
    ];
    for (const hex of published)
      expect(() => readAll(Buffer.from(hex, "hex"), () => 3)).toThrow("a message is of no known type");
  });

  it("does not believe lengths that cannot be", () => {
    const prelude = (length: number, headers: number): Buffer => {
      const bytes = Buffer.alloc(12);
      bytes.writeUInt32BE(length, 0);
      bytes.writeUInt32BE(headers, 4);
      bytes.writeUInt32BE(zlibCrc32(bytes.subarray(0, 8)), 8);
      return bytes;
    };
    for (const [length, headers] of [
      [0, 0],
      [15, 0],
      [100, 85],
      [0xffffffff, 0],
      [200_000, 140_000],
    ] as const)
      expect(() => readAll(prelude(length, headers), () => 12)).toThrow("length cannot be");
    expect(readAll(prelude(100, 84), () => 12)).toEqual([]);
  });
});

it("CRC-32 is zlib's", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (one, other) => {
      expect(crc32(other, crc32(one))).toBe(zlibCrc32(Buffer.concat([one, other])));
    }),
  );
});

/** Names that are not an exception's, texts without lone surrogates. */
const wellFormed = (value: string): string => Buffer.from(value).toString();
