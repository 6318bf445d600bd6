import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { BackingService } from "./backing-service.ts";
import { freePort } from "./free-port.ts";
import { type Command, type LocalProcess, startProcess } from "./local-process.ts";

export interface LocalServiceOptions {
  readonly name: string;
  /** Holds its data; removed at the end. */
  readonly folder: string;
  command(port: number): Command;
  /** Asks whether it serves; rejecting means not yet. */
  probe(port: number): Promise<void>;
  url(port: number): string;
  readonly stopSignal: "SIGINT" | "SIGTERM";
}

const READY_MS = 60_000;

/** A server run from the machine's own binary. */
export async function startLocalService(options: LocalServiceOptions): Promise<BackingService> {
  let port = await freePort();
  let server = await launch(options, port);
  // Somebody may have taken the port since we looked.
  for (let tries = 0; server instanceof Error && tries < 3; tries++) {
    port = await freePort();
    server = await launch(options, port);
  }
  if (server instanceof Error) throw server;
  let current: LocalProcess = server;

  const stop = async (): Promise<void> => {
    current.signalAll("SIGCONT"); // a stopped process handles no signal
    current.signal(options.stopSignal);
    await current.exited;
  };
  const kill = async (): Promise<void> => {
    current.signalAll("SIGKILL");
    await current.exited;
  };
  return {
    url: options.url(port),
    host: "127.0.0.1",
    port,
    kill,
    stop,
    async restart() {
      await stop();
      const next = await launch(options, port);
      if (next instanceof Error) throw next;
      current = next;
    },
    pause: async () => current.signalAll("SIGSTOP"),
    resume: async () => current.signalAll("SIGCONT"),
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(options.folder, { recursive: true, force: true });
    },
  };
}

async function launch(options: LocalServiceOptions, port: number): Promise<LocalProcess | Error> {
  const server = startProcess(options.command(port));
  const endMs = Date.now() + READY_MS;
  let last: unknown;
  while (server.running && Date.now() < endMs) {
    try {
      await options.probe(port);
      // A stranger on this port may have answered for a server that is about to fail.
      await sleep(5);
      if (server.running) return server;
    } catch (error) {
      last = error;
      await sleep(15);
    }
  }
  server.signalAll("SIGKILL");
  await server.exited;
  return new Error(`${options.name} did not start on port ${port}: ${server.output().trim()}`, { cause: last });
}
