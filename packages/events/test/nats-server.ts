import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A nats-server of the test's own, which it may kill. */
export interface NatsServer extends AsyncDisposable {
  readonly url: string;
  start(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Forgets all that it stored; while it is not running. */
  wipe(): void;
}

const BINARIES = ["nats-server", "/usr/sbin/nats-server", "/usr/local/bin/nats-server"];

/** The binary of the machine; undefined: there is none. */
export function natsBinary(): string | undefined {
  return BINARIES.find((file) => {
    try {
      execFileSync(file, ["--version"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}

export async function natsServer(more: readonly string[] = []): Promise<NatsServer> {
  const binary = natsBinary();
  if (binary === undefined) throw new Error("there is no nats-server on this machine (Debian: nats-server)");
  const folder = mkdtempSync(join(tmpdir(), "weir-nats-"));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    if (child === undefined) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    child = undefined;
  };
  return {
    url: `nats://127.0.0.1:${port}`,
    async start() {
      child = spawn(binary, ["-js", "-sd", folder, "-a", "127.0.0.1", "-p", String(port), ...more], {
        stdio: "ignore",
      });
      for (const end = Date.now() + 10_000; !(await accepts(port)); ) {
        if (Date.now() > end) throw new Error("nats-server did not start");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    kill,
    wipe: () => rmSync(folder, { recursive: true, force: true }),
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("data", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
