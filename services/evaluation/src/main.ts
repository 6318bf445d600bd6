import { followConfig, openConfig } from "@weir/config";
import { evaluation } from "@weir/contracts";
import { remoteSecrets } from "@weir/credentials";
import { jetStreamBus, jetStreamDeadLetters } from "@weir/events";
import { networkPeers, serveRoutes } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { peerAddresses } from "./config.ts";
import { createEvaluation } from "./service.ts";

const load = { providerSecrets: false, fetchSecrets: remoteSecrets(process.env) };
const opened = await openConfig(process.env, load);
const { config } = opened;
await using telemetry = createTelemetry({ service: "weir-evaluation", level: config.log.level, env: process.env });
if (config.databaseUrl === undefined) throw new Error("evaluation needs a database: set WEIR_DATABASE_URL");
if (config.natsUrl === undefined) throw new Error("evaluation needs NATS to receive records: set WEIR_NATS_URL");

const natsUrl = config.natsUrl.reveal();
await using bus = jetStreamBus({ url: natsUrl });
await using deadLetters = jetStreamDeadLetters({ url: natsUrl });
const hooks = { tracer: telemetry.tracing ? telemetry.tracer : undefined };
await using peers = networkPeers({ addresses: peerAddresses(config), token: config.meshToken, hooks });
await using service = await createEvaluation({
  config,
  telemetry,
  database: { connectionString: config.databaseUrl.reveal() },
  bus,
  deadLetters,
  peers,
});
const server = await serveRoutes(service.routes, {
  listen: config.rpc.listen,
  token: config.meshToken,
  // All of its calls want the admin token.
  exempt: [evaluation.EvaluationService],
  validate: [evaluation.EvaluationService],
  hooks,
  health: { notReady: () => service.notReady(), metrics: telemetry },
});
await service.start();
telemetry.log.info({ port: server.port }, "evaluation serves");

await using _following = followConfig(opened, { env: process.env, load, log: telemetry.log });

await new Promise<void>((resolve) => {
  process.once("SIGTERM", () => resolve());
  process.once("SIGINT", () => resolve());
});
await server.close(config.http.drainMs);
