import { kinds as compatible } from "./openai-compatible.ts";
import type { ProviderKind } from "./provider.ts";

/** Imports a file of this directory by its name without extension. */
export type ProviderLoader = (file: string) => Promise<unknown>;

// A bundler turns this into a table of the directory's files (so no test may lie there); without one it is an ordinary import.
const ownFiles: ProviderLoader = (file) => import(`../providers/${file}.ts`);

/**
 * Finds a kind of provider by its name: one of those that speak OpenAI's dialect at another address, else the file of that name.
 * @throws Error for an unknown kind, and whatever importing its file throws
 */
export async function loadKind(kind: string, load: ProviderLoader = ownFiles): Promise<ProviderKind> {
  const known = Object.hasOwn(compatible, kind) ? compatible[kind] : undefined;
  if (known !== undefined) return known;
  if (!/^[a-z0-9][a-z0-9-]*$/.test(kind)) throw new Error(`"${kind}" is no kind of provider`);
  let file: unknown;
  try {
    file = await load(kind);
  } catch (cause) {
    throw new Error(`there is no provider of kind "${kind}", or its file cannot be loaded`, { cause });
  }
  const found = kindIn(file, kind);
  if (found === undefined) throw new Error(`the file of provider kind "${kind}" does not export it in \`kinds\``);
  return found;
}

function kindIn(file: unknown, kind: string): ProviderKind | undefined {
  if (!isObject(file) || !isObject(file["kinds"]) || !Object.hasOwn(file["kinds"], kind)) return undefined;
  const found = file["kinds"][kind];
  return isProviderKind(found) ? found : undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

const isProviderKind = (value: unknown): value is ProviderKind =>
  isObject(value) &&
  (Array.isArray(value["wires"]) || typeof value["wires"] === "function") &&
  typeof value["endpoint"] === "function";
