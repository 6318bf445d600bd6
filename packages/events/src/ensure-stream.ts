import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";

export interface StreamShape {
  readonly name: string;
  readonly subjects: string[];
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly replicas: number;
  /** Within it a message with an id that the stream has is dropped. Default 2 minutes. */
  readonly dedupeWindowMs?: number;
  /** Default: any number. */
  readonly perSubject?: number;
}

const SHAPE = ["max_bytes", "max_age", "max_msgs_per_subject", "num_replicas", "duplicate_window"] as const;

/** Makes a file-backed stream whose oldest messages go first, or gives the one that is there this shape. */
export async function ensureStream(manager: JetStreamManager, shape: StreamShape): Promise<void> {
  const { name, subjects, maxBytes, maxAgeMs, replicas, dedupeWindowMs = 120_000, perSubject = -1 } = shape;
  const wanted = {
    subjects,
    max_bytes: maxBytes,
    max_age: nanos(maxAgeMs),
    max_msgs_per_subject: perSubject,
    num_replicas: replicas,
    duplicate_window: nanos(Math.min(dedupeWindowMs, maxAgeMs)),
    discard: DiscardPolicy.Old,
  };
  try {
    const { config } = await manager.streams.info(name);
    if (!SHAPE.every((key) => config[key] === wanted[key])) await manager.streams.update(name, wanted);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamNotFound) throw error;
    await manager.streams.add({ ...wanted, name, storage: StorageType.File, retention: RetentionPolicy.Limits });
  }
}
