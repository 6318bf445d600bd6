import { createAudit, workspaceRetention } from "@weir/audit";
import type { WeirConfig } from "@weir/config";
import { audit, evaluation, ingress, policy } from "@weir/contracts";
import { createEvaluation } from "@weir/evaluation";
import { createIngress, spoolDirectory } from "@weir/ingress";
import { inProcessPeers, type Route, type Service, serveRoutes } from "@weir/mesh";
import { createPolicy } from "@weir/policy";
import { createRouter } from "@weir/router";
import type { DatabaseAddress } from "@weir/storage";
import { mergedMetrics, type Telemetry } from "@weir/telemetry";
import { startBackground } from "./background-thread.ts";
import { openDataFolder, storedToken } from "./data-folder.ts";
import { openDeadLetters } from "./dead-letters.ts";
import { explainListen } from "./listen-error.ts";
import { startEmbeddedPostgres } from "./postgres/embedded-postgres.ts";

export interface StandaloneOptions {
  readonly config: WeirConfig;
  readonly telemetry: Telemetry;
  /** Takes finished log lines of the other thread. */
  readonly writeLine: (line: string) => void;
}

/** All of Weir in one process. Disposing it drains: no request is cut before its time, no record and no settlement is lost. */
export interface Standalone extends AsyncDisposable {
  readonly httpPort: number;
  readonly rpcPort: number;
  /** The key this start made, if it made one: it is stored nowhere. */
  readonly bootstrapSecret: string | undefined;
  /** Puts other providers and models in force; calls that run go on under the ones they began with. @throws Error where they cannot be used */
  reload(config: WeirConfig): Promise<void>;
}

/** They ask their callers for a key or the admin token; everything else on the RPC port wants the mesh token. */
const AUTHENTICATING = [
  policy.PolicyAdminService,
  policy.BudgetService,
  policy.TokenService,
  audit.AuditProofService,
  audit.AuditService,
  audit.CostService,
  audit.ErasureService,
  audit.RetentionService,
  evaluation.EvaluationService,
  ingress.GatewayService,
];

/** @throws StartError for what an operator can mend: a folder in use, a port in use, no Postgres */
export async function startStandalone({ config: given, telemetry, writeLine }: StandaloneOptions): Promise<Standalone> {
  // Undone in reverse: whatever was started first is needed by what came later, and ends last.
  await using starting = new AsyncDisposableStack();
  const folder = starting.use(openDataFolder(given.dataDir));
  const config: WeirConfig = {
    ...given,
    adminToken: given.adminToken ?? storedToken(folder, "admin-token"),
    meshToken: given.meshToken ?? storedToken(folder, "mesh-token"),
  };
  const database: DatabaseAddress =
    config.databaseUrl === undefined
      ? starting.use(await startEmbeddedPostgres(folder.path, telemetry.log)).address
      : { connectionString: config.databaseUrl.reveal() };
  const natsUrl = config.natsUrl?.reveal();
  const background = starting.use(
    await startBackground(
      {
        config: {
          adminToken: undefined,
          dataDir: config.dataDir,
          audit: { ...config.audit, payloadKeys: [] },
          webhooks: config.webhooks,
          // Secrets stay on this side: that thread asks nobody.
          evaluation: { ...config.evaluation, key: undefined, sealKey: undefined, secrets: new Map() },
        },
        payloadKeys: config.audit.payloadKeys.map((key) => key.reveal()),
        database,
        spoolDirectory: spoolDirectory(config.dataDir),
        natsUrl,
        level: config.log.level,
      },
      { line: writeLine, died: (error) => telemetry.log.error({ err: error }, "the background thread died") },
    ),
  );
  const routes: Route[] = [];
  const hooks = { tracer: telemetry.tracing ? telemetry.tracer : undefined };
  const peers = inProcessPeers(routes, hooks);
  const run = async <S extends Service>(service: S): Promise<S> => {
    starting.use(service);
    routes.push(...service.routes);
    await service.start();
    return service;
  };
  const redisUrl = config.redisUrl?.reveal();
  const authority = await run(await createPolicy({ config, telemetry, database, redisUrl, natsUrl }));
  const router = await run(await createRouter({ config, telemetry, peers, redisUrl, database }));
  // Without a bus they answer questions only; the background thread does the work.
  await run(
    await createAudit({
      config,
      telemetry,
      database,
      workspaceRetention: workspaceRetention(config, () => peers.client(policy.PolicyAdminService)),
    }),
  );
  const deadLetters = starting.use(openDeadLetters(natsUrl, config.dataDir));
  await run(await createEvaluation({ config, telemetry, database, deadLetters, peers }));
  const allMetrics = mergedMetrics(telemetry, () => background.metrics());
  const front = await explainListen("WEIR_HTTP_LISTEN", config.http.listen, async () =>
    createIngress({ config, telemetry: allMetrics, peers }),
  );
  await run(front);
  const rpc = await explainListen("WEIR_RPC_LISTEN", config.rpc.listen, () =>
    serveRoutes(routes, {
      listen: config.rpc.listen,
      token: config.meshToken,
      exempt: AUTHENTICATING,
      validate: AUTHENTICATING,
      hooks,
      health: { notReady: () => front.notReady(), metrics: allMetrics },
      noticeMs: 0,
    }),
  );
  starting.defer(async () => {
    await front.retire();
    await Promise.all([front.drain(), rpc.close(config.http.drainMs)]);
  });
  const running = starting.move();
  return {
    httpPort: front.httpPort,
    rpcPort: rpc.port,
    bootstrapSecret: authority.bootstrapSecret,
    reload: (next) => router.reload(next),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
