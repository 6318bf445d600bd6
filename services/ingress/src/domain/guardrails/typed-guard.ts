/** A typed stream (weir.common.v1.ChatEvent) under its guardrails: what is left of a part comes in one more delta before its end. */
import { type Edit, edited } from "./edits.ts";
import type { Both, Channel, GuardSession } from "./session.ts";

/** An event as the contract has it. */
export interface TypedStep {
  readonly event: { readonly case: string | undefined; readonly value?: unknown };
}

interface Place {
  readonly choice: number;
  readonly index: number;
}

interface Started extends Place {
  readonly part?: { readonly part: { readonly case: string | undefined } } | undefined;
}

interface Piece extends Place {
  readonly text: string;
  readonly logprobs: readonly unknown[];
}

export class TypedGuard<Event> {
  readonly #session: GuardSession;
  readonly #open = new Map<string, Channel | undefined>();
  /** Some delta, to write more like it. */
  #delta: Event | undefined;

  constructor(session: GuardSession) {
    this.#session = session;
  }

  /** @throws WeirError guardrail_blocked */
  push(event: Event): Both<Event>[] {
    const step = (event as TypedStep).event;
    if (step.case === "partStart") {
      const { choice, index, part } = step.value as Started;
      const kind = part?.part.case;
      const isCall = kind === "toolCall";
      this.#open.set(
        `${choice}|${index}`,
        this.#session.channel(
          isCall ? "tool-arguments" : "output",
          isCall ? "json" : "text",
          isCall || kind === "text",
        ),
      );
    } else if (step.case === "partDelta") return [this.#more(event, step.value as Piece)];
    else if (step.case === "partEnd") {
      const { choice, index } = step.value as Place;
      return [...this.#close(`${choice}|${index}`), ...this.#whole(event)];
    } else if (step.case === "finish")
      return [...this.#close(`${(step.value as Place).choice}|`), ...this.#whole(event)];
    return this.#whole(event);
  }

  /** @throws WeirError guardrail_blocked */
  end(): Both<Event>[] {
    return this.#close("");
  }

  #more(event: Event, { choice, index, text, logprobs }: Piece): Both<Event> {
    this.#delta = event;
    const key = `${choice}|${index}`;
    if (!this.#open.has(key)) this.#open.set(key, this.#session.channel("output", "text", true));
    const said = this.#open.get(key)?.push(text) ?? { shown: text, kept: text };
    const cuts = this.#session.guard.cuts && logprobs.length > 0;
    const plain = cuts ? withText(event, ["logprobs"], []) : event;
    return { shown: withText(plain, ["text"], said.shown), kept: withText(plain, ["text"], said.kept) };
  }

  #whole(event: Event): Both<Event>[] {
    const edits = this.#session.answer(event);
    if (edits.length === 0) return [{ shown: event, kept: event }];
    const side = (which: "shown" | "kept"): Event =>
      edited(
        event,
        edits.map((edit): Edit => edit[which]),
      );
    return [{ shown: side("shown"), kept: side("kept") }];
  }

  #close(prefix: string): Both<Event>[] {
    const events: Both<Event>[] = [];
    for (const [key, channel] of this.#open) {
      if (!key.startsWith(prefix)) continue;
      this.#open.delete(key);
      const rest = channel?.end();
      if (rest === undefined || (rest.shown === "" && rest.kept === "") || this.#delta === undefined) continue;
      const [choice, index] = key.split("|").map(Number);
      const like = withText(withText(withText(this.#delta, ["choice"], choice), ["index"], index), ["signature"], "");
      events.push({ shown: withText(like, ["text"], rest.shown), kept: withText(like, ["text"], rest.kept) });
    }
    return events;
  }
}

/** The event with another value in a member of its step. */
function withText<Event>(event: Event, [name]: readonly [string], value: unknown): Event {
  const step = (event as TypedStep).event;
  return { ...event, event: { ...step, value: { ...(step.value as object), [name]: value } } };
}
