const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/**
 * A UUID version 7 (RFC 9562 §5.7): sorts by time, unguessable by its 74 random bits.
 * @param nowMs milliseconds since 1970
 * @param random at least 10 random bytes from `offset` on; those are used up
 */
export function uuidv7(nowMs: number, random: Uint8Array, offset = 0): string {
  const high = Math.floor(nowMs / 0x10000);
  const low = nowMs % 0x10000;
  const at = (index: number): number => random[offset + index] ?? 0;
  const hex = (byte: number): string => HEX[byte & 0xff] ?? "00";
  return (
    `${hex(high >>> 24)}${hex(high >>> 16)}${hex(high >>> 8)}${hex(high)}-${hex(low >>> 8)}${hex(low)}-` +
    `${hex((at(0) & 0x0f) | 0x70)}${hex(at(1))}-${hex((at(2) & 0x3f) | 0x80)}${hex(at(3))}-` +
    `${hex(at(4))}${hex(at(5))}${hex(at(6))}${hex(at(7))}${hex(at(8))}${hex(at(9))}`
  );
}
