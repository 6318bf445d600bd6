/** An evaluation service in a process of its own, for tests that kill it. Prints its port; arguments: the database's URL, its data folder, the gateway's address and a key for it. */
import { sqliteDeadLetters } from "@weir/events";
import { Secret } from "@weir/kernel";
import { networkPeers, serveRoutes } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { createEvaluation } from "../src/index.ts";
import { testConfig } from "./test-config.ts";

const [url = "", dataDir = "", gateway = "", key = ""] = process.argv.slice(2);
const telemetry = createTelemetry({ service: "test", level: "silent", env: {}, processMetrics: false });
const service = await createEvaluation({
  config: testConfig(dataDir, gateway === "" ? undefined : new Secret(key)),
  telemetry,
  database: { connectionString: url },
  deadLetters: sqliteDeadLetters(":memory:"),
  peers: gateway === "" ? undefined : networkPeers({ addresses: () => gateway }),
});
await service.start();
const server = await serveRoutes(service.routes, { listen: { host: "127.0.0.1", port: 0 } });
process.stdout.write(`${server.port}\n`);
// Whoever started it may be killed, too.
process.stdin.on("end", () => process.kill(process.pid, "SIGKILL")).resume();
