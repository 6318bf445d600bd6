import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { BusUnavailableError } from "./bus.ts";
import { ensureStream } from "./ensure-stream.ts";
import { NatsLink } from "./nats-link.ts";

/** Tells whoever listens that something happened. Not a record: nothing depends on its being heard. */
export interface EventStream extends AsyncDisposable {
  /**
   * Resolves when the stream has it. With an id that came within two minutes before it is the same event.
   * @param name of lower-case words and dots, such as "budget.warning": its subject is "weir.events.<name>"
   * @param body JSON
   * @throws BusUnavailableError while NATS is away
   */
  publish(name: string, id: string, body: string): Promise<void>;
}

const STREAM = "WEIR_EVENTS";
const SUBJECT = "weir.events";
const MAX_BYTES = 64 << 20;
const MAX_AGE_MS = 7 * 86_400_000;
const TIMEOUT_MS = 5_000;

/** A JetStream stream, made on first use: NATS keeps its events for seven days. Connects in the background, forever. */
export function jetStreamEvents({
  url,
  replicas = 1,
}: {
  readonly url: string;
  readonly replicas?: number;
}): EventStream {
  const link = new NatsLink(url);
  let made: { readonly connection: unknown; readonly ready: Promise<void> } | undefined;
  const shape = { name: STREAM, subjects: [`${SUBJECT}.>`], maxBytes: MAX_BYTES, maxAgeMs: MAX_AGE_MS, replicas };

  return {
    async publish(name, id, body) {
      const connection = link.connected();
      try {
        if (made?.connection !== connection) {
          made = { connection, ready: jetstreamManager(connection).then((manager) => ensureStream(manager, shape)) };
        }
        await link.unlessLost(made.ready);
        const sent = { msgID: id, timeout: TIMEOUT_MS, expect: { streamName: STREAM }, retries: 0 };
        await link.unlessLost(jetstream(connection).publish(`${SUBJECT}.${name}`, body, sent));
      } catch (error) {
        // It may have been deleted.
        made = undefined;
        if (error instanceof BusUnavailableError) throw error;
        throw new BusUnavailableError("NATS did not take an event", { cause: error });
      }
    },
    [Symbol.asyncDispose]: () => link.close(),
  };
}
