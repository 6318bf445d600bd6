import type {
  Answerer,
  ChatEvent,
  Dialect,
  FinishReason,
  FrameReader,
  ProviderDialect,
  StreamParser,
  StreamRenderer,
  StreamWatcher,
  Usage,
} from "@weir/dialects";
import { SseParser, type SseEvent } from "@weir/dialects";
import { WeirError } from "@weir/kernel";

/** What a stream shows: whole events in the client's dialect, or typed ones. */
export type Shown =
  | { readonly kind: "frame"; readonly bytes: Uint8Array }
  | { readonly kind: "event"; readonly event: ChatEvent };

export interface SideEnd {
  /** What is still to be shown before the terminal bytes. */
  readonly rest: readonly Shown[];
  /** Withheld until the outcome is recorded. */
  readonly terminal: Uint8Array;
  readonly error: WeirError | undefined;
  readonly usage: Usage | undefined;
  readonly finishReason: FinishReason | undefined;
  readonly outputCharacters: number;
  readonly dropped: readonly string[];
}

/** One provider stream on its way to one client. */
export interface StreamSide {
  /** Takes bytes as they came. Never throws: what cannot be read is a `failure`. */
  push(chunk: Uint8Array): void;
  /** What can be shown since the last time. */
  take(): Shown[];
  /** A content event came by: from now on there is no retry. */
  readonly started: boolean;
  /** The terminal event came by. */
  readonly done: boolean;
  /** An error in the stream itself. */
  readonly failure: WeirError | undefined;
  /** The provider's own words for it, where its client speaks the same dialect. */
  failureBody(): Uint8Array | undefined;
  /** Bytes of text, thinking and arguments so far. */
  readonly outputBytes: number;
  /** @param broken why the bytes ended, if not by themselves */
  end(broken: WeirError | undefined): SideEnd;
}

const EMPTY = new Uint8Array(0);
const NOTHING: readonly never[] = [];

/** The same dialect on both sides: bytes go through. */
export class PassThrough implements StreamSide {
  readonly #watcher: StreamWatcher;
  readonly #dialect: Dialect;
  readonly #requestId: string;
  readonly #shown: Shown[] = [];
  #unreadable: WeirError | undefined;

  constructor(dialect: Dialect, hideUsage: boolean, requestId: string) {
    this.#watcher = dialect.streamWatcher({ hideUsage });
    this.#dialect = dialect;
    this.#requestId = requestId;
  }

  push(chunk: Uint8Array): void {
    if (this.#unreadable !== undefined) return;
    try {
      const bytes = this.#watcher.push(chunk);
      if (bytes === undefined) return;
      this.#shown.push({ kind: "frame", bytes });
    } catch (error) {
      this.#unreadable = unreadable(error);
    }
  }

  take(): Shown[] {
    return this.#shown.splice(0);
  }

  get started(): boolean {
    return this.#watcher.started;
  }

  get done(): boolean {
    return this.#watcher.done;
  }

  get failure(): WeirError | undefined {
    return this.#unreadable ?? this.#watcher.failure?.error;
  }

  failureBody(): Uint8Array | undefined {
    if (this.#watcher.failure === undefined) return undefined;
    const sse = new SseParser();
    const [event] = [...sse.push(this.#watcher.end().terminal), ...sse.end()];
    return event === undefined ? undefined : Buffer.from(event.data);
  }

  get outputBytes(): number {
    return this.#watcher.outputBytes;
  }

  end(broken: WeirError | undefined): SideEnd {
    const end = this.#watcher.end();
    const error = this.#unreadable ?? (this.#watcher.done ? end.error : (broken ?? end.error));
    // The provider's own terminal event, in-band errors included, where there was one.
    const own = this.#unreadable === undefined && end.terminal.length > 0;
    const terminal = own || error === undefined ? end.terminal : frameOf(this.#dialect, error, this.#requestId);
    const { usage, finishReason, outputCharacters } = end;
    return { rest: NOTHING, terminal, error, usage, finishReason, outputCharacters, dropped: NOTHING };
  }
}

const frameOf = (dialect: Dialect, error: WeirError, requestId: string): Uint8Array =>
  Buffer.from(dialect.renderStreamError(error, requestId));

const unreadable = (error: unknown): WeirError =>
  error instanceof WeirError
    ? error
    : new WeirError("provider_bad_response", "The provider's stream cannot be read.", { cause: error });

/** For a client of another dialect. */
export interface Client {
  readonly dialect: Dialect;
  readonly renderer: StreamRenderer;
  readonly requestId: string;
}

/** Different dialects, or a typed caller: every event is read and said again. */
export class Translated implements StreamSide {
  readonly #frames: FrameReader;
  readonly #parser: StreamParser;
  readonly #client: Client | undefined;
  readonly #shown: Shown[] = [];
  #started = false;
  #failure: WeirError | undefined;
  #usage: Usage | undefined;
  #finishReason: FinishReason | undefined;
  #outputBytes = 0;

  /** @param client undefined: a typed caller */
  constructor(provider: ProviderDialect, answerer: Answerer, client: Client | undefined) {
    this.#frames = provider.frames?.() ?? new SseParser();
    this.#parser = provider.streamParser(answerer);
    this.#client = client;
  }

  push(chunk: Uint8Array): void {
    if (this.#failure !== undefined) return;
    try {
      for (const event of this.#frames.push(chunk)) this.#read(event);
    } catch (error) {
      this.#failure = unreadable(error);
    }
  }

  take(): Shown[] {
    return this.#shown.splice(0);
  }

  get started(): boolean {
    return this.#started;
  }

  get done(): boolean {
    return this.#parser.done;
  }

  get failure(): WeirError | undefined {
    return this.#failure;
  }

  failureBody(): undefined {
    return undefined;
  }

  get outputBytes(): number {
    return this.#outputBytes;
  }

  end(broken: WeirError | undefined): SideEnd {
    if (this.#failure === undefined) {
      try {
        for (const event of this.#frames.end()) this.#read(event);
        if (broken !== undefined && !this.#parser.done) this.#failure = broken;
        else for (const event of this.#parser.end()) this.#show(event);
      } catch (error) {
        this.#failure = unreadable(error);
      }
    }
    const client = this.#client;
    const error = this.#failure;
    let terminal: Uint8Array = EMPTY;
    if (client !== undefined && error !== undefined) terminal = frameOf(client.dialect, error, client.requestId);
    else if (client !== undefined) {
      const last = client.renderer.end();
      if (last.preface !== "") this.#shown.push({ kind: "frame", bytes: Buffer.from(last.preface) });
      terminal = Buffer.from(last.terminal);
    }
    return {
      rest: this.take(),
      terminal,
      error,
      usage: this.#usage,
      finishReason: this.#finishReason,
      outputCharacters: this.#outputBytes,
      dropped: client?.renderer.dropped ?? NOTHING,
    };
  }

  #read(event: SseEvent): void {
    for (const one of this.#parser.push(event)) this.#show(one);
  }

  #show(event: ChatEvent): void {
    switch (event.type) {
      case "part-start":
      case "part-delta":
        this.#started = true;
        if (event.type === "part-delta") this.#outputBytes += Buffer.byteLength(event.text);
        break;
      case "finish":
        this.#started = true;
        if (event.choice === 0) this.#finishReason = event.reason;
        break;
      case "usage":
        this.#usage = event.usage;
        break;
      case "start":
      case "part-end":
        break;
    }
    if (this.#client === undefined) {
      this.#shown.push({ kind: "event", event });
      return;
    }
    const text = this.#client.renderer.push(event);
    if (text !== "") this.#shown.push({ kind: "frame", bytes: Buffer.from(text) });
  }
}
