import { followConfig, openConfig } from "@weir/config";
import { policy } from "@weir/contracts";
import { remoteSecrets } from "@weir/credentials";
import { serveRoutes } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { createPolicy } from "./service.ts";

const load = { providerSecrets: false, fetchSecrets: remoteSecrets(process.env) };
const opened = await openConfig(process.env, load);
const { config } = opened;
await using telemetry = createTelemetry({ service: "weir-policy", level: config.log.level, env: process.env });
if (config.databaseUrl === undefined) throw new Error("policy needs a database: set WEIR_DATABASE_URL");

await using service = await createPolicy({
  config,
  telemetry,
  database: { connectionString: config.databaseUrl.reveal() },
  redisUrl: config.redisUrl?.reveal(),
  natsUrl: config.natsUrl?.reveal(),
});
const server = await serveRoutes(service.routes, {
  listen: config.rpc.listen,
  token: config.meshToken,
  exempt: [policy.PolicyAdminService, policy.BudgetService, policy.TokenService],
  validate: [policy.PolicyAdminService, policy.BudgetService, policy.TokenService],
  hooks: { tracer: telemetry.tracing ? telemetry.tracer : undefined },
  health: { notReady: () => service.notReady(), metrics: telemetry },
});
await service.start();
if (service.bootstrapSecret !== undefined) process.stdout.write(`key (shown once): ${service.bootstrapSecret}\n`);
telemetry.log.info({ port: server.port }, "policy serves");

await using _following = followConfig(opened, { env: process.env, load, log: telemetry.log });

await new Promise<void>((resolve) => {
  process.once("SIGTERM", () => resolve());
  process.once("SIGINT", () => resolve());
});
service.endWatches();
await server.close(config.http.drainMs);
