import type { Nanos, Secret } from "@weir/kernel";
import type { PayloadChoice, Rules } from "@weir/rules";
import type { ModelConfig } from "./model-types.ts";
import type { EvaluationSettings } from "./evaluation-schema.ts";

/** weir.yaml with the environment over it, checked and completed. Names as in docs/configuration.md, in camel case. */
export interface WeirConfig {
  readonly providers: ReadonlyMap<string, ProviderConfig>;
  /** The names clients use. */
  readonly models: ReadonlyMap<string, ModelConfig>;
  /** Prices that differ from what is published, in the order of the file. */
  readonly contracts: readonly ContractConfig[];
  /** By name; rules say whose requests they hold for. */
  readonly guardrails: ReadonlyMap<string, GuardrailConfig>;
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
    readonly ingress?: readonly string[] | undefined;
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
    /** Mixed into the keys over subjects' keys: the present one, then the one before it. None: files of the data folder are enough to open payloads. */
    readonly payloadKeys: readonly Secret[];
    /** Ingresses get a new key to seal payloads to this often. */
    readonly transportKeyIntervalMs: number;
    /** Of workspaces that have none of their own; undefined: as the log has it. */
    readonly retention: RetentionSeed | undefined;
    /** It is looked this often for what need not be kept any more. */
    readonly retentionEveryMs: number;
  };
  /** Where webhooks of budget warnings may be sent to though it is internal. */
  readonly webhooks: { readonly internalOrigins: readonly string[] };
  /** Secrets of a Vault or of AWS Secrets Manager are fetched anew this often. */
  readonly secrets: { readonly refreshMs: number };
  /** Of budgets: how long settled entries are kept. */
  readonly ledger: { readonly keepEntriesMs: number };
  readonly oidc: {
    /** Issuers of tokens whose keys may be fetched from internal addresses, or over plain http. */
    readonly internalOrigins: readonly string[];
  };
  /** What a router keeps of answers in memory. */
  readonly cache: { readonly maxBytes: number };
  readonly spool: {
    /** At this size new requests are refused. */
    readonly maxBytes: number;
    /** fdatasync before an intent counts as recorded. */
    readonly strict: boolean;
  };
  readonly evaluation: EvaluationSettings;
  readonly log: { readonly level: "trace" | "debug" | "info" | "warn" | "error" | "silent" };
}

type GuardrailPlace = "input" | "tool-results" | "output" | "tool-arguments";

export interface GuardrailConfig {
  readonly rules: readonly GuardrailRule[];
  /** Asked about texts that the rules let through. */
  readonly external: readonly {
    readonly name: string;
    readonly url: string;
    /** Signs what is sent. */
    readonly secret: Secret | undefined;
    readonly action: "flag" | "block";
    readonly places: readonly GuardrailPlace[];
    readonly timeoutMs: number;
    /** While it does not answer, requests are refused. */
    readonly failClosed: boolean;
  }[];
}

/** Members that a detector does not know have their defaults. */
export interface GuardrailRule {
  readonly detect:
    | ("email" | "phone" | "card" | "iban" | "ssn" | "ip")
    | ("secrets" | "injection" | "names" | "topics" | "patterns" | "urls" | "code" | "commands" | "schema");
  readonly action: "allow" | "flag" | "redact" | "block";
  readonly places: readonly GuardrailPlace[];
  /** Of a list or a schema, as verdicts and placeholders call it. */
  readonly name: string;
  readonly phrases: readonly string[];
  readonly patterns: readonly string[];
  readonly ignoreCase: boolean;
  /** Undefined: all that are not denied. */
  readonly allow: readonly string[] | undefined;
  readonly deny: readonly string[];
  readonly ipLiterals: boolean;
  readonly languages: readonly string[];
  readonly threshold: number;
  readonly schema: Readonly<Record<string, unknown>> | undefined;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface HttpConfig {
  readonly listen: ListenAddress;
  readonly maxBodyBytes: number;
  /** Of all requests together, until they are answered. */
  readonly maxBufferedBytes: number;
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
  /** Between "not ready" and the end of new connections. */
  readonly drainDelayMs: number;
}

export interface ProviderConfig {
  readonly name: string;
  /** A file in services/router/src/providers: "openai", "anthropic", "gemini", "openai-compatible", "echo", or a preset's name. */
  readonly kind: string;
  readonly apiKey: Secret | undefined;
  /** Further accounts with it, each with a key of its own. */
  readonly moreApiKeys: readonly Secret[];
  /** Undefined: the kind's own. */
  readonly baseUrl: string | undefined;
  readonly region: string | undefined;
  /** What was agreed with it, in the operator's words, for `weir providers`; "": not stated. */
  readonly terms?: { readonly dpa: string; readonly retention: string; readonly training: string };
  /** What only its kind knows; any of them may be a secret. */
  readonly settings: Readonly<Record<string, Secret>>;
  /** Sent with each call. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeouts: {
    readonly connectMs: number;
    readonly firstByteMs: number;
    readonly idleMs: number;
    /** An answer that takes longer is held against its target; undefined: none is. */
    readonly slowMs: number | undefined;
  };
  readonly maxConnections: number;
  /** How many calls each of its targets may have at once; undefined: as many as there are connections. */
  readonly concurrency?: number | "adaptive" | undefined;
  /** For what is more. */
  readonly queue?: { readonly length: number; readonly waitMs: number };
  /** GET, this often; undefined: none. */
  readonly healthCheck?: { readonly path: string; readonly intervalMs: number } | undefined;
}

/** Nano-USD per million tokens ($1 per million tokens is 1_000_000_000n), so that no price is rounded. Undefined: as other input or output. */
export interface RatesConfig {
  readonly inputNanosPerMtok: Nanos;
  readonly outputNanosPerMtok: Nanos;
  readonly cachedInputNanosPerMtok?: Nanos | undefined;
  readonly cacheWriteNanosPerMtok?: Nanos | undefined;
  readonly cacheWriteLongNanosPerMtok?: Nanos | undefined;
  readonly audioInputNanosPerMtok?: Nanos | undefined;
  readonly imageInputNanosPerMtok?: Nanos | undefined;
  readonly audioOutputNanosPerMtok?: Nanos | undefined;
  readonly imageOutputNanosPerMtok?: Nanos | undefined;
  readonly reasoningNanosPerMtok?: Nanos | undefined;
}

export interface PriceConfig extends RatesConfig {
  /** Per request. */
  readonly requestNanos: Nanos;
  /** 0: batches cost as much as all else. */
  readonly batchPercent?: number;
  /** In ascending order. */
  readonly tiers?: readonly (RatesConfig & { readonly aboveInputTokens: number })[];
  /** For each call of a tool that the provider runs; undefined: the price book's. */
  readonly tools?: ToolFeesConfig | undefined;
}

export interface ToolFeesConfig {
  readonly webSearchNanos?: Nanos | undefined;
  readonly fileSearchNanos?: Nanos | undefined;
  readonly codeSessionNanos?: Nanos | undefined;
  readonly otherNanos?: Nanos | undefined;
  /** 0: unknown. */
  readonly maxCalls: number;
}

/** What was negotiated with a provider. */
export interface ContractConfig {
  readonly id: string;
  readonly provider: string;
  /** Empty: all; a name may end in "*". */
  readonly models: readonly string[];
  /** By name; empty: all. */
  readonly workspaces: readonly string[];
  readonly fromMs: number;
  /** Exclusive; 0: it has no end. */
  readonly toMs: number;
  /** Undefined: a discount. */
  readonly price: PriceConfig | undefined;
  readonly discountBasisPoints: number;
}

export interface WorkspaceSeed {
  readonly name: string;
  readonly payloads: PayloadChoice;
  readonly timeZone: string;
  readonly rules: Rules;
  readonly budgets: readonly BudgetSeed[];
  readonly limits: readonly LimitSeed[];
  readonly retention: RetentionSeed | undefined;
}

/** How long the audit log keeps what; 0: for ever. */
export interface RetentionSeed {
  readonly recordsMs: number;
  readonly payloadsMs: number;
}

export interface BudgetSeed {
  readonly unit: "nano-usd" | "tokens" | "requests";
  readonly period: "day" | "week" | "month" | "total";
  readonly limit: bigint;
  readonly hard: boolean;
  readonly per: "none" | "run" | "end-user";
  /** Of a budget per run. */
  readonly maxIdenticalCalls: number | undefined;
}

export interface LimitSeed {
  readonly per: "key" | "project" | "workspace" | "end-user" | "client-ip" | "model" | "provider";
  readonly unit: "requests" | "tokens" | "input-tokens" | "output-tokens" | "concurrency";
  readonly amount: number;
  readonly windowMs: number;
  readonly burst: number;
  readonly failClosed: boolean;
  /** Of a limit per model or provider: the one that it is for. */
  readonly only: string | undefined;
  /** What does not fit waits. */
  readonly queue: QueueSeed | undefined;
}

export interface QueueSeed {
  readonly maxWaitMs: number;
  readonly maxLength: number;
  /** By a workspace's name; others weigh 1. */
  readonly weights: Readonly<Record<string, number>>;
}
