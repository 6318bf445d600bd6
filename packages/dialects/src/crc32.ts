const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/**
 * CRC-32 as of ISO 3309 and gzip.
 * @param before the checksum of what came before these bytes
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  let value = ~before;
  // oxlint-disable-next-line typescript/prefer-for-of -- an iterator costs ten times as much on a byte array
  for (let at = 0; at < bytes.length; at += 1)
    value = (value >>> 8) ^ (TABLE[(value ^ (bytes[at] as number)) & 0xff] as number);
  return ~value >>> 0;
}
