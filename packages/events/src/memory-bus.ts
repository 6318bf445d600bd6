import type { Bus } from "./bus.ts";

export interface MemoryBusOptions {
  /** Of all batches that some consumer still needs; publish waits for room. Default 64 MiB. */
  readonly maxBytes?: number;
}

/** A bus inside one thread. */
export function memoryBus(options: MemoryBusOptions = {}): Bus {
  throw new Error(`there is no bus of ${options.maxBytes ?? 0} bytes yet`);
}
