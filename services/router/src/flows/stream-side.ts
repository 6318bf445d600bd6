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
  ToolCalls,
  Usage,
  WatchOptions,
} from "@weir/dialects";
import { SseParser, type SseEvent } from "@weir/dialects";
import { WeirError } from "@weir/kernel";

/** What a stream shows: whole events in the client's dialect, or typed ones. */
export type Shown =
  | { readonly kind: "frame"; readonly bytes: Uint8Array }
  | { readonly kind: "event"; readonly event: ChatEvent };

/** How a stream ended. */
export interface SideEnd {
  readonly error: WeirError | undefined;
  /** As the provider told it. */
  readonly usage: Usage | undefined;
  readonly finishReason: FinishReason | undefined;
  readonly toolCalls: ToolCalls | undefined;
}

/** What its client gets last. */
export interface Closing {
  /** What is still to be shown before the terminal bytes. */
  readonly rest: readonly Shown[];
  /** Withheld until the outcome is recorded. */
  readonly terminal: Uint8Array;
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
  /** What the model wrote so far; undefined where that was not asked for. */
  readonly written: readonly string[] | undefined;
  /** @param broken why the bytes ended, if not by themselves */
  end(broken: WeirError | undefined): SideEnd;
  /**
   * After `end`.
   * @param usage what is charged: a client whose events are written here is told it where the provider told nothing
   */
  close(usage: Usage): Closing;
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
  #terminal: Uint8Array = EMPTY;

  constructor(dialect: Dialect, options: WatchOptions, requestId: string) {
    this.#watcher = dialect.streamWatcher(options);
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

  get written(): readonly string[] | undefined {
    return this.#watcher.written;
  }

  end(broken: WeirError | undefined): SideEnd {
    const end = this.#watcher.end();
    const error = this.#unreadable ?? (this.#watcher.done ? end.error : (broken ?? end.error));
    // The provider's own terminal event, in-band errors included, where there was one.
    const own = this.#unreadable === undefined && end.terminal.length > 0;
    this.#terminal = own || error === undefined ? end.terminal : frameOf(this.#dialect, error, this.#requestId);
    const { usage, finishReason, toolCalls } = end;
    return { error, usage, finishReason, toolCalls };
  }

  close(): Closing {
    return { rest: NOTHING, terminal: this.#terminal, dropped: NOTHING };
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
  readonly #written: string[] | undefined;

  /** @param client undefined: a typed caller */
  constructor(provider: ProviderDialect, answerer: Answerer, client: Client | undefined, keepText = false) {
    this.#written = keepText ? [] : undefined;
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

  get written(): readonly string[] | undefined {
    return this.#written === undefined ? undefined : [this.#written.join("")];
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
    return {
      error: this.#failure,
      usage: this.#usage,
      finishReason: this.#finishReason,
      toolCalls: this.#usage?.toolCalls,
    };
  }

  close(usage: Usage): Closing {
    const client = this.#client;
    const error = this.#failure;
    let terminal: Uint8Array = EMPTY;
    if (error !== undefined) {
      if (client !== undefined) terminal = frameOf(client.dialect, error, client.requestId);
    } else {
      if (this.#usage === undefined) this.#show({ type: "usage", usage });
      if (client !== undefined) {
        const last = client.renderer.end();
        if (last.preface !== "") this.#shown.push({ kind: "frame", bytes: Buffer.from(last.preface) });
        terminal = Buffer.from(last.terminal);
      }
    }
    return { rest: this.take(), terminal, dropped: client?.renderer.dropped ?? NOTHING };
  }

  #read(event: SseEvent): void {
    for (const one of this.#parser.push(event)) this.#show(one);
  }

  #show(event: ChatEvent): void {
    switch (event.type) {
      case "part-start":
      case "part-delta":
        this.#started = true;
        if (event.type === "part-delta") this.#wrote(event.text);
        else if (event.part.type === "tool-call") this.#wrote(event.part.name);
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

  #wrote(text: string): void {
    this.#outputBytes += Buffer.byteLength(text);
    this.#written?.push(text);
  }
}
