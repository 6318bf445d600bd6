import { rangeOf } from "@weir/rules";
import { z } from "zod";
import { contract, price } from "./price-schema.ts";
import { budget, limit, payloads, rules } from "./bounds-schema.ts";
import { evaluation } from "./evaluation-schema.ts";
import { guardrail } from "./guardrails-schema.ts";
import {
  count,
  duration,
  keptTime,
  measured,
  modelName,
  name,
  share,
  size,
  timeZone,
  tokens,
} from "./setting-types.ts";
import { listenAddress } from "./units.ts";

/**
 * weir.yaml. Everything is optional and has its default here, except what only the operator can know. Names are in snake_case; the
 * environment variable of each is WEIR_ and its path in capitals (environment.ts).
 */

const listen = measured(listenAddress);

/** A value, or where it is: `env:NAME`, `file:/path`. Resolved after the whole file was found well-formed (secrets.ts). */
const secret = z.string().min(1);

const PEER = /^(https?:\/\/[^\s/,]+\/?|unix:\/[^\s,]+)$/;
/** One address, or one of each replica: a list, or a text with commas. */
const peer = z
  .union([z.string(), z.array(z.string()).min(1)])
  .transform((given) => (typeof given === "string" ? given.split(",").map((text) => text.trim()) : given))
  .refine(
    (addresses) => addresses.every((text) => PEER.test(text)),
    'is not "http://host:port" or "unix:/path", or several of them',
  );
const baseUrl = z.string().refine(isBaseUrl, "is not an http or https URL without user, query and fragment");

function isBaseUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.search === "" && url.hash === "";
}

const term = z.string().max(200).default("");

const provider = z.strictObject({
  kind: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "is not a provider's kind"),
  api_key: secret.optional(),
  api_keys: z.array(secret).max(16).default([]),
  base_url: baseUrl.optional(),
  region: z.string().min(1).max(64).optional(),
  /** What was agreed with it; shown, and decides nothing. */
  terms: z.strictObject({ dpa: term, retention: term, training: term }).prefault({}),
  /** What only its kind knows: each kind's file says which there are. */
  settings: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, "is not a setting's name"),
      z.union([z.string().min(1), z.number(), z.boolean()]).transform(String),
    )
    .default({}),
  headers: z
    .record(
      z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "is not a header's name"),
      z.string().regex(/^[\t\x20-\x7e]*$/, "is not a header's value"),
    )
    .default({}),
  timeouts: z
    .strictObject({
      connect: duration().prefault("5s"),
      first_byte: duration().prefault("120s"),
      idle: duration().prefault("60s"),
      slow: duration().optional(),
    })
    .prefault({}),
  max_connections: count.max(65_536).default(256),
  /** How many calls each of its targets may have at once; what is more waits in a queue. */
  concurrency: z.union([z.literal("adaptive"), count.max(65_536)]).optional(),
  queue: z
    .strictObject({ length: z.number().int().min(0).max(65_536).default(64), wait: duration().prefault("1s") })
    .prefault({}),
  health_check: z
    .strictObject({
      path: z.string().regex(/^\/[!-~]*$/, "is not a path"),
      interval: duration(1_000).prefault("10s"),
    })
    .optional(),
});

const strategy = z.enum([
  "priority",
  "weighted",
  "round-robin",
  "cost",
  "latency",
  "least-busy",
  "capability",
  "sticky",
]);

const model = z.strictObject({
  strategy: z.union([strategy, z.array(strategy).min(1).max(4)]).default("priority"),
  targets: z
    .array(
      z.strictObject({
        provider: name,
        model: modelName,
        weight: z.number().min(0).max(1_000_000).default(1),
      }),
    )
    .min(1, "needs at least one target"),
  fallbacks: z.array(modelName).default([]),
  /** Equal requests of a workspace get the same answer for so long; `semantic`: requests whose questions are alike, too. */
  cache: z
    .strictObject({
      ttl: duration(1_000),
      semantic: z
        .strictObject({
          embedding_model: modelName,
          threshold: z.number().min(0.5).max(1).default(0.95),
          ttl: duration(1_000).optional(),
          max_entries: z.int().min(1).max(10_000).default(1_000),
        })
        .optional(),
    })
    .optional(),
  /** A second attempt beside one that takes so long; the budget is the most of them for each request. */
  hedge: z.strictObject({ after: z.union([z.literal("p95"), duration()]), budget: share.prefault("5%") }).optional(),
  /** The first whose expression (CEL) is true says which other model is used. */
  rules: z
    .array(z.strictObject({ when: z.string().min(1).max(4_096), use: modelName }))
    .max(64)
    .default([]),
  canary: z.strictObject({ provider: name, model: modelName, percent: z.number().min(0).max(100) }).optional(),
  /** Gets copies of requests, whose answers nobody sees. */
  shadow: z
    .strictObject({
      provider: name,
      model: modelName,
      percent: z.number().min(0).max(100),
      key_id: z.uuid("is the id of a key, as `weir keys list` shows it: never the key itself"),
      max_concurrent: z.int().min(1).max(1_000).default(10),
    })
    .optional(),
  price: price.optional(),
  context_window: tokens.optional(),
  max_output_tokens: tokens.optional(),
});

/** How long the audit log keeps what. */
const retention = z.strictObject({ records: keptTime.optional(), payloads: keptTime.optional() });

const workspace = z.strictObject({
  /** What the audit log keeps of the texts. */
  payloads: payloads.default("hashes"),
  /** In which its budgets' days, weeks and months are. */
  time_zone: timeZone.default("UTC"),
  rules: rules.prefault({}),
  /** Beside what `rules` says. */
  allowed_models: z.array(modelName).default([]),
  max_output_tokens: tokens.optional(),
  budgets: z.array(budget).default([]),
  limits: z.array(limit).default([]),
  retention: retention.optional(),
});

const headPlace = z
  .string()
  .regex(/^(nats|file:.+|https?:\/\/.+)$/, "is not `nats`, `file:` with a path, or the URL of a witness");

/** An issuer of tokens that may be internal, or plain http. */
const origin = z
  .string()
  .refine(
    (text) => URL.canParse(text) && new URL(text).origin === text,
    "is not an origin like https://id.internal:8443",
  );

const http = z.strictObject({
  listen: listen.prefault("127.0.0.1:8080"),
  max_body_bytes: size(1024).prefault("32MiB"),
  max_buffered_bytes: size(1024).prefault("1GiB"),
  max_header_bytes: size(1024).prefault("32KiB"),
  request_timeout: duration().prefault("60s"),
  answer_timeout: duration().prefault("15m"),
  stalled_client_timeout: duration().prefault("60s"),
  max_connections: count.default(10_000),
  drain_timeout: duration().prefault("30s"),
  drain_delay: duration(0).prefault("0s"),
});

/** Addresses and CIDR ranges: a list, or a text with commas. */
const ranges = z
  .union([z.string(), z.array(z.string())])
  .transform((given) => (typeof given === "string" ? given.split(",").map((text) => text.trim()) : given))
  .refine(
    (texts) => texts.every((text) => rangeOf(text) !== undefined),
    "is no address and no range like 10.0.0.0/8 or 2001:db8::/32, without bits beyond its prefix",
  );

export const fileSchema = z.strictObject({
  providers: z.record(name, provider).default({}),
  models: z.record(modelName, model).default({}),
  contracts: z.record(name, contract).default({}),
  guardrails: z.record(name, guardrail).default({}),
  workspaces: z.record(name, workspace).default({}),
  http: http.prefault({}),
  rpc: z.strictObject({ listen: listen.prefault("127.0.0.1:8081") }).prefault({}),
  data_dir: z.string().min(1).default(".weir"),
  instance: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "is not a name: up to 63 letters, digits, dots, underscores and dashes")
    .optional(),
  trusted_proxies: ranges.default([]),
  bootstrap_key: secret.optional(),
  hmac_key: secret.optional(),
  admin_token: secret.optional(),
  mesh_token: secret.optional(),
  database_url: secret.optional(),
  redis_url: secret.optional(),
  nats_url: secret.optional(),
  peer: z
    .strictObject({
      policy: peer.optional(),
      router: peer.optional(),
      audit: peer.optional(),
      evaluation: peer.optional(),
      ingress: peer.optional(),
    })
    .prefault({}),
  policy: z
    .strictObject({ grace: duration(1_000).prefault("60s"), store_grace: duration(1_000).prefault("24h") })
    .prefault({}),
  oidc: z.strictObject({ internal_origins: z.array(origin).default([]) }).prefault({}),
  secrets: z.strictObject({ refresh: duration(1_000).default(60_000) }).prefault({}),
  webhooks: z.strictObject({ internal_origins: z.array(origin).default([]) }).prefault({}),
  ledger: z.strictObject({ keep_entries: duration(36 * 86_400_000).prefault("400d") }).prefault({}),
  cache: z.strictObject({ max_bytes: size(2 ** 20).prefault("128MiB") }).prefault({}),
  spool: z.strictObject({ max_bytes: size(2 ** 20).prefault("4GiB"), strict: z.boolean().default(false) }).prefault({}),
  audit: z
    .strictObject({
      head_interval: duration(100).prefault("60s"),
      heads_to: z.array(headPlace).default(["file:tree-heads.jsonl"]),
      payload_key: secret.optional(),
      payload_key_before: secret.optional(),
      transport_key_interval: duration(60_000).prefault("24h"),
      retention: retention.extend({ every: duration(1_000).prefault("1h") }).prefault({}),
    })
    .prefault({}),
  evaluation: evaluation.prefault({}),
  log: z
    .strictObject({ level: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info") })
    .prefault({}),
});

export type ConfigFile = z.infer<typeof fileSchema>;
