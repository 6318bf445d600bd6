import { followConfig, openConfig } from "@weir/config";
import { audit, policy } from "@weir/contracts";
import { remoteSecrets } from "@weir/credentials";
import { jetStreamBus } from "@weir/events";
import { networkPeers, serveRoutes } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { workspaceRetention } from "./adapters/policy-workspaces.ts";
import { createAudit } from "./service.ts";

const load = { providerSecrets: false, fetchSecrets: remoteSecrets(process.env) };
const opened = await openConfig(process.env, load);
const { config } = opened;
await using telemetry = createTelemetry({ service: "weir-audit", level: config.log.level, env: process.env });
if (config.databaseUrl === undefined) throw new Error("audit needs a database: set WEIR_DATABASE_URL");
if (config.natsUrl === undefined) throw new Error("audit needs NATS to receive records: set WEIR_NATS_URL");

await using bus = jetStreamBus({ url: config.natsUrl.reveal() });
await using peers = networkPeers({
  addresses: () => {
    if (config.peers.policy === undefined)
      throw new Error("to ask policy for the ids of workspaces, set WEIR_PEER_POLICY");
    return config.peers.policy;
  },
  token: config.meshToken,
});
await using service = await createAudit({
  config,
  telemetry,
  database: { connectionString: config.databaseUrl.reveal() },
  bus,
  natsUrl: config.natsUrl.reveal(),
  workspaceRetention: workspaceRetention(config, () => peers.client(policy.PolicyAdminService)),
});
const server = await serveRoutes(service.routes, {
  listen: config.rpc.listen,
  token: config.meshToken,
  validate: [
    audit.AuditProofService,
    audit.AuditService,
    audit.CostService,
    audit.ErasureService,
    audit.ProducerService,
    audit.RetentionService,
  ],
  hooks: { tracer: telemetry.tracing ? telemetry.tracer : undefined },
  health: { notReady: () => service.notReady(), metrics: telemetry },
});
await service.start();
telemetry.log.info({ port: server.port }, "audit serves");

await using _following = followConfig(opened, { env: process.env, load, log: telemetry.log });

await new Promise<void>((resolve) => {
  process.once("SIGTERM", () => resolve());
  process.once("SIGINT", () => resolve());
});
await server.close(config.http.drainMs);
