import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { changedParts } from "./changes.ts";
import type { Environment } from "./environment.ts";
import { type OpenedConfig, openConfig, type OpenOptions } from "./load.ts";
import type { WeirConfig } from "./types.ts";

/** Looked at by its facts, not by events: those are not told of by every file system, nor for what a link points to (Kubernetes). */
const LOOK_EVERY_MS = 1_000;
/** Who writes a file in pieces shall have written them all. */
const SETTLED_AFTER_MS = 300;

/** These need no restart, whoever reads them. */
const ALWAYS: readonly (keyof WeirConfig)[] = ["log", "secrets"];
/** Read at the first start of a database only. */
const SEEDS: readonly (keyof WeirConfig)[] = ["workspaces"];

export interface FollowOptions {
  readonly env: Environment;
  readonly load?: OpenOptions;
  /** pino's. */
  readonly log: {
    level: string;
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
  /** What `apply` puts in force; changes of other parts need a restart, which is said. Default: none. */
  readonly reloads?: readonly (keyof WeirConfig)[];
  /** MUST throw where the configuration cannot be used, and leave the one before in force. Not called while it runs. */
  readonly apply?: (config: WeirConfig) => Promise<void>;
  /** For tests. */
  readonly lookEveryMs?: number;
}

/**
 * Puts a changed configuration in force: when its file changes, and at SIGHUP (then also for what it refers to). One that is wrong is
 * refused as a whole, told in the log, and the last good one stays in force. Secrets that are kept outside are fetched anew now and then.
 * @param opened what the process began with
 */
export function followConfig({ config: current, remote }: OpenedConfig, options: FollowOptions): AsyncDisposable {
  const { env, load = {}, log, reloads = [], apply, lookEveryMs = LOOK_EVERY_MS } = options;
  const path = resolve(load.directory ?? ".", env["WEIR_CONFIG"] || "weir.yaml");
  const effective = new Set<keyof WeirConfig>([...ALWAYS, ...SEEDS, ...reloads]);
  let inForce = current;
  let hasRemote = remote;
  let again: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  let seen: string | undefined;
  let wasThere = false;

  async function reload(): Promise<void> {
    try {
      // As when it is written anew: nobody removes a file to have no models any more.
      if (wasThere && seen === "absent") throw new Error(`${path} is gone`);
      const { config: next, remote: refers } = await openConfig(env, load);
      hasRemote = refers;
      const changed = changedParts(inForce, next);
      if (changed.length === 0) return;
      if (apply !== undefined && changed.some((part) => reloads.includes(part))) await apply(next);
      log.level = next.log.level;
      const restart = changedParts(current, next).filter((part) => !effective.has(part));
      inForce = next;
      log.info({ changed }, "another configuration is in force");
      if (restart.length > 0) log.warn({ settings: restart }, "some changed settings count from the next start on");
    } catch (error) {
      log.error({ err: error }, "the changed configuration is refused; the last good one stays in force");
    }
  }

  const soon = (ms: number): void => {
    clearTimeout(again);
    again = setTimeout(() => {
      running = running.then(reload);
    }, ms);
  };
  // The first look finds a change, too: the file may have changed since it was read.
  async function look(): Promise<void> {
    const facts = await factsOf(path);
    if (facts === seen) return;
    seen = facts;
    if (facts !== "absent") wasThere = true;
    soon(SETTLED_AFTER_MS);
  }
  const looking = setInterval(() => void look(), lookEveryMs).unref();
  const refresh = (): void => {
    if (hasRemote) soon(0);
    refreshing = setTimeout(refresh, inForce.secrets.refreshMs).unref();
  };
  let refreshing = setTimeout(refresh, inForce.secrets.refreshMs).unref();
  const onSignal = (): void => soon(0);
  process.on("SIGHUP", onSignal);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(looking);
      process.off("SIGHUP", onSignal);
      clearTimeout(again);
      clearTimeout(refreshing);
      await running;
    },
  };
}

/** Of what the path leads to. Never rejects: a file that is not there is a fact. */
async function factsOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return "absent";
  }
}
