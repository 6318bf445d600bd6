import { parse } from "yaml";
import { z } from "zod";
import { type Path, type Problem, renderPath } from "./problems.ts";
import { schemaAt, settingPaths } from "./schema-walk.ts";
import { nearest } from "./suggest.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The rule: WEIR_ and the setting's path in capitals, everything but letters and digits as `_`.
 * http.listen → WEIR_HTTP_LISTEN, providers.my-llm.api_key → WEIR_PROVIDERS_MY_LLM_API_KEY.
 * A text is taken as it is; numbers, booleans, lists (`[a, b]`) and maps (`{a: 1}`) are read as YAML.
 */
export const variableOf = (path: Path): string =>
  `WEIR_${path
    .map((step) =>
      String(step)
        .toUpperCase()
        .replaceAll(/[^A-Z0-9]/g, "_"),
    )
    .join("_")}`;

/** Read by other parts of Weir, not from the file. */
const OTHERS = ["WEIR_CONFIG", "WEIR_RPC", "WEIR_KEY"];

export interface Overridden {
  readonly value: unknown;
  /** The variable that set what stands at a path, if one did. */
  readonly variables: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

/** Lays the environment over what the file says. An empty variable counts as not set. */
export function override(schema: z.core.$ZodType, fileValue: unknown, env: Environment): Overridden {
  const value: unknown = structuredClone(fileValue);
  const variables = new Map<string, string>();
  const problems: Problem[] = [];
  const known = new Map<string, Path[]>();
  const add = (path: Path): void => void known.set(variableOf(path), [...(known.get(variableOf(path)) ?? []), path]);
  for (const path of settingPaths(schema, fileValue)) add(path);

  const set = Object.entries(env).filter(
    ([variable, text]) => variable.startsWith("WEIR_") && text !== undefined && text !== "",
  );
  // A map given whole comes before the settings in it.
  for (const [variable, text] of set.sort(([a], [b]) => a.length - b.length)) {
    if (OTHERS.includes(variable)) continue;
    const paths = known.get(variable);
    if (paths === undefined) {
      const meant = nearest(variable, known.keys(), 2);
      // Strangers are let pass: Kubernetes sets WEIR_…_SERVICE_HOST and the like for a service of that name.
      if (meant !== undefined)
        problems.push({ path: "", origin: variable, message: `is no setting; did you mean ${meant}?` });
      continue;
    }
    const [path, other] = paths;
    if (path === undefined) continue;
    if (other !== undefined) {
      const both = `${renderPath(path)} and ${renderPath(other)}`;
      problems.push({ path: "", origin: variable, message: `could be ${both}; set them in the file` });
      continue;
    }
    if (!assign(value, path, readText(schemaAt(schema, path), text ?? ""))) {
      problems.push({
        path: renderPath(path),
        origin: variable,
        message: "cannot be set: what it belongs to is not a map",
      });
      continue;
    }
    variables.set(renderPath(path), variable);
    for (const below of settingPaths(schemaAt(schema, path) ?? z.unknown(), at(value, path))) add([...path, ...below]);
  }
  return { value, variables, problems };
}

function readText(schema: z.core.$ZodType | undefined, text: string): unknown {
  if (schema === undefined || z.safeParse(schema, text).success) return text;
  try {
    return parse(text, { logLevel: "silent", maxAliasCount: 0 }) as unknown;
  } catch {
    return text; // the schema says what is wrong with it
  }
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function assign(root: unknown, path: Path, value: unknown): boolean {
  let current = root;
  for (const step of path.slice(0, -1)) {
    if (!isMap(current)) return false;
    const name = String(step);
    if (!Object.hasOwn(current, name) || current[name] === null) define(current, name, {});
    current = current[name];
  }
  if (!isMap(current)) return false;
  define(current, String(path.at(-1)), value);
  return true;
}

/** Not by `=`: a model may be called "__proto__". */
const define = (target: object, name: string, value: unknown): void =>
  void Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });

function at(root: unknown, path: Path): unknown {
  let current = root;
  for (const step of path)
    current = isMap(current) && Object.hasOwn(current, String(step)) ? current[String(step)] : undefined;
  return current;
}
