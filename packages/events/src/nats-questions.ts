import { NatsLink } from "./nats-link.ts";

/** Questions to all replicas of which at most one says yes. What is lost was not answered. */
export interface Questions extends AsyncDisposable {
  /** Whether one said yes in time; false while NATS is away. Never rejects. */
  ask(name: string, timeoutMs: number): Promise<boolean>;
}

/**
 * Over NATS itself, nothing is stored.
 * @param says asked what others ask, and what this one asks; who has to say no is silent
 */
export function natsQuestions(
  options: { readonly url: string; readonly subject: string },
  says: (name: string) => boolean,
): Questions {
  const { url, subject } = options;
  const link = new NatsLink(url);
  let closed = false;
  const listen = async (): Promise<void> => {
    await link.found();
    if (closed) return;
    // The library takes the subscription along when it connects again.
    link.connected().subscribe(subject, {
      callback: (error, message) => {
        if (error === null && says(Buffer.from(message.data).toString())) message.respond();
      },
    });
  };
  // Lost again before it was used: asked anew.
  const keepListening = (): void => void listen().catch(() => setTimeout(keepListening, LISTEN_AGAIN_MS).unref());
  keepListening();
  return {
    async ask(name, timeoutMs) {
      try {
        await link.unlessLost(link.connected().request(subject, Buffer.from(name), { timeout: timeoutMs }));
        return true;
      } catch {
        // Nobody in time, nobody there, or no NATS: all are a no.
        return false;
      }
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      await link.close();
    },
  };
}

const LISTEN_AGAIN_MS = 500;
