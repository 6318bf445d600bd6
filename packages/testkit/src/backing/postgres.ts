import { createHash, randomUUID } from "node:crypto";
import { chownSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import type { BackingOptions, BackingService } from "./backing-service.ts";
import { embeddedPostgres, findPostgres, type PostgresBinaries } from "./binaries.ts";
import { startContainer } from "./docker.ts";
import { runToEnd, unprivilegedUid } from "./local-process.ts";
import { startLocalService } from "./local-service.ts";
import { scratchFolder, scratchRoot } from "./scratch.ts";
import { startFrom } from "./source.ts";

export interface BackingPostgres extends BackingService {
  /** Makes an empty database beside the others and returns its URL: cheaper than a server per test. */
  freshDatabase(): Promise<string>;
}

const url = (port: number, database = "postgres"): string => `postgres://postgres@127.0.0.1:${port}/${database}`;

async function query(port: number, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url(port), connectionTimeoutMillis: 5_000 });
  client.on("error", () => undefined); // the failing query reports it
  try {
    await client.connect();
    await client.query(sql);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function settings(durable: boolean): string[] {
  const flags = {
    max_connections: "200",
    shared_buffers: "32MB",
    fsync: durable ? "on" : "off",
    full_page_writes: durable ? "on" : "off",
    // Even without fsync a commit is written before it is acknowledged, so kill() loses none.
    synchronous_commit: "on",
  };
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}

/** A Postgres of its own, superuser `postgres` without a password. */
export async function startPostgres(options: BackingOptions = {}): Promise<BackingPostgres> {
  const durable = options.durable ?? false;
  const service = await startFrom({
    name: "Postgres",
    debianPackage: "postgresql",
    find: async () => findPostgres() ?? (await embeddedPostgres()),
    container: () =>
      startContainer({
        image: "postgres:18-alpine",
        port: 5432,
        environment: { POSTGRES_HOST_AUTH_METHOD: "trust" },
        command: ["postgres", ...settings(durable)],
        url,
        probe: (port) => query(port, "select 1"),
      }),
    local: (binaries) => startLocal(binaries, durable),
  });
  return {
    ...service,
    async freshDatabase() {
      const name = `test_${randomUUID().replaceAll("-", "")}`;
      await query(service.port, `create database ${name}`);
      return url(service.port, name);
    },
  };
}

async function startLocal(binaries: PostgresBinaries, durable: boolean): Promise<BackingService> {
  const template = await initializedTemplate(binaries);
  const folder = scratchFolder("postgres", unprivilegedUid);
  const data = join(folder, "data");
  await runToEnd({ file: "cp", args: ["-a", template, data], deathSignal: "KILL" }); // keeps the owner
  return startLocalService({
    name: "Postgres",
    folder,
    url: (port) => url(port),
    probe: (port) => query(port, "select 1"),
    stopSignal: "SIGINT",
    command: (port) => ({
      file: binaries.postgres,
      args: [
        `-D${data}`,
        `-p${port}`,
        "--listen_addresses=127.0.0.1",
        "--unix_socket_directories=",
        ...settings(durable),
      ],
      uid: unprivilegedUid,
      deathSignal: "INT",
    }),
  });
}

/** initdb takes a second, copying what it made a tenth of it. The rename is what publishes a template; of two makers one loses. */
async function initializedTemplate(binaries: PostgresBinaries): Promise<string> {
  const version = createHash("sha256").update(binaries.postgres).digest("hex").slice(0, 12);
  const template = join(scratchRoot(), `template-${version}`);
  if (existsSync(template)) return template;
  const folder = scratchFolder("initdb", unprivilegedUid);
  const made = join(folder, "data");
  mkdirSync(made, { mode: 0o700 });
  if (unprivilegedUid !== undefined) chownSync(made, unprivilegedUid, unprivilegedUid);
  await runToEnd({
    file: binaries.initdb,
    args: ["-D", made, "-U", "postgres", "--auth=trust", "--no-sync", "--locale=C.UTF-8", "--encoding=UTF8"],
    uid: unprivilegedUid,
    deathSignal: "KILL",
  });
  try {
    renameSync(made, template);
  } catch (error) {
    if (!existsSync(template)) throw error;
  }
  rmSync(folder, { recursive: true, force: true });
  return template;
}
