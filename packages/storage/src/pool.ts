import pg from "pg";

/** Where a database is. `host` may be the folder of a Unix socket. */
export type DatabaseAddress =
  | { readonly connectionString: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly user: string;
      readonly database: string;
      readonly password?: string;
    };

export interface PoolOptions {
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /**
   * The role that sessions act as. It is a startup option, so RESET ROLE, DISCARD ALL and a rollback come back to it. A session can
   * still leave it by SET ROLE NONE: where that must not be, the login user itself must have no more than this role.
   */
  readonly role?: string;
  /** The most connections. Default 4. */
  readonly max?: number;
  /** A statement that runs longer is cancelled. Default 5,000. */
  readonly statementTimeoutMs?: number;
  /** For a connection, new or from the pool. Default 2,000. */
  readonly connectTimeoutMs?: number;
  /** More settings of each session: `{ search_path: "audit", enable_seqscan: "off" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Told of connections that broke; the pool replaces them by itself. */
  readonly onError?: (error: Error) => void;
}

/** A pool that opens connections as they are needed: it can be made while the database is away, and outlives its restarts. */
export function openPool(address: DatabaseAddress, options: PoolOptions): pg.Pool {
  const statementTimeoutMs = options.statementTimeoutMs ?? 5_000;
  const settings = {
    ...options.settings,
    statement_timeout: String(statementTimeoutMs),
    // A client that died inside a transaction must not keep its locks.
    idle_in_transaction_session_timeout: "10000",
    ...(options.role === undefined ? {} : { role: options.role }),
  };
  const pool = new pg.Pool({
    ...clientConfig(address, settings),
    application_name: options.applicationName,
    max: options.max ?? 4,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 2_000,
    // For a server that answers nothing any more, not even that it cancelled the statement.
    query_timeout: statementTimeoutMs + 1_000,
  });
  const onError = options.onError ?? (() => undefined);
  pool.on("error", onError);
  // A connection that breaks while it is checked out, between two queries, reports it on itself only; nobody listening there would
  // end the process.
  pool.on("connect", (client) => void client.on("error", onError));
  return pool;
}

/** What pg.Client needs; `settings` become startup options of the session. */
export function clientConfig(address: DatabaseAddress, settings: Readonly<Record<string, string>>): pg.ClientConfig {
  const options = Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\\s]/g, "\\$&")}`)
    .join(" ");
  const common = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 };
  if (!("connectionString" in address)) return { ...address, ...common, options };
  const [connectionString, own] = withoutOptions(address.connectionString);
  // Ours last: of two settings of one name the last wins, and a URL must not undo the role.
  return { connectionString, ...common, options: own === "" ? options : `${own} ${options}` };
}

/** pg lets `?options=` in the URL replace the `options` beside it, so it is taken out of there. */
function withoutOptions(connectionString: string): [string, string] {
  if (!connectionString.includes("options=") || !URL.canParse(connectionString)) return [connectionString, ""];
  const url = new URL(connectionString);
  const own = url.searchParams.get("options") ?? "";
  url.searchParams.delete("options");
  return [url.href, own];
}
