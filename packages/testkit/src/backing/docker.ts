import { existsSync } from "node:fs";
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { BackingService } from "./backing-service.ts";
import { freePort } from "./free-port.ts";

const SOCKET = "/var/run/docker.sock";

/** Whether an engine is there. A client without an engine is common, so the socket itself is asked. */
export async function dockerAnswers(): Promise<boolean> {
  if (process.env["DOCKER_HOST"] !== undefined) return true;
  if (!existsSync(SOCKET)) return false;
  return new Promise((resolve) => {
    const ping = request({ socketPath: SOCKET, path: "/_ping", timeout: 2_000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    ping.once("timeout", () => ping.destroy(new Error("no answer")));
    ping.once("error", () => resolve(false));
    ping.end();
  });
}

export interface ContainerOptions {
  readonly image: string;
  readonly port: number;
  readonly command: string[];
  readonly environment?: Record<string, string>;
  readonly files?: { content: string; target: string }[];
  url(port: number): string;
  probe(port: number): Promise<void>;
}

/** The same service in a container, which testcontainers' reaper removes when this process is gone. */
export async function startContainer(options: ContainerOptions): Promise<BackingService> {
  // Loaded here only: it takes a second, and most machines never need it.
  const { GenericContainer, getContainerRuntimeClient, Wait } = await import("testcontainers");
  const port = await freePort(); // fixed, so that it stays the same over a restart
  const started = await new GenericContainer(options.image)
    .withExposedPorts({ container: options.port, host: port })
    .withCommand(options.command)
    .withEnvironment(options.environment ?? {})
    .withCopyContentToContainer(options.files ?? [])
    .withWaitStrategy(Wait.forListeningPorts())
    .start();
  const runtime = await getContainerRuntimeClient();
  const container = runtime.container.getById(started.getId());
  const isRunning = async (): Promise<boolean> => (await container.inspect()).State.Running;
  const ready = (): Promise<void> => answering(() => options.probe(port), options.image);
  const stop = async (): Promise<void> => {
    if (await isRunning()) await container.stop({ t: 10 });
  };
  await ready();
  return {
    url: options.url(port),
    host: "127.0.0.1",
    port,
    stop,
    async kill() {
      if (await isRunning()) await container.kill({ signal: "SIGKILL" });
    },
    async restart() {
      await stop();
      await container.start();
      await ready();
    },
    pause: async () => void (await container.pause()),
    resume: async () => void (await container.unpause()),
    async [Symbol.asyncDispose]() {
      await started.stop({ timeout: 1 });
    },
  };
}

async function answering(probe: () => Promise<void>, name: string): Promise<void> {
  for (const endMs = Date.now() + 60_000; ; await sleep(50)) {
    try {
      return await probe();
    } catch (cause) {
      if (Date.now() > endMs) throw new Error(`${name} does not answer`, { cause });
    }
  }
}
