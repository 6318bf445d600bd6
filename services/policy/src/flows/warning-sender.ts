/**
 * Tells webhooks of warnings. The database decides which warnings there are and who sends one, so each is sent by one replica, again until
 * it was taken, and survives whoever was sending: at least once, with an id to know it by. Fails open: no request waits for it.
 */
import type { Clock } from "@weir/kernel";
import type { Delivery } from "../domain/books.ts";
import { nextAttemptInMs, signedText, webhookBody } from "../domain/webhook.ts";
import type { SendWebhook, Warnings } from "../ports.ts";

const EVERY_MS = 5_000;
const MOST_AT_ONCE = 16;
/** Longer than an attempt may take: nobody else tries meanwhile. */
const LEASE_MS = 30_000;

export interface SenderDependencies {
  readonly warnings: Warnings;
  readonly send: SendWebhook;
  readonly clock: Clock;
  /** HMAC-SHA256 in base64. @param secret as it was given out */
  readonly sign: (secret: string, text: string) => string;
  readonly random: () => number;
  /** Puts them on the event stream; undefined: there is none. */
  readonly announce: (() => Promise<void>) | undefined;
  readonly onError: (error: unknown) => void;
}

export function warningSender(
  dependencies: SenderDependencies,
): { start(): void; run(): Promise<void> } & AsyncDisposable {
  const { warnings, send, clock, sign, random, announce, onError } = dependencies;
  let closed = false;
  let listening: Promise<AsyncDisposable> | undefined;

  async function deliver({ warning, url, secret, attempts }: Delivery): Promise<void> {
    const body = webhookBody(warning);
    const id = `warning_${warning.id}`;
    const seconds = Math.floor(clock.nowMs() / 1000);
    const headers = {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(seconds),
      "webhook-signature": `v1,${sign(secret, signedText(id, seconds, body))}`,
    };
    let error = "";
    try {
      await send(url, headers, body);
    } catch (failure) {
      error = failure instanceof Error ? failure.message : String(failure);
    }
    const nextInMs = error === "" ? undefined : nextAttemptInMs(attempts, random());
    await warnings.end(warning.id, { sent: error === "", error, nextInMs });
  }

  async function deliverAll(): Promise<void> {
    for (let due = MOST_AT_ONCE; due === MOST_AT_ONCE && !closed; ) {
      const deliveries = await warnings.claim(MOST_AT_ONCE, LEASE_MS);
      await Promise.all(deliveries.map(deliver));
      due = deliveries.length;
    }
  }

  /** Called while it runs it runs once more after that. */
  function oneAtATime(work: () => Promise<void>): () => Promise<void> {
    let running: Promise<void> | undefined;
    let again = false;
    const loop = async (): Promise<void> => {
      for (; again && !closed; ) {
        again = false;
        await work().catch(onError);
      }
      running = undefined;
    };
    return () => {
      again = true;
      return (running ??= loop());
    };
  }

  // A webhook that hangs holds up no event, and NATS no webhook.
  const parts = [deliverAll, ...(announce === undefined ? [] : [announce])].map(oneAtATime);
  const run = async (): Promise<void> => void (await Promise.all(parts.map((part) => part())));

  let timer: NodeJS.Timeout | undefined;
  return {
    start() {
      // A broken connection is noticed by nobody: the timer finds what was missed.
      listening = warnings.onWarning(() => void run());
      listening.catch(onError);
      timer = setInterval(() => void run(), EVERY_MS).unref();
    },
    run,
    async [Symbol.asyncDispose]() {
      closed = true;
      clearInterval(timer);
      await run();
      // It may still be about to listen: its connection is given back, too.
      const heard = await listening?.catch(() => undefined);
      await heard?.[Symbol.asyncDispose]();
    },
  };
}
