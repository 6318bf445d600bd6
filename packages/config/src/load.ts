import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { z } from "zod";
import { complete } from "./complete.ts";
import { type ConfigDocument, emptyDocument, readDocument } from "./document.ts";
import { type Environment, override } from "./environment.ts";
import { reportIssue } from "./issues.ts";
import { ConfigError, type Path, type Problem, renderPath } from "./problems.ts";
import { fileSchema } from "./schema.ts";
import { fetchedSecrets, type FetchSecrets, NO_REMOTE, RemoteReferences, type RemoteSecrets } from "./secrets.ts";
import type { WeirConfig } from "./types.ts";

type Report = (path: Path, message: string) => void;

export interface LoadOptions {
  /** What relative paths are relative to. Default: the working directory. */
  readonly directory?: string;
  /**
   * False for services that call no provider: what `api_key` and `headers` of providers refer to is not fetched and need not be there, nor
   * are OPENAI_API_KEY and its like. Default true.
   */
  readonly providerSecrets?: boolean;
}

export interface OpenOptions extends LoadOptions {
  /** Fetches what `vault:` and `aws:` references stand for. Default: they are refused. */
  readonly fetchSecrets?: FetchSecrets;
}

/** A configuration with all its secrets. */
export interface OpenedConfig {
  readonly config: WeirConfig;
  /** Whether some came from outside: they may change there. */
  readonly remote: boolean;
}

/** As `loadConfig`, with the secrets that are kept outside. Fails closed: without one of them there is no configuration. @throws ConfigError */
export async function openConfig(env: Environment, options: OpenOptions = {}): Promise<OpenedConfig> {
  const { fetchSecrets } = options;
  if (fetchSecrets === undefined) return { config: loadConfig(env, options), remote: false };
  const references = new RemoteReferences();
  const config = readConfig(env, options, references);
  if (references.all.size === 0) return { config, remote: false };
  const fetched = await fetchSecrets([...references.all]);
  return { config: readConfig(env, options, fetchedSecrets(fetched)), remote: true };
}

/**
 * Reads the file that WEIR_CONFIG names (else weir.yaml, where there is one), lays WEIR_… variables over it, and checks the whole.
 * @throws ConfigError with every problem found; nothing else, whatever the file holds
 */
export const loadConfig = (env: Environment, options: LoadOptions = {}): WeirConfig =>
  readConfig(env, options, NO_REMOTE);

function readConfig(env: Environment, options: LoadOptions, remote: RemoteSecrets): WeirConfig {
  const directory = resolve(options.directory ?? ".");
  const named = env["WEIR_CONFIG"] ?? "";
  const path = resolve(directory, named === "" ? "weir.yaml" : named);
  const { providerSecrets } = options;
  return checkConfig(readText(path, named !== ""), basename(path), env, directory, providerSecrets, remote);
}

/** The same for a text at hand. @param text undefined: there is no file */
export function checkConfig(
  text: string | undefined,
  fileName: string,
  env: Environment,
  directory: string,
  providerSecrets = true,
  remote: RemoteSecrets = NO_REMOTE,
): WeirConfig {
  const document = text === undefined ? emptyDocument : readDocument(text, fileName);
  if ("problems" in document) throw new ConfigError(document.problems);

  const overridden = override(fileSchema, document.value ?? {}, env);
  const problems: Problem[] = [...overridden.problems];
  const report: Report = (at, message) => {
    problems.push({
      path: renderPath(at),
      origin: originOf(at, overridden.variables, document, text !== undefined),
      message,
    });
  };
  const parsed = z.safeParse(fileSchema, overridden.value);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) reportIssue(fileSchema, issue, report);
    throw new ConfigError(problems);
  }
  const config = complete(parsed.data, env, { directory, providerSecrets, remote }, report);
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

function readText(path: string, mustExist: boolean): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    if (code === "ENOENT" && !mustExist) return undefined;
    throw new ConfigError([
      { path: "", origin: path, message: code === "ENOENT" ? "there is no such file" : `cannot be read (${code})` },
    ]);
  }
}

function originOf(
  path: Path,
  variables: ReadonlyMap<string, string>,
  document: ConfigDocument,
  hasFile: boolean,
): string | undefined {
  for (let length = path.length; length > 0; length--) {
    const variable = variables.get(renderPath(path.slice(0, length)));
    if (variable !== undefined) return variable;
  }
  return hasFile ? document.originOf(path) : undefined;
}
