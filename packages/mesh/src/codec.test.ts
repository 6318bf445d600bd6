import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type Message,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { StructSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { audit, common, evaluation, ingress, policy, router } from "@weir/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileCodec } from "./codec.ts";
import { canCompile } from "./codec-shape.ts";

const isMessageSchema = (value: unknown): value is DescMessage =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "message";

const schemas = [audit, common, evaluation, ingress, policy, router]
  .flatMap((contracts) => Object.values(contracts))
  .filter(isMessageSchema);

const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.constantFrom(
    "",
    "\ufffd",
    "\ufeffbom",
    "é".repeat(30),
    "a".repeat(48),
    "a".repeat(49),
    "x".repeat(200),
    "😀",
    "__proto__",
  ),
);

const scalars: Partial<Record<ScalarType, fc.Arbitrary<unknown>>> = {
  [ScalarType.STRING]: text,
  [ScalarType.BYTES]: fc.uint8Array({ maxLength: 200 }),
  [ScalarType.BOOL]: fc.boolean(),
  [ScalarType.INT32]: fc.oneof(fc.integer(), fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31))),
  [ScalarType.UINT32]: fc.oneof(
    fc.nat(300),
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    fc.constantFrom(127, 128, 16383, 16384, 2 ** 28, 2 ** 32 - 1),
  ),
  [ScalarType.INT64]: fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.constantFrom(0n, -1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n),
  ),
  [ScalarType.UINT64]: fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.constantFrom(0n, 127n, 2n ** 35n, 2n ** 63n, 2n ** 64n - 1n),
  ),
  [ScalarType.SINT64]: fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.constantFrom(0n, -1n, 1n, -64n, 64n, -(2n ** 63n), 2n ** 63n - 1n),
  ),
  [ScalarType.DOUBLE]: fc.double(),
  [ScalarType.FLOAT]: fc.float(),
};

function scalar(type: ScalarType): fc.Arbitrary<unknown> {
  const arbitrary = scalars[type];
  if (arbitrary === undefined) throw new TypeError(`not in our contracts: ${ScalarType[type]}`);
  return arbitrary;
}

const enumValue = (field: DescField): fc.Arbitrary<number> =>
  fc.oneof(fc.constantFrom(...(field.enum?.values.map((value) => value.number) ?? [0])), fc.constantFrom(99, -1));

function fieldValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const one = (): fc.Arbitrary<unknown> => {
    if (field.message !== undefined) return message(field.message, depth - 1);
    return field.enum === undefined ? scalar(field.scalar ?? ScalarType.INT32) : enumValue(field);
  };
  if (field.fieldKind === "list") return fc.array(one(), { maxLength: depth > 0 ? 3 : 0 });
  if (field.fieldKind === "map") return fc.dictionary(text, one(), { maxKeys: 3, noNullPrototype: true });
  return one();
}

const unknownFields = fc.array(
  fc.oneof(
    fc.record({
      no: fc.constantFrom(3000, 12345),
      wireType: fc.constant(0),
      data: fc.constant(Uint8Array.of(0x96, 0x01)),
    }),
    fc.record({ no: fc.constant(2999), wireType: fc.constant(2), data: fc.constant(Uint8Array.of(2, 65, 66)) }),
    fc.record({ no: fc.constant(2998), wireType: fc.constant(5), data: fc.constant(Uint8Array.of(1, 2, 3, 4)) }),
    fc.record({
      no: fc.constant(2997),
      wireType: fc.constant(3),
      data: fc.constant(Uint8Array.of(8, 1, 0xac, 0xbb, 1)),
    }),
  ),
  { minLength: 1, maxLength: 3 },
);

/** Any message of the type, as an init. */
function message(desc: DescMessage, depth: number): fc.Arbitrary<Message> {
  const parts: Record<string, fc.Arbitrary<unknown>> = {};
  for (const member of desc.members) {
    if (member.kind === "oneof") {
      const cases = member.fields
        .filter((field) => depth > 0 || field.message === undefined)
        .map((field) => fieldValue(field, depth).map((value) => ({ case: field.localName, value })));
      parts[member.localName] = fc.oneof(fc.constant({ case: undefined }), ...cases);
    } else if (depth > 0 || member.message === undefined) {
      parts[member.localName] = fc.option(fieldValue(member, depth), { nil: undefined });
    }
  }
  return fc.tuple(fc.record(parts), fc.option(unknownFields, { nil: undefined, freq: 6 })).map(([init, unknown]) => {
    const made: Message = create(desc, init);
    if (unknown !== undefined) made.$unknown = unknown;
    return made;
  });
}

/** Bytes as plain arrays, so that a Buffer equals a Uint8Array. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, part: unknown) => {
      if (typeof part === "bigint") return `${part}n`;
      if (typeof part === "number" && !Number.isFinite(part)) return String(part);
      if (Object.is(part, -0)) return "-0";
      if (typeof part === "object" && part !== null && "type" in part && part.type === "Buffer" && "data" in part)
        return part.data;
      return part instanceof Uint8Array ? [...part] : part;
    }),
  );

describe("the codec", () => {
  it("compiles every contract of ours", () => {
    expect(schemas.length).toBeGreaterThan(100);
    expect(schemas.filter((schema) => !canCompile(schema)).map((schema) => schema.typeName)).toEqual([]);
  });

  it.each(schemas.map((schema) => [schema.typeName, schema] as const))(
    "%s: the same bytes and the same messages as protobuf-es",
    (_name, schema) => {
      const codec = compileCodec(schema);
      fc.assert(
        fc.property(message(schema, 3), (made) => {
          const bytes = toBinary(schema, made);
          expect(Buffer.compare(Buffer.from(codec.encode(made)), Buffer.from(bytes))).toBe(0);
          const decoded = codec.decode(bytes);
          expect(plain(decoded)).toEqual(plain(fromBinary(schema, bytes)));
          expect(Object.keys(decoded)).toEqual(expect.arrayContaining(Object.keys(create(schema))));
        }),
        { numRuns: 40 },
      );
    },
  );

  it("reads any bytes as protobuf-es does, or refuses them", () => {
    const targets: DescMessage[] = [
      router.CompleteRequestSchema,
      common.ChatRequestSchema,
      policy.AdmitBatchRequestSchema,
      audit.OutcomeSchema,
    ];
    for (const schema of targets) {
      const codec = compileCodec(schema);
      fc.assert(
        fc.property(
          message(schema, 3),
          fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
          fc.nat(),
          (made, flips, cut) => {
            const bytes = Uint8Array.from(toBinary(schema, made));
            for (const [at, value] of flips) if (bytes.length > 0) bytes[at % bytes.length] = value;
            const cutBytes = flips.length === 0 ? bytes.subarray(0, cut % (bytes.length + 1)) : bytes;
            let ours: unknown;
            try {
              ours = codec.decode(cutBytes);
            } catch (error) {
              // TypeError: what is no UTF-8.
              expect(error instanceof RangeError || error instanceof TypeError).toBe(true);
              return;
            }
            // Ours is the stricter one: it reads a known field with another wire type as unknown, and nothing past a block's end.
            expect(ours).toHaveProperty("$typeName", schema.typeName);
            expect(() => codec.encode(ours as never)).not.toThrow();
          },
        ),
        { numRuns: 400 },
      );
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
          try {
            codec.decode(bytes);
          } catch (error) {
            expect(error instanceof RangeError || error instanceof TypeError).toBe(true);
          }
        }),
        { numRuns: 2_000 },
      );
    }
  });

  it("merges what comes twice, and reads lists packed or not", () => {
    const join = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));
    const schema = router.CompleteRequestSchema;
    const a = toBinary(
      schema,
      create(schema, { call: { requestId: "a", input: { case: "raw", value: { dialect: 1 } } } }),
    );
    const b = toBinary(
      schema,
      create(schema, { call: { model: "m", input: { case: "raw", value: { body: Uint8Array.of(1) } } } }),
    );
    expect(plain(compileCodec(schema).decode(join(a, b)))).toEqual(plain(fromBinary(schema, join(a, b))));
    const logprob = common.TokenLogprobSchema;
    for (const bytes of [Uint8Array.of(26, 2, 1, 2, 24, 3), Uint8Array.of(24, 1, 24, 2)]) {
      expect(plain(compileCodec(logprob).decode(bytes))).toEqual(plain(fromBinary(logprob, bytes)));
    }
  });

  it("refuses messages nested without end, and values that do not fit", () => {
    const schema = common.PartSchema;
    let bytes = new Uint8Array(0);
    for (let depth = 0; depth < 300; depth++) {
      const result = compileCodec(common.ToolResultPartSchema).encode(create(common.ToolResultPartSchema, {}));
      expect(result.length).toBe(0);
      const inner = Buffer.concat([Buffer.from([26]), varint(bytes.length), bytes]);
      bytes = Buffer.concat([Buffer.from([34]), varint(inner.length), inner]);
    }
    expect(() => compileCodec(schema).decode(bytes)).toThrow(RangeError);
    const usage = compileCodec(common.UsageSchema);
    for (const inputTokens of [-1, 1.5, Number.NaN, 2 ** 32]) {
      expect(() => usage.encode(create(common.UsageSchema, { inputTokens }))).toThrow(/input_tokens/);
    }
    const amounts = compileCodec(policy.AmountsSchema);
    expect(() => amounts.encode(create(policy.AmountsSchema, { costNanos: 2n ** 63n }))).toThrow(/cost_nanos/);
    expect(() => usage.encode(create(policy.AmountsSchema) as unknown as common.Usage)).toThrow();
  });

  it("leaves other types to protobuf-es", () => {
    expect(canCompile(StructSchema)).toBe(false);
    const made = create(TimestampSchema, { seconds: 5n, nanos: 6 });
    expect(compileCodec(TimestampSchema).decode(compileCodec(TimestampSchema).encode(made))).toEqual(made);
  });
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
  return Buffer.from([...bytes, left]);
}
