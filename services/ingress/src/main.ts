import { followConfig, openConfig } from "@weir/config";
import { ingress } from "@weir/contracts";
import { remoteSecrets } from "@weir/credentials";
import { networkPeers, serveRoutes } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { peerAddresses } from "./config.ts";
import { startRelayThread } from "./relay-thread.ts";
import { createIngress } from "./service.ts";

const load = { providerSecrets: false, fetchSecrets: remoteSecrets(process.env) };
const opened = await openConfig(process.env, load);
const { config } = opened;
await using telemetry = createTelemetry({ service: "weir-ingress", level: config.log.level, env: process.env });
const hooks = { tracer: telemetry.tracing ? telemetry.tracer : undefined };
await using peers = networkPeers({ addresses: peerAddresses(config), token: config.meshToken, hooks });
// Before the service, so that it ends after it and ships its last records.
await using _relay = startRelayThread(telemetry);
await using service = await createIngress({ config, telemetry, peers });
const server = await serveRoutes(service.routes, {
  listen: config.rpc.listen,
  token: config.meshToken,
  exempt: [ingress.GatewayService],
  validate: [ingress.GatewayService],
  hooks,
  health: { notReady: () => service.notReady(), metrics: telemetry },
});
await service.start();
telemetry.log.info({ http: service.httpPort, rpc: server.port }, "ingress serves");

await using _following = followConfig(opened, { env: process.env, load, log: telemetry.log });

await new Promise<void>((resolve) => {
  process.once("SIGTERM", () => resolve());
  process.once("SIGINT", () => resolve());
});
await service.retire();
await Promise.all([service.drain(), server.close(config.http.drainMs)]);
