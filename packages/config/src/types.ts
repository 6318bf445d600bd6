import type { Nanos, Secret } from "@weir/kernel";

/** weir.yaml with the environment over it, checked and completed. Names as in docs/configuration.md, in camel case. */
export interface WeirConfig {
  readonly providers: ReadonlyMap<string, ProviderConfig>;
  /** The names clients use. */
  readonly models: ReadonlyMap<string, ModelConfig>;
  /** Seeds the database on first start. */
  readonly workspaces: ReadonlyMap<string, WorkspaceSeed>;
  readonly http: HttpConfig;
  readonly rpc: { readonly listen: ListenAddress };
  /** Where spool, embedded Postgres and keys live; absolute. */
  readonly dataDir: string;
  /** Tells instances of one service apart; stable over restarts. Default: the host's name. */
  readonly instance: string;
  /** WEIR_TRUSTED_PROXIES: addresses and ranges whose `x-forwarded-for` says for whom they call. */
  readonly trustedProxies: readonly string[];
  /** WEIR_BOOTSTRAP_KEY: a key with full rights in workspace `default`. */
  readonly bootstrapKey: Secret | undefined;
  /** WEIR_HMAC_KEY: what the hashes in records are keyed by; the same for all ingresses. Undefined: each data folder has one of its own. */
  readonly hmacKey: Secret | undefined;
  /** WEIR_ADMIN_TOKEN: what admin RPCs want. Undefined: only keys with the admin scope may call them. */
  readonly adminToken: Secret | undefined;
  /** WEIR_MESH_TOKEN: what services show each other. Undefined: none is asked for (the network between them must be private). */
  readonly meshToken: Secret | undefined;
  readonly databaseUrl: Secret | undefined;
  readonly redisUrl: Secret | undefined;
  readonly natsUrl: Secret | undefined;
  /** WEIR_PEER_POLICY and so on: "http://host:port" or "unix:/path", one of each replica. */
  readonly peers: {
    readonly policy?: readonly string[] | undefined;
    readonly router?: readonly string[] | undefined;
    readonly audit?: readonly string[] | undefined;
    readonly evaluation?: readonly string[] | undefined;
  };
  /** For so long an ingress lets keys without a hard budget in while their rules cannot be known: the bounds of a revocation. */
  readonly policy: {
    /** While nothing is heard of policy. */
    readonly graceMs: number;
    /** While policy is heard of, and says that it cannot see its store. */
    readonly storeGraceMs: number;
  };
  readonly audit: {
    /** A tree head is signed this often, where records have come. */
    readonly headIntervalMs: number;
    /** The second places: "nats", "file:PATH" (in the data folder where it is relative), or a witness's URL. */
    readonly headsTo: readonly string[];
  };
  readonly oidc: {
    /** Issuers of tokens whose keys may be fetched from internal addresses, or over plain http. */
    readonly internalOrigins: readonly string[];
  };
  readonly spool: {
    /** At this size new requests are refused. */
    readonly maxBytes: number;
    /** fdatasync before an intent counts as recorded. */
    readonly strict: boolean;
  };
  readonly log: { readonly level: "trace" | "debug" | "info" | "warn" | "error" | "silent" };
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface HttpConfig {
  readonly listen: ListenAddress;
  readonly maxBodyBytes: number;
  readonly maxHeaderBytes: number;
  /** From the first byte of a request to its last. */
  readonly requestTimeoutMs: number;
  /** The longest an answer may take in all. */
  readonly answerTimeoutMs: number;
  /** A client that takes no byte of its answer for so long is cut. */
  readonly stalledClientMs: number;
  readonly maxConnections: number;
  /** How long running streams may go on after a shutdown began. */
  readonly drainMs: number;
}

export interface ProviderConfig {
  readonly name: string;
  /** A file in services/router/src/providers: "openai", "anthropic", "gemini", "openai-compatible", "echo", or a preset's name. */
  readonly kind: string;
  readonly apiKey: Secret | undefined;
  /** Undefined: the kind's own. */
  readonly baseUrl: string | undefined;
  readonly region: string | undefined;
  /** What only its kind knows; any of them may be a secret. */
  readonly settings: Readonly<Record<string, Secret>>;
  /** Sent with each call. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeouts: { readonly connectMs: number; readonly firstByteMs: number; readonly idleMs: number };
  readonly maxConnections: number;
}

export interface ModelConfig {
  readonly name: string;
  readonly strategy: "priority" | "weighted" | "round-robin" | "cost" | "latency" | "least-busy" | "capability";
  readonly targets: readonly { readonly provider: string; readonly model: string; readonly weight: number }[];
  /** Other models' names, tried in order. */
  readonly fallbacks: readonly string[];
  /** Over the price book. */
  readonly price: PriceConfig | undefined;
  readonly contextWindow: number | undefined;
  readonly maxOutputTokens: number | undefined;
}

/** Nano-USD per million tokens ($1 per million tokens is 1_000_000_000n), so that no price is rounded. */
export interface PriceConfig {
  readonly inputNanosPerMtok: Nanos;
  readonly outputNanosPerMtok: Nanos;
  readonly cachedInputNanosPerMtok: Nanos;
  readonly cacheWriteNanosPerMtok: Nanos;
  /** Per request. */
  readonly requestNanos: Nanos;
}

export interface WorkspaceSeed {
  readonly name: string;
  readonly payloads: "none" | "hashes" | "full";
  readonly allowedModels: readonly string[];
  readonly maxOutputTokens: number | undefined;
  readonly budgets: readonly BudgetSeed[];
  readonly limits: readonly LimitSeed[];
}

export interface BudgetSeed {
  readonly unit: "nano-usd" | "tokens" | "requests";
  readonly period: "day" | "week" | "month" | "total";
  readonly limit: bigint;
  readonly hard: boolean;
}

export interface LimitSeed {
  readonly per: "key" | "project" | "workspace" | "end-user" | "client-ip" | "model";
  readonly unit: "requests" | "tokens";
  readonly amount: number;
  readonly windowMs: number;
  readonly burst: number;
  readonly failClosed: boolean;
}
