import net from "node:net";
import { rm } from "node:fs/promises";
import type { HttpAddress } from "./types.ts";

const BACKLOG = 1024;

/** Listens, or rejects with the reason. A Unix socket whose owner died is taken over. */
export async function listenOn(server: net.Server, address: HttpAddress): Promise<void> {
  try {
    await listenOnce(server, address);
  } catch (error) {
    if (!("path" in address) || !isInUse(error) || (await isAlive(address.path))) throw error;
    await rm(address.path);
    await listenOnce(server, address);
  }
}

const isInUse = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "EADDRINUSE";

function listenOnce(server: net.Server, address: HttpAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...address, backlog: BACKLOG }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}
