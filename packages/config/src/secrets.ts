import { readFileSync } from "node:fs";
import type { Environment } from "./environment.ts";

/** Secrets from outside by their references, as they were fetched; an Error says why there is none. */
export type FetchedSecrets = ReadonlyMap<string, string | Error>;

/** Fetches what `vault:` and `aws:` references stand for. MUST answer for each of them. */
export type FetchSecrets = (references: readonly string[]) => Promise<FetchedSecrets>;

/** Where a reference to a secret outside is looked up. */
export interface RemoteSecrets {
  /** @throws RangeError */
  find(reference: string): string;
}

/** For who cannot fetch any. */
export const NO_REMOTE: RemoteSecrets = {
  find() {
    throw new RangeError("is a reference to a secret outside, and was not fetched; use env: or file: here");
  },
};

/** Notes what is to be fetched; what it gives is never used. */
export class RemoteReferences implements RemoteSecrets {
  readonly all = new Set<string>();

  find(reference: string): string {
    this.all.add(reference);
    return "to be fetched";
  }
}

export const fetchedSecrets = (fetched: FetchedSecrets): RemoteSecrets => ({
  find(reference) {
    const value = fetched.get(reference);
    if (typeof value === "string") return value;
    throw new RangeError(value?.message ?? "was not fetched", { cause: value });
  },
});

/**
 * Follows a reference: `env:NAME`, `file:/path` (its last line break is not part of it), `vault:…` and `aws:…`, which were fetched before;
 * anything else is the value itself.
 * @throws RangeError with a text that names the place and never the value
 */
export function resolveReference(reference: string, env: Environment, remote: RemoteSecrets = NO_REMOTE): string {
  const [, scheme, place = ""] = /^(env|file|vault|aws):(.*)$/s.exec(reference) ?? [];
  switch (scheme) {
    case undefined:
      return reference;
    case "env": {
      const value = env[place] ?? "";
      if (value === "") throw new RangeError(`the environment variable ${place} is not set`);
      return value;
    }
    case "file":
      return fromFile(place);
    default:
      return remote.find(reference);
  }
}

function fromFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw new RangeError(`the file ${path} cannot be read (${code})`, { cause: error });
  }
  if (text === "") throw new RangeError(`the file ${path} is empty`);
  return text;
}
