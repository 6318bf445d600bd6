import { setTimeout as sleep } from "node:timers/promises";

export interface Answered {
  /** 0: none came in 20 s. */
  readonly status: number;
  readonly code: string;
  readonly retryAfter: string | null;
  readonly tookMs: number;
  /** When it was asked. */
  readonly atMs: number;
}

const HANGS_MS = 20_000;

/** One request for an answer of echo. */
export async function askOnce(front: { readonly httpUrl: string }, key: string): Promise<Answered> {
  const atMs = performance.now();
  try {
    const answer = await fetch(`${front.httpUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ model: "m-echo", max_tokens: 10, messages: [{ role: "user", content: "hi" }] }),
      signal: AbortSignal.timeout(HANGS_MS),
    });
    const body = (await answer.json()) as { error?: { code?: string } };
    return {
      status: answer.status,
      code: body.error?.code ?? "",
      retryAfter: answer.headers.get("retry-after"),
      tookMs: performance.now() - atMs,
      atMs,
    };
  } catch {
    return { status: 0, code: "", retryAfter: null, tookMs: performance.now() - atMs, atMs };
  }
}

/** Requests with several keys, one after the other with each, until disposed. */
export class SteadyLoad<Name extends string> implements AsyncDisposable {
  readonly answers: Record<Name, Answered[]>;
  #stopped = false;
  readonly #running: Promise<unknown>;

  constructor(front: { readonly httpUrl: string }, keys: Readonly<Record<Name, string>>, pauseMs = 20) {
    const names = Object.keys(keys) as Name[];
    this.answers = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Answered[]>;
    this.#running = Promise.all(
      names.map(async (name) => {
        while (!this.#stopped) {
          this.answers[name].push(await askOnce(front, keys[name]));
          await sleep(pauseMs);
        }
      }),
    );
  }

  /** The last answer. */
  last(name: Name): Answered | undefined {
    return this.answers[name].at(-1);
  }

  /** What was asked from then on (performance.now()). */
  since(name: Name, fromMs: number): Answered[] {
    return this.answers[name].filter(({ atMs }) => atMs >= fromMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }
}

/** The statuses that came, each once, ascending. */
export const statusesOf = (answers: readonly Answered[]): number[] =>
  [...new Set(answers.map(({ status }) => status))].toSorted((a, b) => a - b);

export const slowestMs = (answers: readonly Answered[]): number =>
  Math.round(Math.max(0, ...answers.map(({ tookMs }) => tookMs)));
