import {
  AckPolicy,
  type ConsumerMessages,
  DeliverPolicy,
  jetstream,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
  type JsMsg,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import type { BatchHandler, GiveUp, Subscription } from "./bus.ts";
import type { NatsLink } from "./nats-link.ts";
import { batchOf, type StreamSettings } from "./stream-settings.ts";

export interface JetStreamSubscriptionOptions {
  readonly link: NatsLink;
  readonly settings: StreamSettings;
  readonly consumer: string;
  readonly handler: BatchHandler;
  readonly giveUp: GiveUp | undefined;
  readonly ensureStreams: () => Promise<void>;
  readonly onClosed: () => void;
}

const MAX_GROUP = 100;
/** Delivered and not acknowledged, over all subscriptions of a name: bounds what waits here in memory. */
const MAX_PENDING = 200;
const RETRY_MS = 500;
const FIRST_NAK_MS = 100;
const LONGEST_NAK_MS = 30_000;

/**
 * A durable pull consumer. Unlimited deliveries; the backoff is ours, by a delayed nak, as NATS's own setting needs a limit. What is held here is
 * kept from coming again by telling NATS that it is worked on.
 */
export class JetStreamSubscription implements Subscription {
  readonly #options: JetStreamSubscriptionOptions;
  #handling: Promise<void> = Promise.resolve();
  #busy = false;
  #queue: JsMsg[] = [];
  #held: readonly JsMsg[] = [];
  #messages: ConsumerMessages | undefined;
  #closed = false;
  #endPause: (() => void) | undefined;
  lastError: unknown;
  deadLetters = 0;

  constructor(options: JetStreamSubscriptionOptions) {
    this.#options = options;
    void this.#fetchForever();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#endPause?.();
    this.#queue = [];
    // Without waiting for what NATS has to say to it: it may be away.
    void this.#messages?.close();
    await this.#handling;
    this.#options.onClosed();
  }

  async #fetchForever(): Promise<void> {
    const { link } = this.#options;
    const alive = setInterval(() => this.#stayAlive(), this.#options.settings.ackWaitMs / 3);
    alive.unref();
    while (!this.#closed) {
      try {
        await link.found();
        if (this.#closed) break;
        await this.#fetch();
      } catch (error) {
        this.lastError = error;
      }
      await this.#pause(RETRY_MS);
    }
    clearInterval(alive);
  }

  /** Resolves when nothing more comes this way: the consumer or the stream is gone, or we are. */
  async #fetch(): Promise<void> {
    const { link, settings, consumer: name, ensureStreams } = this.#options;
    await link.unlessLost(ensureStreams());
    await link.unlessLost(this.#ensureConsumer());
    const consumer = await link.unlessLost(jetstream(link.connected()).consumers.get(settings.stream, name));
    const messages = await consumer.consume({
      max_messages: MAX_GROUP,
      abort_on_missing_resource: true,
      callback: (message) => this.#take(message),
    });
    this.#messages = messages;
    if (this.#closed) void messages.close();
    const ended = await messages.closed();
    if (ended instanceof Error) throw ended;
  }

  async #ensureConsumer(): Promise<void> {
    const { link, settings, consumer: name } = this.#options;
    const manager = await jetstreamManager(link.connected());
    const wanted = { max_ack_pending: MAX_PENDING, ack_wait: nanos(settings.ackWaitMs), max_deliver: -1 };
    try {
      const { config } = await manager.consumers.info(settings.stream, name);
      const same = (["max_ack_pending", "ack_wait", "max_deliver"] as const).every(
        (key) => config[key] === wanted[key],
      );
      if (!same) await manager.consumers.update(settings.stream, name, wanted);
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.ConsumerNotFound) throw error;
      const policy = { ack_policy: AckPolicy.Explicit, deliver_policy: DeliverPolicy.All };
      await manager.consumers.add(settings.stream, { ...wanted, ...policy, durable_name: name });
    }
  }

  #take(message: JsMsg): void {
    if (this.#closed) return;
    this.#queue.push(message);
    if (this.#busy) return;
    this.#busy = true;
    this.#handling = this.#handleAll();
  }

  async #handleAll(): Promise<void> {
    // What arrived with this one belongs to the same call.
    await new Promise((resolve) => setImmediate(resolve));
    while (!this.#closed && this.#queue.length > 0) {
      const group = this.#nextGroup();
      this.#held = group;
      try {
        await this.#options.handler(group.map(({ headers, data }) => batchOf(headers, data)));
        this.lastError = undefined;
        for (const message of group) message.ack();
      } catch (error) {
        this.lastError = error;
        for (const message of group) await this.#refuse(message, error);
      }
      this.#held = [];
    }
    this.#busy = false;
  }

  /** What was delivered before comes alone, so that its neighbours are not held up if it is the one that fails. */
  #nextGroup(): JsMsg[] {
    const [first] = this.#queue;
    if (first?.redelivered === true) return this.#queue.splice(0, 1);
    const again = this.#queue.findIndex(({ redelivered }, index) => redelivered || index >= MAX_GROUP);
    return this.#queue.splice(0, again < 0 ? this.#queue.length : again);
  }

  async #refuse(message: JsMsg, reason: unknown): Promise<void> {
    const { giveUp } = this.#options;
    const { deliveryCount } = message.info;
    if (giveUp !== undefined && deliveryCount >= giveUp.after) {
      try {
        await giveUp.putAside(batchOf(message.headers, message.data), reason);
        message.ack();
        this.deadLetters += 1;
        return;
      } catch (error) {
        this.lastError = error;
      }
    }
    message.nak(Math.min(FIRST_NAK_MS * 2 ** Math.min(deliveryCount - 1, 20), LONGEST_NAK_MS));
  }

  #stayAlive(): void {
    for (const message of this.#held) message.working();
    for (const message of this.#queue) message.working();
  }

  #pause(ms: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
