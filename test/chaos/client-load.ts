/** Clients that note what they saw to its end. Half of them stream. */
import { setTimeout as sleep } from "node:timers/promises";

export interface ClientLoad {
  /** Of each request that was seen to its end: the id that Weir gave it. */
  readonly seen: ReadonlyMap<number, string>;
  isDone(): boolean;
  readonly done: Promise<void>;
}

/** Behind a refusal, or a connection that broke, a client waits a moment, as the official ones do. */
const PAUSE_MS = 50;

/** Sends until so many requests were seen to their end. */
export function sendUntilSeen(
  front: { readonly httpUrl: string; readonly key: string },
  { requests, clients }: { readonly requests: number; readonly clients: number },
): ClientLoad {
  const seen = new Map<number, string>();
  let next = 0;
  let isDone = false;
  const client = async (): Promise<void> => {
    while (seen.size < requests) {
      const mark = next++;
      const id = await answered(front, mark);
      if (id === undefined) await sleep(PAUSE_MS);
      else seen.set(mark, id);
    }
  };
  const done = Promise.all(Array.from({ length: clients }, client)).then(() => {
    isDone = true;
  });
  return { seen, isDone: () => isDone, done };
}

/** @returns the request's id if its end was seen */
export async function answered(
  { httpUrl, key }: { readonly httpUrl: string; readonly key: string },
  mark: number,
): Promise<string | undefined> {
  const stream = mark % 2 === 0;
  try {
    const response = await fetch(`${httpUrl}/v1/chat/completions`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${key}`,
        "content-type": "application/json",
        "x-weir-tags": `mark=${mark}`,
      },
      body: JSON.stringify({
        model: "m",
        stream,
        max_tokens: 50,
        messages: [{ role: "user", content: `mark-${mark}- one two three four` }],
      }),
    });
    const text = await response.text();
    const whole = stream ? text.includes("data: [DONE]") : text.endsWith("}");
    return response.status === 200 && whole ? (response.headers.get("x-weir-request-id") ?? "") : undefined;
  } catch {
    return undefined; // killed under it: what the log must know of it is asked later
  }
}
