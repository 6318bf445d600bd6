/** How the simulator treats one request, where it is not to answer well. Nothing set: it answers as documented, at once. */
export interface Behaviour {
  /** An error answer in the provider's own shape. */
  readonly status?: number;
  /** The provider's own code or type: "insufficient_quota", "overloaded_error". */
  readonly code?: string;
  /** The text of the error, or of the answer. */
  readonly text?: string;
  readonly retryAfterS?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Before the first byte. */
  readonly delayMs?: number;
  /** The connection breaks before any byte of the answer. */
  readonly refuse?: boolean;
  /** The connection breaks after so many events of a stream; a whole answer breaks in its middle. */
  readonly cutAfterEvents?: number;
  /** An in-band error after so many events of a stream. */
  readonly errorAfterEvents?: number;
  /** Between the events of a stream. */
  readonly trickleMs?: number;
  /** Bytes that are no JSON where JSON is due. */
  readonly malformed?: boolean;
  /** Usage is told unless this is false. */
  readonly usage?: boolean;
  /** The answer has so many words. */
  readonly words?: number;
  /** The body as it is, with the status and `contentType`. */
  readonly raw?: string;
  readonly contentType?: string;
}

export interface Rule {
  /** Which requests; nothing: all. */
  readonly model?: string;
  readonly path?: string;
  /** How often it is used; nothing: always. */
  readonly times?: number;
  readonly behaviour: Behaviour;
}

/** Rules in order; the first that fits and is not used up counts. */
export class Script {
  #rules: { readonly rule: Rule; left: number }[] = [];

  set(rules: readonly Rule[]): void {
    this.#rules = rules.map((rule) => ({ rule, left: rule.times ?? Infinity }));
  }

  add(...rules: readonly Rule[]): void {
    this.#rules.push(...rules.map((rule) => ({ rule, left: rule.times ?? Infinity })));
  }

  next(model: string, path: string): Behaviour {
    const found = this.#rules.find(
      ({ rule, left }) =>
        left > 0 && (rule.model ?? model) === model && (rule.path === undefined || path.includes(rule.path)),
    );
    if (found === undefined) return {};
    found.left -= 1;
    return found.rule.behaviour;
  }
}
