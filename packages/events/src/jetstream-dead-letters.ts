import {
  jetstream,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
  type JetStreamManager,
  type StoredMsg,
} from "@nats-io/jetstream";
import type { MsgHdrs } from "@nats-io/transport-node";
import { BusUnavailableError } from "./bus.ts";
import { type DeadLetter, DEAD_LETTER_AGE_MS, type DeadLetters } from "./dead-letters.ts";
import { ensureStream } from "./ensure-stream.ts";
import { NatsLink } from "./nats-link.ts";
import { batchOf, headersOf } from "./stream-settings.ts";

export interface JetStreamDeadLettersOptions {
  /** As of the bus. */
  readonly url: string;
  /** Default "WEIR_DEAD". */
  readonly stream?: string;
  /** Default "weir.records.dead": a letter lies under "<subject>.<consumer>.<id>", once. */
  readonly subject?: string;
  /** Default 1. */
  readonly replicas?: number;
}

const MAX_BYTES = 256 << 20;
const TIMEOUT_MS = 5_000;
const HEADER = { reason: "Weir-Reason", at: "Weir-At" } as const;

/** A stream of its own: what a consumer cannot read takes no room from what others have yet to. Connects in the background, forever. */
export function jetStreamDeadLetters(options: JetStreamDeadLettersOptions): DeadLetters {
  const { url, stream = "WEIR_DEAD", subject = "weir.records.dead", replicas = 1 } = options;
  const link = new NatsLink(url);
  const shape = {
    name: stream,
    subjects: [`${subject}.>`],
    maxBytes: MAX_BYTES,
    maxAgeMs: DEAD_LETTER_AGE_MS,
    replicas,
    perSubject: 1,
  };
  let made: { readonly connection: unknown; readonly ready: Promise<void> } | undefined;

  async function manager(): Promise<JetStreamManager> {
    const connection = link.connected();
    const found = await link.unlessLost(jetstreamManager(connection));
    if (made?.connection !== connection) made = { connection, ready: ensureStream(found, shape) };
    try {
      await link.unlessLost(made.ready);
    } catch (error) {
      made = undefined;
      throw error;
    }
    return found;
  }

  /** Undefined: there is no such message. */
  async function message(query: object): Promise<StoredMsg | undefined> {
    try {
      // `next_by_subj` is known to servers from 2.9 on, and to the library's types not yet.
      const asked = (await manager()).streams.getMessage(stream, query as { last_by_subj: string });
      return (await link.unlessLost(asked)) ?? undefined;
    } catch (error) {
      throw asUnavailable(error);
    }
  }

  const byId = (id: string): Promise<StoredMsg | undefined> =>
    /^[0-9a-f]{32}$/.test(id) ? message({ seq: 1, next_by_subj: `${subject}.*.${id}` }) : Promise.resolve(undefined);

  return {
    async put(letters) {
      try {
        await manager();
        const publisher = jetstream(link.connected());
        for (const letter of letters) {
          const headers = headersOf(letter);
          headers.set(HEADER.reason, letter.reason.replaceAll(/[^\x20-\x7e]/g, " "));
          headers.set(HEADER.at, String(letter.atMs));
          // One that is there stays where it is: put in its place, it would slip from under whoever is just dropping it.
          const expect = { streamName: stream, lastSubjectSequence: 0 };
          const sent = { headers, timeout: TIMEOUT_MS, expect, retries: 0 };
          const name = `${subject}.${letter.consumer}.${letter.id}`;
          await link.unlessLost(publisher.publish(name, letter.data, sent)).catch(unlessThere);
        }
      } catch (error) {
        // It may have been deleted.
        made = undefined;
        throw asUnavailable(error);
      }
    },
    async list(after, limit) {
      const letters: DeadLetter[] = [];
      let place = after;
      for (;;) {
        const found = await message({ seq: place + 1, next_by_subj: `${subject}.>` });
        if (found === undefined) return { letters, next: undefined };
        if (letters.length === limit) return { letters, next: place };
        place = found.seq;
        const letter = letterOf(subject, found);
        if (letter !== undefined) letters.push(letter);
      }
    },
    async get(id) {
      const found = await byId(id);
      return found === undefined ? undefined : letterOf(subject, found);
    },
    async drop(id) {
      const found = await byId(id);
      if (found === undefined) return false;
      const deleted = (await manager()).streams.deleteMessage(stream, found.seq);
      try {
        return await link.unlessLost(deleted);
      } catch (error) {
        // Somebody else was faster.
        if (error instanceof JetStreamApiError) return false;
        throw asUnavailable(error);
      }
    },
    [Symbol.asyncDispose]: () => link.close(),
  };
}

function unlessThere(error: unknown): void {
  if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamWrongLastSequence) throw error;
}

const asUnavailable = (error: unknown): BusUnavailableError =>
  error instanceof BusUnavailableError
    ? error
    : new BusUnavailableError("NATS did not answer for its dead letters", { cause: error });

/** Undefined for a message of somebody else. */
function letterOf(subject: string, { subject: given, header, data }: StoredMsg): DeadLetter | undefined {
  const [consumer, id, ...more] = given.slice(subject.length + 1).split(".");
  if (consumer === undefined || id === undefined || more.length > 0) return undefined;
  const head: MsgHdrs | undefined = header;
  const reason = head?.get(HEADER.reason) ?? "";
  return { ...batchOf(head, data), id, consumer, reason, atMs: Number(head?.get(HEADER.at)) || 0 };
}
