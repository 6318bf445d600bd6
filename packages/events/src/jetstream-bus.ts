import { crc32 } from "node:zlib";
import { jetstream, type JetStreamClient, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import {
  type Batch,
  type BatchHandler,
  type Bus,
  BusUnavailableError,
  type SubscribeOptions,
  type Subscription,
} from "./bus.ts";
import { ensureStream } from "./ensure-stream.ts";
import { JetStreamSubscription } from "./jetstream-subscription.ts";
import { NatsLink } from "./nats-link.ts";
import { headersOf, type StreamSettings } from "./stream-settings.ts";

export interface JetStreamBusOptions {
  /** "nats://[user:password@|token@]host:port", several with commas; tls:// for TLS. */
  readonly url: string;
  /** Default "WEIR". */
  readonly stream?: string;
  /** Default "weir.records". */
  readonly subject?: string;
  /** Of the stream; the oldest go first. Default 1 GiB. */
  readonly maxBytes?: number;
  /** Default 7 days. */
  readonly maxAgeMs?: number;
  /** Default 1. */
  readonly replicas?: number;
  /** Within it JetStream drops what it has already. Default 2 minutes; a relay resends later than that. */
  readonly dedupeWindowMs?: number;
  /** Default 5,000. */
  readonly publishTimeoutMs?: number;
  /** What is delivered and not acknowledged within this time is delivered again; a handler that is at work is waited for. Default 30,000. */
  readonly ackWaitMs?: number;
}

/**
 * NATS JetStream. Returns at once and connects in the background, forever.
 *
 * One file-backed stream with limits: its oldest messages go first, whether everybody has read them or not. So a consumer that is away for long
 * cannot fill it and stop the others, and audit loses nothing by it: what audit has not confirmed is still in the spools, and is sent again. It
 * works with NATS from 2.9 on; run at least 2.12 with `sync_interval: always` and three replicas.
 */
export function jetStreamBus(options: JetStreamBusOptions): Bus {
  const { url, stream = "WEIR", subject = "weir.records", ...rest } = options;
  const settings: StreamSettings = {
    stream,
    subject,
    maxBytes: 1 << 30,
    maxAgeMs: 7 * 86_400_000,
    replicas: 1,
    dedupeWindowMs: 120_000,
    publishTimeoutMs: 5_000,
    ackWaitMs: 30_000,
    ...rest,
  };
  return new JetStreamBus(new NatsLink(url), settings);
}

class JetStreamBus implements Bus {
  readonly #link: NatsLink;
  readonly #settings: StreamSettings;
  readonly #subscriptions = new Set<JetStreamSubscription>();
  #streams: Promise<void> | undefined;
  #client: { readonly connection: NatsConnection; readonly publisher: JetStreamClient } | undefined;

  constructor(link: NatsLink, settings: StreamSettings) {
    this.#link = link;
    this.#settings = settings;
  }

  async publish(batch: Batch): Promise<void> {
    const { subject, stream, publishTimeoutMs } = this.#settings;
    const publisher = this.#publisher();
    // The checksum, because the same range may be sent again with other frames in it: an intent that had its outcome by then is left out.
    const msgID = `${batch.producer}:${batch.first}-${batch.last}-${crc32(batch.data).toString(16)}`;
    try {
      await this.#link.unlessLost(this.#ensureStreams());
      const options = {
        msgID,
        headers: headersOf(batch),
        timeout: publishTimeoutMs,
        expect: { streamName: stream },
        retries: 0,
      };
      await this.#link.unlessLost(publisher.publish(subject, batch.data, options));
    } catch (error) {
      // It may have been deleted.
      this.#streams = undefined;
      if (error instanceof BusUnavailableError) throw error;
      throw new BusUnavailableError("NATS did not take a batch", { cause: error });
    }
  }

  async subscribe(consumer: string, handler: BatchHandler, options: SubscribeOptions = {}): Promise<Subscription> {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(consumer)) throw new RangeError(`not a name for a consumer: ${consumer}`);
    const subscription = new JetStreamSubscription({
      link: this.#link,
      settings: this.#settings,
      consumer,
      handler,
      giveUp: options.giveUp,
      ensureStreams: () => this.#ensureStreams(true),
      onClosed: () => this.#subscriptions.delete(subscription),
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#subscriptions].map((subscription) => subscription[Symbol.asyncDispose]()));
    await this.#link.close();
  }

  #publisher(): JetStreamClient {
    const connection = this.#link.connected();
    if (this.#client?.connection !== connection) this.#client = { connection, publisher: jetstream(connection) };
    return this.#client.publisher;
  }

  #ensureStreams(again = false): Promise<void> {
    if (again) this.#streams = undefined;
    this.#streams ??= this.#makeStreams();
    return this.#streams;
  }

  async #makeStreams(): Promise<void> {
    const { stream, subject, maxBytes, maxAgeMs, replicas, dedupeWindowMs } = this.#settings;
    const manager = await jetstreamManager(this.#link.connected());
    await ensureStream(manager, { name: stream, subjects: [subject], maxBytes, maxAgeMs, replicas, dedupeWindowMs });
  }
}
