import type { ProviderFailure, StreamWatcher, WatchedEnd } from "./dialect.ts";
import { GenerateInspector } from "./gemini-generate-inspector.ts";
import { SseWatcher } from "./watcher.ts";

/**
 * The watcher of a dialect without a terminal event. From the chunk on in which the last candidate finishes all is kept back, but more may
 * follow: only the end of the bytes says that this was it.
 */
export class GenerateWatcher implements StreamWatcher {
  readonly #watcher = new SseWatcher(new GenerateInspector());
  #ended = false;

  push(chunk: Uint8Array): Uint8Array | undefined {
    return this.#watcher.push(chunk);
  }

  end(): WatchedEnd {
    this.#ended = true;
    return this.#watcher.end();
  }

  get started(): boolean {
    return this.#watcher.started;
  }

  get done(): boolean {
    return this.failure !== undefined || (this.#ended && this.#watcher.done);
  }

  get written(): undefined {
    return undefined;
  }

  get outputBytes(): number {
    return this.#watcher.outputBytes;
  }

  get failure(): ProviderFailure | undefined {
    return this.#watcher.failure;
  }
}
