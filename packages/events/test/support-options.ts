import { systemClock } from "@weir/kernel";
import type { SpoolOptions } from "../src/index.ts";

export const text = (value: string): Uint8Array => Buffer.from(value);

export const spoolOptions = (directory: string, more: Partial<SpoolOptions> = {}): SpoolOptions => ({
  directory,
  instance: "a",
  maxBytes: 64 << 20,
  strict: false,
  clock: systemClock,
  epochOpen: (previous) => text(previous === undefined ? "open" : `open ${previous.producer} ${previous.lastNumber}`),
  mark: () => text("mark"),
  epochClose: () => text("close"),
  ...more,
});
