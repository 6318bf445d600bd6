import { jetstream, StorageType } from "@nats-io/jetstream";
import { Objm } from "@nats-io/obj";
import { NatsLink } from "./nats-link.ts";

/** Named bytes that stay: a bucket of NATS's object store, made on first use. */
export interface ObjectBucket extends AsyncDisposable {
  /** Resolves when the store has it; the same name again replaces it. @throws BusUnavailableError while NATS is away */
  put(name: string, data: Uint8Array): Promise<void>;
}

export function jetStreamObjects(url: string, bucket: string, description: string): ObjectBucket {
  const link = new NatsLink(url);
  return {
    async put(name, data) {
      const store = await link.unlessLost(
        new Objm(jetstream(link.connected())).create(bucket, { description, storage: StorageType.File }),
      );
      await link.unlessLost(store.putBlob({ name }, data));
    },
    [Symbol.asyncDispose]: () => link.close(),
  };
}
