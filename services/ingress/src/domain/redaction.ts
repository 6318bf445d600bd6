/**
 * What is kept of texts in a workspace with `payloads: redacted`: personal data and secrets are replaced by names of what they were, and nobody
 * can put them back. Fails closed: what cannot be read is not kept.
 */
import { compileScanner, PERSONAL, type Piece, type Rule, scanTexts, Tally } from "@weir/guardrails";

const RULES: readonly Rule[] = [...PERSONAL, "secrets" as const].map((kind) => ({
  detector: { kind },
  action: "redact",
  places: ["input"],
}));

/** A text, and where it is written back. */
interface Leaf {
  readonly text: string;
  readonly put: (text: string) => void;
}

/** Texts of one group are read one behind the other: the pieces of a stream. Numbers and names of members are groups of their own. */
type Groups = Map<string, Leaf[]>;

/** Less has no card, and no phone. */
const SHORTEST_NUMBER = 1e7;
/** Names of members as programs have them. */
const PLAIN_NAME = /^[A-Za-z_-]*$/;

/** What tells the parts of a stream's answer apart, in every dialect. */
const PARTS = ["index", "output_index", "content_index", "item_id"];
const DATA = "data:";

export class Redactor {
  readonly #scanner = compileScanner(RULES, "input");

  /** @returns the same with what was found replaced; undefined for a type that is not read here */
  redacted(contentType: string, bytes: Uint8Array): Uint8Array | undefined {
    const type = contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
    const text = (): string => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    if (type === "text/event-stream") return new TextEncoder().encode(this.#events(text()));
    if (type === "application/json" || type.endsWith("+json")) return new TextEncoder().encode(this.#json(text()));
    return type.startsWith("text/") || type === "" ? new TextEncoder().encode(this.#plain(text())) : undefined;
  }

  #json(text: string): string {
    let value: unknown;
    try {
      value = JSON.parse(text, asWritten);
    } catch {
      // A provider's error page, say.
      return this.#plain(text);
    }
    const groups: Groups = new Map();
    const root = { value };
    collect(root, "value", "", groups);
    return this.#apply(groups) ? JSON.stringify(root.value) : text;
  }

  /** Each line of data by itself; what its events say together is looked at as one. */
  #events(text: string): string {
    const groups: Groups = new Map();
    const lines = text.split("\n").map((line): { value: unknown } | string => {
      if (!line.startsWith(DATA)) return line;
      const root = { value: line.slice(DATA.length) as unknown };
      try {
        root.value = JSON.parse(line.slice(DATA.length), asWritten);
      } catch {
        // [DONE], or no JSON: read as it is.
      }
      collect(root, "value", "", groups);
      return root;
    });
    if (!this.#apply(groups)) return text;
    return lines.map((line) => (typeof line === "string" ? line : `${DATA} ${dataOf(line.value)}`)).join("\n");
  }

  #plain(text: string): string {
    let whole = text;
    this.#apply(new Map([["", [{ text, put: (changed) => void (whole = changed) }]]]));
    return whole;
  }

  /** @returns whether anything was replaced */
  #apply(groups: Groups): boolean {
    const scanner = this.#scanner;
    if (scanner === undefined) throw new Error("nothing is looked for");
    let changed = false;
    for (const leaves of groups.values()) {
      const texts = leaves.map(({ text }) => text);
      const { pieces } = scanTexts(scanner, texts, new Tally());
      for (const [place, found] of pieces.entries()) {
        if (found === undefined) continue;
        leaves[place]?.put(found.map(shown).join(""));
        changed = true;
      }
    }
    return changed;
  }
}

/** A number with more digits than one can have stays what it was written as: rounded, it is no card's number any more. */
const asWritten = (_name: string, value: unknown, { source = "" }: { readonly source?: string } = {}): unknown =>
  typeof value === "number" && /^-?\d+$/.test(source) && !Number.isSafeInteger(value) ? source : value;

const shown = ({ text, label }: Piece): string => (label === undefined ? text : `[${label}]`);

const dataOf = (value: unknown): string => (typeof value === "string" ? value.trimStart() : JSON.stringify(value));

/**
 * Every text below a member, by its path; parts of a stream's answer are told apart by what they say of themselves. A member's name comes
 * behind all that is below it: changed, it is not found any more.
 */
function collect(holder: object, name: string | number, path: string, groups: Groups): void {
  const value: unknown = Reflect.get(holder, name);
  const put = (text: string): void => void Reflect.set(holder, name, text);
  if (typeof value === "string") add(groups, path, { text: value, put });
  else if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) >= SHORTEST_NUMBER)
    alone(groups, { text: String(value), put });
  else if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) collect(value, index, `${path}/${index}`, groups);
  } else if (typeof value === "object" && value !== null) {
    const part = PARTS.flatMap((one) =>
      Object.hasOwn(value, one) ? [`${one}=${String(Reflect.get(value, one))}`] : [],
    );
    for (const key of Object.keys(value)) {
      collect(value, key, `${path}${part.join(",")}/${key}`, groups);
      if (!PLAIN_NAME.test(key)) alone(groups, { text: key, put: (text) => rename(value, key, text) });
    }
  }
}

function add(groups: Groups, id: string, leaf: Leaf): void {
  const group = groups.get(id);
  if (group === undefined) groups.set(id, [leaf]);
  else group.push(leaf);
}

/** No path begins like its id. */
const alone = (groups: Groups, leaf: Leaf): void => add(groups, `#${groups.size}`, leaf);

/** Where two names are one then, the last one's value stays. */
function rename(holder: object, from: string, to: string): void {
  const value: unknown = Reflect.get(holder, from);
  Reflect.deleteProperty(holder, from);
  Reflect.set(holder, to, value);
}
