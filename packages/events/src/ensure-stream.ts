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
  /** Default: any number. */
  readonly perSubject?: number;
}

/** Makes a file-backed stream whose oldest messages go first, or gives the one that is there this shape. */
export async function ensureStream(manager: JetStreamManager, shape: StreamShape): Promise<void> {
  const { name, subjects, maxBytes, maxAgeMs, replicas, perSubject = -1 } = shape;
  const wanted = {
    subjects,
    max_bytes: maxBytes,
    max_age: nanos(maxAgeMs),
    max_msgs_per_subject: perSubject,
    num_replicas: replicas,
    discard: DiscardPolicy.Old,
  };
  try {
    const { config } = await manager.streams.info(name);
    const same = (["max_bytes", "max_age", "max_msgs_per_subject", "num_replicas"] as const).every(
      (key) => config[key] === wanted[key],
    );
    if (!same) await manager.streams.update(name, wanted);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamNotFound) throw error;
    await manager.streams.add({ ...wanted, name, storage: StorageType.File, retention: RetentionPolicy.Limits });
  }
}
