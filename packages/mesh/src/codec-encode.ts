import { type DescField, type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";
import { type Fields, isImplicit, type UnknownFields } from "./codec-shape.ts";
import { type ScalarCodec, scalarCodec } from "./codec-scalars.ts";
import { WIRE_32, WIRE_64, WIRE_BLOCK } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

export type Encoder = (writer: WireWriter, message: Fields) => void;
type ValueWriter = (writer: WireWriter, value: unknown) => void;

/** Writes messages of a type, last field first. `encoders` holds those that are made or being made, as types may contain themselves. */
export function encoderOf(desc: DescMessage, encoders: Map<DescMessage, Encoder>): Encoder {
  const known = encoders.get(desc);
  if (known !== undefined) return known;
  const fields: Encoder[] = [];
  const { typeName } = desc;
  const encoder: Encoder = (writer, message) => {
    if (message["$typeName"] !== typeName) throw new TypeError(`not a ${typeName}`);
    const unknown = message["$unknown"] as UnknownFields | undefined;
    if (unknown !== undefined) {
      for (const { no, wireType, data } of unknown.toReversed()) {
        writer.raw(data);
        writer.varint(((no << 3) | wireType) >>> 0);
      }
    }
    for (let index = 0; index < fields.length; index++) (fields[index] as Encoder)(writer, message);
  };
  encoders.set(desc, encoder);
  for (const field of desc.fields.toSorted((a, b) => b.number - a.number)) fields.push(fieldEncoder(field, encoders));
  return encoder;
}

function fieldEncoder(field: DescField, encoders: Map<DescMessage, Encoder>): Encoder {
  const { localName } = field;
  switch (field.fieldKind) {
    case "list":
      return listEncoder(field, encoders);
    case "map":
      return mapEncoder(field, encoders);
    case "message": {
      const write = tagged(field.number, WIRE_BLOCK, nested(encoderOf(field.message, encoders)));
      return field.oneof === undefined ? present(localName, write) : chosen(field.oneof, localName, write);
    }
    case "scalar":
    case "enum": {
      const scalar = scalarCodec(field.fieldKind === "enum" ? ScalarType.INT32 : field.scalar);
      const write = tagged(field.number, scalar.wireType, scalar.write);
      if (field.oneof !== undefined) return chosen(field.oneof, localName, write);
      return isImplicit(field) ? unlessZero(scalar, localName, write) : present(localName, write);
    }
  }
}

function tagged(number: number, wireType: number, write: ValueWriter): ValueWriter {
  const tag = (number << 3) | wireType;
  return (writer, value) => {
    write(writer, value);
    writer.varint(tag);
  };
}

const nested =
  (encoder: Encoder): ValueWriter =>
  (writer, value) => {
    const before = writer.written;
    encoder(writer, value as Fields);
    writer.varint(writer.written - before);
  };

const present =
  (name: string, write: ValueWriter): Encoder =>
  (writer, message) => {
    const value = message[name];
    if (value !== undefined) write(writer, value);
  };

function chosen(oneof: DescOneof, name: string, write: ValueWriter): Encoder {
  const { localName } = oneof;
  return (writer, message) => {
    const choice = message[localName] as { readonly case: string | undefined; readonly value?: unknown };
    if (choice.case === name) write(writer, choice.value);
  };
}

function unlessZero({ zero, wireType }: ScalarCodec, name: string, write: ValueWriter): Encoder {
  if (zero instanceof Uint8Array) {
    return (writer, message) => {
      const value = message[name] as Uint8Array;
      if (value.length > 0) write(writer, value);
    };
  }
  if (wireType === WIRE_64 || wireType === WIRE_32) {
    return (writer, message) => {
      const value = message[name];
      // -0 is not the zero value of a floating-point field.
      if (!Object.is(value, zero)) write(writer, value);
    };
  }
  return (writer, message) => {
    const value = message[name];
    if (value !== zero) write(writer, value);
  };
}

function listEncoder(field: DescField & { fieldKind: "list" }, encoders: Map<DescMessage, Encoder>): Encoder {
  const { localName } = field;
  if (field.listKind === "message") {
    const write = tagged(field.number, WIRE_BLOCK, nested(encoderOf(field.message, encoders)));
    return (writer, message) => {
      const items = message[localName] as readonly Fields[];
      for (let index = items.length - 1; index >= 0; index--) write(writer, items[index]);
    };
  }
  const scalar = scalarCodec(field.listKind === "enum" ? ScalarType.INT32 : field.scalar);
  const write = field.packed ? scalar.write : tagged(field.number, scalar.wireType, scalar.write);
  const tag = (field.number << 3) | WIRE_BLOCK;
  return (writer, message) => {
    const items = message[localName] as readonly unknown[];
    if (items.length === 0) return;
    const before = writer.written;
    for (let index = items.length - 1; index >= 0; index--) write(writer, items[index]);
    if (!field.packed) return;
    writer.varint(writer.written - before);
    writer.varint(tag);
  };
}

function mapEncoder(field: DescField & { fieldKind: "map" }, encoders: Map<DescMessage, Encoder>): Encoder {
  const { localName } = field;
  const tag = (field.number << 3) | WIRE_BLOCK;
  const writeKey = tagged(1, WIRE_BLOCK, scalarCodec(ScalarType.STRING).write);
  const scalar = scalarCodec(field.mapKind === "scalar" ? field.scalar : ScalarType.INT32);
  const writeValue =
    field.mapKind === "message"
      ? tagged(2, WIRE_BLOCK, nested(encoderOf(field.message, encoders)))
      : tagged(2, scalar.wireType, scalar.write);
  return (writer, message) => {
    const map = message[localName] as Fields;
    for (const key of Object.keys(map).toReversed()) {
      const before = writer.written;
      writeValue(writer, map[key]);
      writeKey(writer, key);
      writer.varint(writer.written - before);
      writer.varint(tag);
    }
  };
}
