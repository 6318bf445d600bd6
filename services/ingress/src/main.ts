import { Worker } from "node:worker_threads";
import { loadConfig } from "@weir/config";
import { ingress } from "@weir/contracts";
import { networkPeers, serveRoutes } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { peerAddresses } from "./config.ts";
import { createIngress } from "./service.ts";

const config = loadConfig(process.env);
await using telemetry = createTelemetry({ service: "weir-ingress", level: config.log.level, env: process.env });
await using peers = networkPeers({ addresses: peerAddresses(config), token: config.meshToken });
await using service = await createIngress({ config, telemetry, peers });
const server = await serveRoutes(service.routes, {
  listen: config.rpc.listen,
  token: config.meshToken,
  exempt: [ingress.GatewayService],
  validate: [ingress.GatewayService],
});
await service.start();
// In a thread of its own: shipping records must not make requests wait.
const relay = new Worker(
  new URL(import.meta.url.endsWith(".ts") ? "relay-worker.ts" : "relay-worker.js", import.meta.url),
  {
    name: "weir-relay",
  },
);
relay.on("error", (error) => {
  telemetry.log.fatal({ err: error }, "the relay ended; requests are recorded, and shipped by the next start");
});
telemetry.log.info({ http: service.httpPort, rpc: server.port }, "ingress serves");

await new Promise<void>((resolve) => {
  process.once("SIGTERM", () => resolve());
  process.once("SIGINT", () => resolve());
});
await server.close(config.http.drainMs);
