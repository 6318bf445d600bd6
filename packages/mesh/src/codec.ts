import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Decoder, decoderOf } from "./codec-decode.ts";
import { type Encoder, encoderOf } from "./codec-encode.ts";
import { canCompile, type Fields } from "./codec-shape.ts";
import { WireReader } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

/** Turns messages of one type into bytes and back; made once, at start-up. */
export interface Codec<D extends DescMessage> {
  /** The same bytes as protobuf-es, unknown fields included. @throws Error for a value that its field cannot hold */
  encode(message: MessageShape<D>): Uint8Array;
  /** Bytes fields are views of `bytes`. Unknown fields are kept. @throws Error for bytes that are no such message */
  decode(bytes: Uint8Array): MessageShape<D>;
}

// Made of closures, not of generated source: that would save a microsecond of three on a large message, and need `new Function`.
const writer = new WireWriter();
const encoders = new Map<DescMessage, Encoder>();
const decoders = new Map<DescMessage, Decoder>();
const codecs = new Map<DescMessage, unknown>();

/** A codec of the type: ours, or protobuf-es's for types with parts that ours does not know. */
export function compileCodec<D extends DescMessage>(schema: D): Codec<D> {
  let codec = codecs.get(schema) as Codec<D> | undefined;
  if (codec === undefined) {
    codec = canCompile(schema) ? ownCodec(schema) : libraryCodec(schema);
    codecs.set(schema, codec);
  }
  return codec;
}

const libraryCodec = <D extends DescMessage>(schema: D): Codec<D> => ({
  encode: (message) => toBinary(schema, message),
  decode: (bytes) => fromBinary(schema, bytes),
});

function ownCodec<D extends DescMessage>(schema: D): Codec<D> {
  const encoder = encoderOf(schema, encoders);
  const { empty, read } = decoderOf(schema, decoders);
  return {
    encode(message) {
      try {
        writer.begin();
        encoder(writer, message as unknown as Fields);
        return writer.finish();
      } catch {
        // Either it takes what ours does not (a number for a bigint), or it says which field is wrong.
        return toBinary(schema, message);
      }
    },
    decode(bytes) {
      const message = empty();
      read(new WireReader(bytes), message);
      return message as unknown as MessageShape<D>;
    },
  };
}
