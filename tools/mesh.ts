// `pnpm mesh`: the five services as processes of their own on this machine, with real Postgres, Redis and NATS. It ends when one of them
// ends, with an error; a signal drains them in order: who is called ends after who calls.
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { ConfigError, loadConfig } from "@weir/config";
import { audit, evaluation, ingress, policy, router } from "@weir/contracts";
import { TOKEN_HEADER } from "@weir/mesh";
import { banner } from "@weir/standalone";
import { freePort } from "@weir/testkit";
import { startBacking } from "./mesh/backing.ts";
import { openFrontDoor } from "./mesh/front-door.ts";
import { healthy, type ServiceProcess, startService } from "./mesh/process.ts";

/** In the order of their start; they end in the reverse order. */
const SERVICES = ["audit", "evaluation", "policy", "router", "ingress"] as const;
type Name = (typeof SERVICES)[number];

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const secret = (given: string | undefined): string =>
  given === undefined || given === "" ? randomBytes(24).toString("base64url") : given;

async function main(): Promise<number> {
  const config = loadConfig(process.env);
  const signal = new Promise<"signal">((resolvePromise) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolvePromise("signal"));
  });
  await using stack = new AsyncDisposableStack();
  const backing = await startBacking(process.env, stack);
  const tokens = {
    mesh: config.meshToken?.reveal() ?? secret(undefined),
    admin: config.adminToken?.reveal() ?? secret(undefined),
    key: config.bootstrapKey?.reveal() ?? `wk_${secret(undefined)}`,
  };
  const ports = Object.fromEntries(
    await Promise.all(SERVICES.map(async (name) => [name, await freePort()] as const)),
  ) as Record<Name, number>;
  const address = (name: Name): string => `http://127.0.0.1:${ports[name]}`;
  const shared = {
    ...process.env,
    WEIR_DATABASE_URL: backing.databaseUrl,
    WEIR_REDIS_URL: backing.redisUrl,
    WEIR_NATS_URL: backing.natsUrl,
    WEIR_DATA_DIR: resolve(config.dataDir),
    WEIR_MESH_TOKEN: tokens.mesh,
    WEIR_ADMIN_TOKEN: tokens.admin,
    WEIR_BOOTSTRAP_KEY: tokens.key,
    WEIR_PEER_POLICY: address("policy"),
    WEIR_PEER_ROUTER: address("router"),
    WEIR_PEER_AUDIT: address("audit"),
    WEIR_PEER_EVALUATION: address("evaluation"),
    WEIR_PEER_INGRESS: address("ingress"),
  };
  const meshToken = { [TOKEN_HEADER]: tokens.mesh };
  // Before the services: a port in use is known at once, and who comes too early gets 503.
  stack.use(
    await openFrontDoor({
      listen: config.rpc.listen,
      http2Port: ports.ingress,
      // Operators show the admin token; only the services among themselves know the mesh token.
      route: (service) =>
        ({
          [ingress.GatewayService.typeName]: { port: ports.ingress, headers: {} },
          [policy.PolicyAdminService.typeName]: { port: ports.policy, headers: {} },
          [policy.BudgetService.typeName]: { port: ports.policy, headers: {} },
          [policy.TokenService.typeName]: { port: ports.policy, headers: {} },
          [audit.AuditProofService.typeName]: { port: ports.audit, headers: meshToken },
          [audit.ErasureService.typeName]: { port: ports.audit, headers: meshToken },
          [audit.RetentionService.typeName]: { port: ports.audit, headers: meshToken },
          [audit.CostService.typeName]: { port: ports.audit, headers: meshToken },
          [audit.AuditService.typeName]: { port: ports.audit, headers: meshToken },
          [evaluation.EvaluationService.typeName]: { port: ports.evaluation, headers: meshToken },
          [router.RouterService.typeName]: { port: ports.router, headers: {} },
        })[service],
    }),
  );
  const running: ServiceProcess[] = [];
  for (const name of SERVICES) {
    const service = startService(name, { ...shared, WEIR_RPC_LISTEN: `127.0.0.1:${ports[name]}` });
    stack.defer(() => service.stop());
    running.push(service);
    say(`weir: ${name} pid ${service.pid} rpc ${address(name)}`);
  }
  const ended = Promise.race(running.map(async (service) => ({ service, code: await service.exited })));
  const { host, port } = config.http.listen;
  const url = `http://${host === "0.0.0.0" ? "127.0.0.1" : host}:${port}`;
  const ready = Promise.all([...SERVICES.map((name) => healthy(`${address(name)}/readyz`)), healthy(`${url}/readyz`)]);

  const first = await Promise.race([ready, ended, signal]);
  if (first === "signal") return 0;
  if ("service" in first) return died(first.service, first.code);
  process.stderr.write(
    banner(config, {
      httpPort: port,
      rpcPort: config.rpc.listen.port,
      newKey: config.bootstrapKey === undefined ? tokens.key : undefined,
    }),
  );
  if (config.adminToken === undefined) say(`  export WEIR_ADMIN_TOKEN=${tokens.admin}`);
  say(`  export WEIR_MESH_TOKEN=${tokens.mesh}`);
  if (backing.own.length > 0)
    say(`  ${backing.own.join(" ")} were started for this mesh and end with it, data and all.`);

  const last = await Promise.race([ended, signal]);
  if (last !== "signal") return died(last.service, last.code);
  say("weir: draining");
  return 0;
}

function died(service: ServiceProcess, code: number | null): number {
  say(`weir: ${service.name} (pid ${service.pid}) ended with ${code ?? "a signal"}; stopping the others`);
  return 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  say(`weir: ${error.message}`);
  process.exitCode = 1;
}
