import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { BackingOptions, BackingService } from "./backing-service.ts";
import { findBinary } from "./binaries.ts";
import { startContainer } from "./docker.ts";
import { startLocalService } from "./local-service.ts";
import { probeText } from "./probe.ts";
import { scratchFolder } from "./scratch.ts";
import { startFrom } from "./source.ts";

const url = (port: number): string => `redis://127.0.0.1:${port}`;
const probe = (port: number): Promise<void> => probeText(port, "PING\r\n", "+PONG");
const settings = (durable: boolean): string[] =>
  ["--save", ""].concat(durable ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"]);

/** A Redis of its own. Without `durable` it is empty after kill() or stop(). */
export function startRedis(options: BackingOptions = {}): Promise<BackingService> {
  const durable = options.durable ?? false;
  return startFrom({
    name: "Redis",
    debianPackage: "redis-server",
    find: async () => findBinary("redis-server"),
    container: () =>
      startContainer({
        image: "redis:8-alpine",
        port: 6379,
        command: ["redis-server", ...settings(durable)],
        url,
        probe,
      }),
    local(file) {
      const folder = scratchFolder("redis", undefined);
      const data = join(folder, "data");
      mkdirSync(data);
      return startLocalService({
        name: "Redis",
        folder,
        url,
        probe,
        stopSignal: "SIGTERM",
        command: (port) => ({
          file,
          args: ["--port", String(port), "--bind", "127.0.0.1", "--dir", data, ...settings(durable)],
          deathSignal: "KILL",
        }),
      });
    },
  });
}
