import { ScalarType } from "@bufbuild/protobuf";
import { WIRE_32, WIRE_64, WIRE_BLOCK, WIRE_VARINT, type WireReader } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

export interface ScalarCodec {
  readonly wireType: number;
  readonly zero: unknown;
  readonly write: (writer: WireWriter, value: unknown) => void;
  readonly read: (reader: WireReader) => unknown;
}

/** The scalars that our contracts use, and therefore the ones that are compiled. */
const SCALARS: Partial<Record<ScalarType, ScalarCodec>> = {
  [ScalarType.STRING]: {
    wireType: WIRE_BLOCK,
    zero: "",
    write: (writer, value) => writer.text(value as string),
    read: (reader) => reader.text(),
  },
  [ScalarType.BYTES]: {
    wireType: WIRE_BLOCK,
    zero: new Uint8Array(0),
    write: (writer, value) => writer.block(value as Uint8Array),
    read: (reader) => reader.block(),
  },
  [ScalarType.BOOL]: {
    wireType: WIRE_VARINT,
    zero: false,
    write: (writer, value) => writer.bool(value as boolean),
    read: (reader) => reader.bool(),
  },
  [ScalarType.INT32]: {
    wireType: WIRE_VARINT,
    zero: 0,
    write: (writer, value) => writer.int32(value as number),
    read: (reader) => reader.int32(),
  },
  [ScalarType.UINT32]: {
    wireType: WIRE_VARINT,
    zero: 0,
    write: (writer, value) => writer.uint32(value as number),
    read: (reader) => reader.varint(),
  },
  [ScalarType.INT64]: {
    wireType: WIRE_VARINT,
    zero: 0n,
    write: (writer, value) => writer.int64(value as bigint),
    read: (reader) => reader.int64(),
  },
  [ScalarType.UINT64]: {
    wireType: WIRE_VARINT,
    zero: 0n,
    write: (writer, value) => writer.uint64(value as bigint),
    read: (reader) => reader.uint64(),
  },
  // Zigzag: small numbers of either sign are short.
  [ScalarType.SINT64]: {
    wireType: WIRE_VARINT,
    zero: 0n,
    write: (writer, value) => writer.uint64(BigInt.asUintN(64, ((value as bigint) << 1n) ^ ((value as bigint) >> 63n))),
    read: (reader) => {
      const coded = reader.uint64();
      return (coded >> 1n) ^ -(coded & 1n);
    },
  },
  [ScalarType.DOUBLE]: {
    wireType: WIRE_64,
    zero: 0,
    write: (writer, value) => writer.double(value as number),
    read: (reader) => reader.double(),
  },
  [ScalarType.FLOAT]: {
    wireType: WIRE_32,
    zero: 0,
    write: (writer, value) => writer.float(value as number),
    read: (reader) => reader.float(),
  },
};

export const isKnownScalar = (type: ScalarType): boolean => SCALARS[type] !== undefined;

/** @throws TypeError for one that is not compiled */
export function scalarCodec(type: ScalarType): ScalarCodec {
  const codec = SCALARS[type];
  if (codec === undefined) throw new TypeError(`a scalar that is not compiled: ${ScalarType[type]}`);
  return codec;
}
