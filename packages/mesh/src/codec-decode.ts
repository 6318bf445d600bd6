import { create, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { scalarCodec } from "./codec-scalars.ts";
import type { Fields, UnknownFields } from "./codec-shape.ts";
import { WIRE_BLOCK, type WireReader } from "./wire-reader.ts";

/** Reads fields into a message until the block ends. */
export interface Decoder {
  readonly empty: () => Fields;
  readonly read: (reader: WireReader, message: Fields) => void;
}

type FieldReader = (reader: WireReader, message: Fields) => void;

/** Reads messages of a type. `decoders` holds those that are made or being made, as types may contain themselves. */
export function decoderOf(desc: DescMessage, decoders: Map<DescMessage, Decoder>): Decoder {
  const known = decoders.get(desc);
  if (known !== undefined) return known;
  // By tag: number and wire type. Numbers are small, so this is an array without holes worth mentioning.
  const byTag: (FieldReader | undefined)[] = [];
  const read: FieldReader = (reader, message) => {
    while (reader.more) {
      const tag = reader.varint();
      const field = tag < byTag.length ? byTag[tag] : undefined;
      if (field !== undefined) {
        field(reader, message);
        continue;
      }
      const no = tag >>> 3;
      const wireType = tag & 7;
      if (no === 0) throw new RangeError("a field without a number");
      const unknown = (message["$unknown"] ??= []) as UnknownFields;
      unknown.push({ no, wireType, data: reader.skip(wireType, no) });
    }
  };
  const decoder: Decoder = { empty: emptyMaker(desc), read };
  decoders.set(desc, decoder);
  for (const field of desc.fields) {
    for (const [wireType, reader] of fieldReaders(field, decoders)) byTag[(field.number << 3) | wireType] = reader;
  }
  return decoder;
}

/** Makes what `create(desc)` makes, several times as fast. */
function emptyMaker(desc: DescMessage): () => Fields {
  const template = { ...create(desc) } as unknown as Fields;
  const lists = desc.fields.filter((field) => field.fieldKind === "list").map((field) => field.localName);
  const maps = desc.fields.filter((field) => field.fieldKind === "map").map((field) => field.localName);
  // Every oneof of a message begins as the same value, which is replaced and never changed.
  const none = Object.freeze({ case: undefined });
  for (const oneof of desc.oneofs) if (oneof.localName in template) template[oneof.localName] = none;
  return () => {
    const message = { ...template };
    for (let index = 0; index < lists.length; index++) message[lists[index] as string] = [];
    for (let index = 0; index < maps.length; index++) message[maps[index] as string] = {};
    return message;
  };
}

function fieldReaders(field: DescField, decoders: Map<DescMessage, Decoder>): [number, FieldReader][] {
  const { localName } = field;
  switch (field.fieldKind) {
    case "list":
      return listReaders(field, decoders);
    case "map":
      return [[WIRE_BLOCK, mapReader(field, decoders)]];
    case "message":
      return [[WIRE_BLOCK, messageReader(field, decoderOf(field.message, decoders))]];
    case "scalar":
    case "enum": {
      const { wireType, read } = scalarCodec(field.fieldKind === "enum" ? ScalarType.INT32 : field.scalar);
      const oneof = field.oneof?.localName;
      const reader: FieldReader =
        oneof === undefined
          ? (from, message) => {
              message[localName] = read(from);
            }
          : (from, message) => {
              message[oneof] = { case: localName, value: read(from) };
            };
      return [[wireType, reader]];
    }
  }
}

function inBlock(reader: WireReader, decoder: Decoder, message: Fields): Fields {
  const before = reader.enter();
  decoder.read(reader, message);
  reader.leave(before);
  return message;
}

/** A message that comes twice is merged, as the format says. */
function messageReader(field: DescField & { fieldKind: "message" }, decoder: Decoder): FieldReader {
  const { localName } = field;
  const oneof = field.oneof?.localName;
  if (oneof === undefined) {
    return (reader, message) => {
      const before = message[localName] as Fields | undefined;
      message[localName] = inBlock(reader, decoder, before ?? decoder.empty());
    };
  }
  return (reader, message) => {
    const choice = message[oneof] as { readonly case: string | undefined; readonly value?: Fields };
    const before = choice.case === localName ? choice.value : undefined;
    message[oneof] = { case: localName, value: inBlock(reader, decoder, before ?? decoder.empty()) };
  };
}

function listReaders(
  field: DescField & { fieldKind: "list" },
  decoders: Map<DescMessage, Decoder>,
): [number, FieldReader][] {
  const { localName } = field;
  if (field.listKind === "message") {
    const decoder = decoderOf(field.message, decoders);
    const one: FieldReader = (reader, message) => {
      (message[localName] as Fields[]).push(inBlock(reader, decoder, decoder.empty()));
    };
    return [[WIRE_BLOCK, one]];
  }
  const { wireType, read } = scalarCodec(field.listKind === "enum" ? ScalarType.INT32 : field.scalar);
  const one: FieldReader = (reader, message) => {
    (message[localName] as unknown[]).push(read(reader));
  };
  if (wireType === WIRE_BLOCK) return [[WIRE_BLOCK, one]];
  // Whichever way the contract says, both are read.
  const packed: FieldReader = (reader, message) => {
    const items = message[localName] as unknown[];
    const before = reader.enter();
    while (reader.more) items.push(read(reader));
    reader.leave(before);
  };
  return [
    [wireType, one],
    [WIRE_BLOCK, packed],
  ];
}

function mapReader(field: DescField & { fieldKind: "map" }, decoders: Map<DescMessage, Decoder>): FieldReader {
  const { localName } = field;
  const scalar = scalarCodec(field.mapKind === "scalar" ? field.scalar : ScalarType.INT32);
  const decoder = field.mapKind === "message" ? decoderOf(field.message, decoders) : undefined;
  const valueTag = (2 << 3) | (decoder === undefined ? scalar.wireType : WIRE_BLOCK);
  return (reader, message) => {
    const before = reader.enter();
    let key = "";
    let value: unknown;
    while (reader.more) {
      const tag = reader.varint();
      if (tag === ((1 << 3) | WIRE_BLOCK)) key = reader.text();
      else if (tag !== valueTag) reader.skip(tag & 7, tag >>> 3);
      else if (decoder === undefined) value = scalar.read(reader);
      else value = inBlock(reader, decoder, (value as Fields | undefined) ?? decoder.empty());
    }
    reader.leave(before);
    setOwn(message[localName] as Fields, key, value ?? (decoder === undefined ? scalar.zero : decoder.empty()));
  };
}

/** Assigning to "__proto__" would set the prototype. */
function setOwn(map: Fields, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    map[key] = value;
  }
}
