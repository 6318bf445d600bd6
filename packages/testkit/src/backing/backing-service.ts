/** A server that a test (or `pnpm mesh`) started for itself on 127.0.0.1 and may treat badly. Disposing it stops it and removes its data. */
export interface BackingService extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** SIGKILL, with its children. What it wrote stays, and its port is kept for restart(). */
  kill(): Promise<void>;
  /** The orderly end. */
  stop(): Promise<void>;
  /** Up again on the same port with the same data; stops it first where it still runs. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

export interface BackingOptions {
  /**
   * Whether what it acknowledged must be on disk before it answers. Default false: faster, and still enough to survive kill(),
   * since the page cache outlives the process. (Redis: whether it writes an append-only file at all.)
   */
  readonly durable?: boolean;
}
