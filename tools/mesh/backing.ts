import { type BackingService, startNats, startPostgres, startRedis } from "@weir/testkit";

export interface Backing {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly natsUrl: string;
  /** Those that were started here and end with us, data and all. */
  readonly own: readonly string[];
}

/** Uses the servers that the environment names; starts the others. */
export async function startBacking(env: NodeJS.ProcessEnv, stack: AsyncDisposableStack): Promise<Backing> {
  const own: string[] = [];
  const url = async (variable: string, start: () => Promise<BackingService>): Promise<string> => {
    const given = env[variable] ?? "";
    if (given !== "") return given;
    const service = stack.use(await start());
    own.push(service.url);
    return service.url;
  };
  const [databaseUrl, redisUrl, natsUrl] = await Promise.all([
    url("WEIR_DATABASE_URL", startPostgres),
    url("WEIR_REDIS_URL", startRedis),
    url("WEIR_NATS_URL", startNats),
  ]);
  return { databaseUrl, redisUrl, natsUrl, own };
}
