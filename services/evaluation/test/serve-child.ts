/** An evaluation service in a process of its own, for tests that kill it. Prints its port; argument: the database's URL. */
import { sqliteDeadLetters } from "@weir/events";
import { Secret } from "@weir/kernel";
import { serveRoutes } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { createEvaluation } from "../src/index.ts";

const telemetry = createTelemetry({ service: "test", level: "silent", env: {}, processMetrics: false });
const config = { adminToken: new Secret("operator-token") };
const service = await createEvaluation({
  config,
  telemetry,
  database: { connectionString: process.argv[2] ?? "" },
  deadLetters: sqliteDeadLetters(":memory:"),
});
await service.start();
const server = await serveRoutes(service.routes, { listen: { host: "127.0.0.1", port: 0 } });
process.stdout.write(`${server.port}\n`);
// Whoever started it may be killed, too.
process.stdin.on("end", () => process.kill(process.pid, "SIGKILL")).resume();
