import { randomBytes } from "node:crypto";
import { closeSync, linkSync, openSync, readdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { isSystemError } from "./system-error.ts";

/*
 * A lock that the kernel takes away when its process dies, however it dies: a listening unix socket. (Node has no flock, and a pid may be
 * another process's tomorrow.) Whoever may connect knows that the holder lives.
 *
 * Two may find the same dead lock at once, so its name is never removed and never used again: they are lock.1, lock.2, …, and the holder is
 * the highest. The next one is taken by link(2), which lets one of them through. The socket listens before it has that name.
 */
export interface Lock {
  release(): void;
}

/** @returns undefined when another one, in this process or any other, holds it */
export async function tryLock(directory: string): Promise<Lock | undefined> {
  for (;;) {
    const top = Math.max(0, ...generations(directory));
    const state = top === 0 ? "dead" : await probe(directory, nameOf(top));
    if (state === "alive") return undefined;
    if (state === "gone") continue;
    const server = await take(directory, top + 1);
    if (server === undefined) continue;
    // A name below may have been removed and taken again from an old view; the highest is never removed.
    if (generations(directory).some((generation) => generation > top + 1)) {
      server.close();
      continue;
    }
    for (const old of generations(directory)) {
      if (old <= top) rmSync(join(directory, nameOf(old)), { force: true });
    }
    return { release: () => void server.close() };
  }
}

/** Waits for it, looking again every `everyMs`. */
export async function lock(directory: string, everyMs: number, signal?: AbortSignal): Promise<Lock | undefined> {
  for (;;) {
    if (signal?.aborted === true) return undefined;
    const held = await tryLock(directory);
    if (held !== undefined) return held;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

const nameOf = (generation: number): string => `lock.${generation}`;

function generations(directory: string): number[] {
  return readdirSync(directory).flatMap((name) => {
    const match = /^lock\.(\d{1,15})$/.exec(name);
    return match === null ? [] : [Number(match[1])];
  });
}

async function probe(directory: string, name: string): Promise<"alive" | "dead" | "gone"> {
  return await withSocketPath(directory, name, async (path) => {
    return await new Promise((resolve) => {
      const socket = connect(path);
      socket.once("connect", () => {
        socket.destroy();
        resolve("alive");
      });
      socket.once("error", (error) => {
        // Anything else, like a full backlog, means that somebody is there.
        if (isSystemError(error, "ECONNREFUSED")) resolve("dead");
        else resolve(isSystemError(error, "ENOENT") ? "gone" : "alive");
      });
    });
  });
}

async function take(directory: string, generation: number): Promise<Server | undefined> {
  const unnamed = `.${process.pid}-${randomBytes(6).toString("hex")}.sock`;
  const server = createServer((socket) => socket.destroy());
  await withSocketPath(directory, unnamed, async (path) => {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
  });
  server.unref();
  try {
    linkSync(join(directory, unnamed), join(directory, nameOf(generation)));
    return server;
  } catch (error) {
    server.close();
    if (isSystemError(error, "EEXIST")) return undefined;
    throw error;
  } finally {
    rmSync(join(directory, unnamed), { force: true });
  }
}

/** A socket's address has 107 bytes at most (103 on macOS), and data folders may be longer. */
const LONGEST_PATH = 100;

async function withSocketPath<T>(directory: string, name: string, use: (path: string) => Promise<T>): Promise<T> {
  const path = join(directory, name);
  if (Buffer.byteLength(path) <= LONGEST_PATH || process.platform !== "linux") return await use(path);
  const fd = openSync(directory, "r");
  try {
    return await use(`/proc/self/fd/${fd}/${name}`);
  } finally {
    closeSync(fd);
  }
}
