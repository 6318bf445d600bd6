import type { CallIds } from "./gemini-generate-parts.ts";
import { toolCallId } from "./tool-call-id.ts";

/**
 * Ids for the calls of a conversation, by their order: a turn more does not change those before it. A function response is matched by
 * id, else to the first call of its name that is not answered yet.
 */
export class ConversationCallIds implements CallIds {
  readonly #open: { id: string; name: string; given: boolean }[] = [];
  #count = 0;

  called(id: string | undefined, name: string): string {
    const given = id !== undefined && id !== "";
    const used = given ? id : toolCallId(name, 0, this.#count);
    this.#count += 1;
    this.#open.push({ id: used, name, given });
    return used;
  }

  answered(id: string | undefined, name: string): string {
    const given = id === undefined || id === "" ? undefined : id;
    let at = given === undefined ? -1 : this.#open.findIndex((call) => call.id === given);
    if (at === -1) at = this.#open.findIndex((call) => call.name === name && (given === undefined || !call.given));
    const [call] = at === -1 ? [] : this.#open.splice(at, 1);
    if (call !== undefined) return call.id;
    this.#count += 1;
    return given ?? toolCallId(`result/${name}`, 0, this.#count);
  }
}

/** Ids for the calls of one answer. @param seed the answer's id; "" where it has none */
export class AnswerCallIds implements CallIds {
  readonly #seed: string;
  readonly #choice: number;
  #count = 0;

  constructor(seed: string, choice: number) {
    this.#seed = seed;
    this.#choice = choice;
  }

  called(id: string | undefined, name: string): string {
    const count = this.#count;
    this.#count += 1;
    return id === undefined || id === "" ? toolCallId(`${this.#seed}/${name}`, this.#choice, count) : id;
  }

  answered(id: string | undefined, name: string): string {
    return this.called(id, name);
  }
}
