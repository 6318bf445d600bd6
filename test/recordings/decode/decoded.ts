export interface Counted {
  readonly input: number;
  readonly output: number;
  readonly cached: number;
  readonly reasoning: number;
}

export interface Decoded {
  readonly text: string;
  readonly refusal: string;
  readonly thinking: string;
  readonly calls: readonly { readonly name: string; readonly args: unknown }[];
  readonly callIds: readonly string[];
  /** stop, length, tool-calls, content-filter, refusal, pause, error; undefined where the answer broke off. */
  readonly finish: string | undefined;
  readonly usage: Counted | undefined;
  /** An error in place of an answer, or at the end of a stream. */
  readonly error: { readonly message: string; readonly code: string } | undefined;
}

export type Json = Record<string, unknown>;

export const at = (value: unknown, ...path: (string | number)[]): unknown =>
  path.reduce<unknown>((inner, step) => (inner as Json | null | undefined)?.[step], value);
export const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);
export const text = (value: unknown): string => (typeof value === "string" ? value : "");
export const word = (value: unknown): string => (typeof value === "number" ? String(value) : text(value));
export const count = (value: unknown): number => (typeof value === "number" ? value : 0);
export const parsed = (args: string): unknown => {
  try {
    return JSON.parse(args === "" ? "{}" : args) as unknown;
  } catch {
    // Models do write broken JSON: then its text is compared.
    return { unreadable: args };
  }
};

export const isUnreadable = (args: unknown): args is { readonly unreadable: string } =>
  typeof at(args, "unreadable") === "string";

/** The JSON of each event, with its name as `type` where the data has none. */
export function eventsOf(stream: string): Json[] {
  return stream
    .replace(/^\uFEFF/, "")
    .split(/\r\n\r\n|\n\n|\r\r/)
    .flatMap((block) => {
      const lines = block.split(/\r\n|\n|\r/);
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
      const name = lines
        .find((line) => line.startsWith("event:"))
        ?.slice(6)
        .trim();
      const joined = data.filter((line) => line !== "[DONE]").join("\n");
      if (!/^[{[]/.test(joined)) return [];
      const body = JSON.parse(joined) as Json | Json[];
      const event = Array.isArray(body) ? (body[0] ?? {}) : body;
      return [name === undefined ? event : { type: name, ...event }];
    });
}

export const isNothing = (value: unknown): boolean => value === undefined || value === null;

export const errorOf = (error: unknown): Decoded["error"] =>
  isNothing(error)
    ? undefined
    : {
        message: text(at(error, "message")) || text(error),
        code: word(at(error, "details", "error_code")) || word(at(error, "code")) || word(at(error, "type")),
      };

export const NOTHING: Omit<Decoded, "error"> = {
  text: "",
  refusal: "",
  thinking: "",
  calls: [],
  callIds: [],
  finish: undefined,
  usage: undefined,
};
