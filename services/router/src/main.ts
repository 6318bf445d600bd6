import { followConfig, openConfig } from "@weir/config";
import { router } from "@weir/contracts";
import { remoteSecrets } from "@weir/credentials";
import { networkPeers, serveRoutes } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { ROUTER_SETTINGS } from "./config.ts";
import { createRouter } from "./service.ts";

const load = { fetchSecrets: remoteSecrets(process.env) };
const opened = await openConfig(process.env, load);
const { config } = opened;
await using telemetry = createTelemetry({ service: "weir-router", level: config.log.level, env: process.env });
const policyAddresses = config.peers.policy;
if (policyAddresses === undefined)
  throw new Error("the router holds further attempts with policy: set WEIR_PEER_POLICY");

const hooks = { tracer: telemetry.tracing ? telemetry.tracer : undefined };
await using peers = networkPeers({ addresses: () => policyAddresses, token: config.meshToken, hooks });
await using service = await createRouter({
  config,
  telemetry,
  peers,
  natsUrl: config.natsUrl?.reveal(),
  redisUrl: config.redisUrl?.reveal(),
  database: config.databaseUrl && { connectionString: config.databaseUrl.reveal() },
});
const server = await serveRoutes(service.routes, {
  listen: config.rpc.listen,
  token: config.meshToken,
  validate: [router.RouterService],
  hooks,
  health: { notReady: () => service.notReady(), metrics: telemetry },
});
await service.start();
telemetry.log.info({ port: server.port }, "router serves");

await using _following = followConfig(opened, {
  env: process.env,
  load,
  log: telemetry.log,
  reloads: ROUTER_SETTINGS,
  apply: (next) => service.reload(next),
});

await new Promise<void>((resolve) => {
  process.once("SIGTERM", () => resolve());
  process.once("SIGINT", () => resolve());
});
await server.close(config.http.drainMs);
