import type { HttpClient } from "@weir/http1";

const BEAT_MS = 1_000;
/** A probe is one small answer of an event loop: one that takes longer than this comes from a process that hangs. */
const PROBE_TIMEOUT_MS = 1_000;
const READY_PATH = "/readyz";
/** A machine that went away closes no connection. Nothing that is alive is silent for so long. */
const GONE_AFTER = 10;

export interface PulseEvents {
  answered(ready: boolean): void;
  silent(): void;
}

/**
 * Whether a process still answers: it is asked for /readyz at every beat. Its name may lead elsewhere by now, so that a silent one loses its idle
 * connections, as does one that is not ready: the next call looks the name up again. One that stays silent loses those that carry calls, too: their
 * answers will not come.
 */
export class Pulse implements AsyncDisposable {
  readonly #http: HttpClient;
  readonly #probe: HttpClient;
  readonly #events: PulseEvents | undefined;
  readonly #timer: NodeJS.Timeout;
  #probing = false;
  #silent = 0;

  /** @param probe to the same address, for nothing else: where calls have every connection, a probe among them would wait, and find nobody silent */
  constructor(http: HttpClient, probe: HttpClient, events?: PulseEvents) {
    this.#http = http;
    this.#probe = probe;
    this.#events = events;
    this.#timer = setInterval(() => this.#beat(), BEAT_MS).unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#probe[Symbol.asyncDispose]();
  }

  #beat(): void {
    if (this.#probing) return;
    this.#probing = true;
    let status = 0;
    this.#probe.request(
      {
        method: "GET",
        path: READY_PATH,
        headers: "",
        connectMs: PROBE_TIMEOUT_MS,
        firstByteMs: PROBE_TIMEOUT_MS,
        idleMs: PROBE_TIMEOUT_MS,
        retryStale: true,
      },
      {
        head: (code) => {
          status = code;
        },
        data: () => undefined,
        end: () => {
          this.#probing = false;
          this.#silent = 0;
          // It may be about to end: what it closes while we send over it is lost.
          if (status !== 200) this.#http.closeIdle();
          this.#events?.answered(status === 200);
        },
        error: () => {
          this.#probing = false;
          this.#silent += 1;
          if (this.#silent % GONE_AFTER === 0) this.#http.cut();
          else this.#http.closeIdle();
          this.#events?.silent();
        },
      },
    );
  }
}
