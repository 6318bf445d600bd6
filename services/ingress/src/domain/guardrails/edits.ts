/** A text to be put in place of another. */
export interface Edit {
  readonly path: readonly (string | number)[];
  readonly text: string;
  /** Not a text, but nothing: what stood there is taken out. */
  readonly empty?: "list" | "null" | undefined;
}

/** The raw JSON to put there. */
export const jsonOf = ({ text, empty }: Edit): string =>
  empty === undefined ? JSON.stringify(text) : empty === "list" ? "[]" : "null";

/** The same tree with the texts changed; what is not on their way is shared. For the contract's messages, which are plain objects. */
export function edited<T>(tree: T, edits: readonly Edit[]): T {
  if (edits.length === 0) return tree;
  const root: Record<string, unknown> = { root: tree };
  const copied = new Set<unknown>();
  for (const { path, text, empty } of edits) {
    let holder = root;
    let key: string | number = "root";
    for (const step of path) {
      let inner = holder[key] as Record<string, unknown>;
      if (!copied.has(inner)) {
        inner = (Array.isArray(inner) ? [...(inner as unknown[])] : { ...inner }) as Record<string, unknown>;
        copied.add(inner);
        holder[key] = inner;
      }
      holder = inner;
      key = step;
    }
    holder[key] = empty === undefined ? text : [];
  }
  return root["root"] as T;
}
