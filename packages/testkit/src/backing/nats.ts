import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BackingOptions, BackingService } from "./backing-service.ts";
import { findBinary } from "./binaries.ts";
import { startContainer } from "./docker.ts";
import { startLocalService } from "./local-service.ts";
import { probeText } from "./probe.ts";
import { scratchFolder } from "./scratch.ts";
import { startFrom } from "./source.ts";

const url = (port: number): string => `nats://127.0.0.1:${port}`;
const probe = (port: number): Promise<void> => probeText(port, "", '"jetstream":true');

/** A NATS server of its own with JetStream on disk. `durable` has effect from server 2.10 on (`sync_interval: always`). */
export function startNats(options: BackingOptions = {}): Promise<BackingService> {
  const sync = options.durable === true ? "sync_interval: always" : "";
  const config = (store: string): string =>
    `jetstream { store_dir: "${store}", max_memory_store: 256MB, max_file_store: 4GB\n${sync} }\nmax_payload: 8MB\n`;
  return startFrom({
    name: "NATS",
    debianPackage: "nats-server",
    find: async () => findBinary("nats-server"),
    container: () =>
      startContainer({
        image: "nats:2.12-alpine",
        port: 4222,
        command: ["nats-server", "-c", "/etc/weir-nats.conf"],
        files: [{ content: config("/data"), target: "/etc/weir-nats.conf" }],
        url,
        probe,
      }),
    local(file) {
      const folder = scratchFolder("nats", undefined);
      const configFile = join(folder, "nats.conf");
      writeFileSync(configFile, config(join(folder, "data")));
      return startLocalService({
        name: "NATS",
        folder,
        url,
        probe,
        stopSignal: "SIGTERM",
        command: (port) => ({
          file,
          args: ["-c", configFile, "-a", "127.0.0.1", "-p", String(port)],
          deathSignal: "KILL",
        }),
      });
    },
  });
}
