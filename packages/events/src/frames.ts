import {
  FRAME_KIND,
  FRAME_OVERHEAD,
  type Frame,
  frameAt,
  frameOf,
  HAS_ORIGIN,
  PAYLOAD_OMITTED,
  writeFrame,
} from "./frame.ts";

const NOTHING = new Uint8Array(0);
/** Looking for the next frame behind damage stops after this many checked bytes: damage may be made to look like many frames. */
const SEARCH_BYTES = 64 << 20;

/** What is found at an offset. */
export interface Found {
  readonly what: "frame" | "bad" | "incomplete";
  /** Bytes it takes; of "incomplete", all up to the end. */
  readonly length: number;
}

/**
 * What lies at `offset`: a frame, bytes that are none (up to the next frame), or what may become one when more bytes come.
 * @param final no more bytes will come: nothing is "incomplete"
 */
export function findFrame(bytes: Buffer, offset: number, end: number, final: boolean): Found {
  const length = frameAt(bytes, offset, end);
  if (length > 0) return { what: "frame", length };
  if (length === 0 && !final) return { what: "incomplete", length: end - offset };
  const next = nextFrame(bytes, offset + 1, end);
  if (next !== undefined) return { what: "bad", length: next - offset };
  return { what: final ? "bad" : "incomplete", length: end - offset };
}

function nextFrame(bytes: Buffer, from: number, end: number): number | undefined {
  let checked = 0;
  for (let offset = from; offset + FRAME_OVERHEAD <= end && checked < SEARCH_BYTES; offset += 1) {
    const length = frameAt(bytes, offset, end);
    if (length > 0) return offset;
    if (length < 0 && (bytes[offset + 3] ?? 0) === 0) checked += bytes.readUInt32LE(offset);
  }
  return undefined;
}

/** Frames as bytes, one behind the other. */
export function encodeFrames(frames: Iterable<Partial<Frame> & Pick<Frame, "kind" | "number">>): Buffer {
  const parts: Buffer[] = [];
  for (const { kind, number, ref = 0, origin = "", header = NOTHING, payload = NOTHING, payloadOmitted } of frames) {
    const from = origin === "" ? undefined : Buffer.from(origin, "latin1");
    const flags = (payloadOmitted === true ? PAYLOAD_OMITTED : 0) | (from === undefined ? 0 : HAS_ORIGIN);
    const target = Buffer.allocUnsafe(
      FRAME_OVERHEAD + header.length + payload.length + (from === undefined ? 0 : 1 + from.length),
    );
    writeFrame(target, 0, kind, flags, number, ref, header, payload, from);
    parts.push(target);
  }
  return Buffer.concat(parts);
}

/**
 * The frames in `bytes`, in their order; their header and payload are views. Never throws: bytes that are no frame come as one of kind
 * `quarantined` with those bytes as its header. `rest` is how many bytes at the end may be the beginning of a frame; 0 with `final`.
 * @param final (the default) no more bytes will follow, as in a batch from the bus: then a torn end is quarantined, too
 */
export function decodeFrames(data: Uint8Array, final = true): { frames: Frame[]; rest: number } {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const frames: Frame[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const { what, length } = findFrame(bytes, offset, bytes.length, final);
    if (what === "incomplete") return { frames, rest: length };
    const frame = what === "frame" ? frameOf(bytes, offset, length) : undefined;
    frames.push(frame ?? quarantined(bytes.subarray(offset, offset + length), 0, 0));
    offset += length;
  }
  return { frames, rest: 0 };
}

/** A frame that keeps bytes which are none. `first` … `last`: the numbers missing where they lay, 0 if not known. */
export const quarantined = (bytes: Uint8Array, first: number, last: number): Frame => ({
  kind: FRAME_KIND.quarantined,
  number: first,
  ref: last,
  origin: "",
  header: bytes,
  payload: NOTHING,
  payloadOmitted: false,
});
