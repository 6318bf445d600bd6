import { LineCounter, type Node, isMap, isNode, parseDocument } from "yaml";
import { type Path, type Problem, renderPath } from "./problems.ts";

export interface ConfigDocument {
  readonly value: unknown;
  /** "weir.yaml:12" of what stands at `path`, or of the nearest thing above it. */
  originOf(path: Path): string;
}

const MAX_BYTES = 4 * 2 ** 20;

/** Reads YAML 1.2. Anything that is wrong with the text itself is in the result's problems; nothing is thrown. */
export function readDocument(text: string, fileName: string): ConfigDocument | { problems: Problem[] } {
  if (text.length > MAX_BYTES) return { problems: [{ path: "", origin: fileName, message: "is larger than 4 MiB" }] };
  const lines = new LineCounter();
  // Deep nesting overflows the parser's stack, and a bomb of aliases its reader: both throw.
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "silent" });
    const broken = [...document.errors, ...document.warnings];
    if (broken.length > 0) {
      const at = (offset: number): string => `${fileName}:${lines.linePos(offset).line}`;
      // The parser's own text may quote the line, which may hold a key: its code is enough.
      return {
        problems: broken.map((error) => ({
          path: "",
          origin: at(error.pos[0]),
          message: `is not valid YAML (${error.code.toLowerCase().replaceAll("_", " ")})`,
        })),
      };
    }
    const value: unknown = withoutNulls(document.toJS({ maxAliasCount: 100 }), 0);
    const originOf = (path: Path): string => {
      const offset = offsetAt(document.contents, path);
      return offset === undefined ? fileName : `${fileName}:${lines.linePos(offset).line}`;
    };
    return { value, originOf };
  } catch (error) {
    const detail = error instanceof RangeError ? " (nested too deep)" : "";
    return { problems: [{ path: "", origin: fileName, message: `is not YAML that can be read${detail}` }] };
  }
}

/** `providers:` with everything under it commented out is the same as no such line. */
function withoutNulls(value: unknown, depth: number): unknown {
  if (depth > 100) throw new RangeError("nested too deep");
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item, depth + 1));
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([, below]) => below !== null);
  return Object.fromEntries(kept.map(([name, below]) => [name, withoutNulls(below, depth + 1)]));
}

/** Offset of the name at `path` where it is one, of the value where it is an item, of the nearest thing above where it is missing. */
function offsetAt(root: Node | null, path: Path): number | undefined {
  let node: unknown = root;
  let offset = root?.range?.[0];
  for (const step of path) {
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => isNode(item.key) && String(item.key) === String(step));
      if (pair === undefined) return offset;
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
      next = pair.value;
    } else if (isNode(node) && "get" in node && typeof node.get === "function") {
      next = node.get(step, true) as unknown;
      if (isNode(next)) offset = next.range?.[0] ?? offset;
    }
    if (next === undefined || next === null) return offset;
    node = next;
  }
  return offset;
}

export const emptyDocument: ConfigDocument = { value: {}, originOf: (path) => renderPath(path) };
