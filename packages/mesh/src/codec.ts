import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";

/** Turns messages of one type into bytes and back; made once, at start-up. */
export interface Codec<D extends DescMessage> {
  encode(message: MessageShape<D>): Uint8Array;
  /** @throws Error for bytes that are no such message */
  decode(bytes: Uint8Array): MessageShape<D>;
}

export function compileCodec<D extends DescMessage>(schema: D): Codec<D> {
  return {
    encode: (message) => toBinary(schema, message),
    decode: (bytes) => fromBinary(schema, bytes),
  };
}
