import { hostname } from "node:os";
import { resolve } from "node:path";
import { Secret } from "@weir/kernel";
import { mergeRules, NO_RULES } from "@weir/rules";
import { z } from "zod";
import type { Environment } from "./environment.ts";
import { checkModels, completeModel } from "./complete-models.ts";
import { completeContract } from "./price-schema.ts";
import type { Path } from "./problems.ts";
import { completeBudget, completeLimit, completeRules } from "./bounds-schema.ts";
import { completeEvaluation } from "./evaluation-schema.ts";
import { completeGuardrail } from "./guardrails-schema.ts";
import { type ConfigFile, fileSchema } from "./schema.ts";
import { type RemoteSecrets, resolveReference } from "./secrets.ts";
import { didYouMean } from "./suggest.ts";
import type { ProviderConfig, RetentionSeed, WeirConfig, WorkspaceSeed } from "./types.ts";

type Report = (path: Path, message: string) => void;

/** Providers that register themselves where their usual variable is set and the file has none of that kind. */
const WELL_KNOWN = [
  { name: "openai", kind: "openai", variable: "OPENAI_API_KEY" },
  { name: "anthropic", kind: "anthropic", variable: "ANTHROPIC_API_KEY" },
  { name: "gemini", kind: "gemini", variable: "GEMINI_API_KEY" },
] as const;

export interface Surroundings {
  /** What relative paths are relative to. */
  readonly directory: string;
  readonly providerSecrets: boolean;
  readonly remote: RemoteSecrets;
}

/** From the well-formed file to what the services take: secrets fetched, names checked against each other, defaults that need a look around. */
export function complete(
  file: ConfigFile,
  env: Environment,
  { directory, providerSecrets, remote }: Surroundings,
  report: Report,
): WeirConfig {
  const text = (path: Path, reference: string): string => {
    try {
      return resolveReference(reference, env, remote);
    } catch (error) {
      report(path, error instanceof Error ? error.message : "cannot be read");
      return "";
    }
  };
  const secret = (path: Path, reference: string | undefined): Secret | undefined =>
    reference === undefined ? undefined : new Secret(text(path, reference));

  const providers = completeProviders(file, env, providerSecrets ? { text, secret } : undefined);
  checkNames(file, providers, report);
  const { http, rpc, spool, log } = file;
  if (http.max_buffered_bytes < http.max_body_bytes)
    report(["http", "max_buffered_bytes"], "is less than http.max_body_bytes: such a body would never be taken");
  return {
    providers,
    models: mapped(file.models, completeModel),
    contracts: Object.entries(file.contracts).map(([id, from]) => completeContract(id, from)),
    guardrails: mapped(file.guardrails, (name, from) =>
      completeGuardrail(from, (index, reference) =>
        secret(["guardrails", name, "external", index, "secret"], reference),
      ),
    ),
    workspaces: mapped({ default: EMPTY_WORKSPACE, ...file.workspaces }, completeWorkspace),
    http: {
      listen: http.listen,
      maxBodyBytes: http.max_body_bytes,
      maxBufferedBytes: http.max_buffered_bytes,
      maxHeaderBytes: http.max_header_bytes,
      requestTimeoutMs: http.request_timeout,
      answerTimeoutMs: http.answer_timeout,
      stalledClientMs: http.stalled_client_timeout,
      maxConnections: http.max_connections,
      drainMs: http.drain_timeout,
      drainDelayMs: http.drain_delay,
    },
    rpc,
    dataDir: resolve(directory, file.data_dir),
    instance: file.instance ?? instanceOf(hostname()),
    trustedProxies: file.trusted_proxies,
    bootstrapKey: secret(["bootstrap_key"], file.bootstrap_key),
    hmacKey: secret(["hmac_key"], file.hmac_key),
    adminToken: secret(["admin_token"], file.admin_token),
    meshToken: secret(["mesh_token"], file.mesh_token),
    databaseUrl: secret(["database_url"], file.database_url),
    redisUrl: secret(["redis_url"], file.redis_url),
    natsUrl: secret(["nats_url"], file.nats_url),
    peers: file.peer,
    policy: { graceMs: file.policy.grace, storeGraceMs: file.policy.store_grace },
    audit: {
      headIntervalMs: file.audit.head_interval,
      headsTo: file.audit.heads_to,
      retention: completeRetention(file.audit.retention),
      retentionEveryMs: file.audit.retention.every,
      payloadKeys: [
        secret(["audit", "payload_key"], file.audit.payload_key),
        secret(["audit", "payload_key_before"], file.audit.payload_key_before),
      ].filter((key) => key !== undefined),
      transportKeyIntervalMs: file.audit.transport_key_interval,
    },
    oidc: { internalOrigins: file.oidc.internal_origins },
    webhooks: { internalOrigins: file.webhooks.internal_origins },
    secrets: { refreshMs: file.secrets.refresh },
    ledger: { keepEntriesMs: file.ledger.keep_entries },
    cache: { maxBytes: file.cache.max_bytes },
    spool: { maxBytes: spool.max_bytes, strict: spool.strict },
    evaluation: completeEvaluation(file.evaluation, (path, reference) => secret(["evaluation", ...path], reference)),
    log,
  };
}

const mapped = <In, Out>(
  entries: Readonly<Record<string, In>>,
  make: (name: string, value: In) => Out,
): Map<string, Out> => new Map(Object.entries(entries).map(([name, value]) => [name, make(name, value)]));

const instanceOf = (host: string): string =>
  host
    .replaceAll(/[^A-Za-z0-9._-]/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 63) || "weir";

function completeProviders(
  file: ConfigFile,
  env: Environment,
  /** Undefined: for a service that calls no provider and must not hold their keys. */
  read:
    | {
        text: (path: Path, reference: string) => string;
        secret: (path: Path, reference: string | undefined) => Secret | undefined;
      }
    | undefined,
): Map<string, ProviderConfig> {
  const providers = mapped(file.providers, (name, from): ProviderConfig => {
    const path = ["providers", name];
    const headers = Object.entries(read === undefined ? {} : from.headers).map(([header, value]) => [
      header,
      read?.text([...path, "headers", header], value),
    ]);
    const settings = Object.entries(read === undefined ? {} : from.settings).map(([setting, value]) => [
      setting,
      read?.secret([...path, "settings", setting], value),
    ]);
    return {
      name,
      kind: from.kind,
      ...apiKeys(
        [
          read?.secret([...path, "api_key"], from.api_key),
          ...from.api_keys.map((key, at) => read?.secret([...path, "api_keys", at], key)),
        ].filter((key) => key !== undefined),
      ),
      baseUrl: from.base_url?.replace(/\/+$/, ""),
      region: from.region,
      terms: from.terms,
      settings: Object.fromEntries(settings) as Record<string, Secret>,
      headers: Object.fromEntries(headers) as Record<string, string>,
      timeouts: {
        connectMs: from.timeouts.connect,
        firstByteMs: from.timeouts.first_byte,
        idleMs: from.timeouts.idle,
        slowMs: from.timeouts.slow,
      },
      maxConnections: from.max_connections,
      concurrency: from.concurrency,
      queue: { length: from.queue.length, waitMs: from.queue.wait },
      healthCheck: from.health_check && { path: from.health_check.path, intervalMs: from.health_check.interval },
    };
  });
  const configured = [...providers.values()];
  for (const { name, kind, variable } of WELL_KNOWN) {
    const key = env[variable] ?? "";
    // Who must not have the key cannot know whether the provider is there; models may name it.
    if (
      (read !== undefined && key === "") ||
      providers.has(name) ||
      configured.some((provider) => provider.kind === kind)
    )
      continue;
    providers.set(name, plainProvider(name, kind, read && new Secret(key)));
  }
  if (!providers.has("echo")) providers.set("echo", plainProvider("echo", "echo", undefined));
  return providers;
}

/** A provider with a list only begins with the first of it. */
const apiKeys = ([apiKey, ...moreApiKeys]: readonly Secret[]): Pick<ProviderConfig, "apiKey" | "moreApiKeys"> => ({
  apiKey,
  moreApiKeys,
});

const plainProvider = (name: string, kind: string, apiKey: Secret | undefined): ProviderConfig => ({
  name,
  kind,
  apiKey,
  moreApiKeys: [],
  baseUrl: undefined,
  region: undefined,
  settings: {},
  headers: {},
  timeouts: { connectMs: 5_000, firstByteMs: 120_000, idleMs: 60_000, slowMs: undefined },
  maxConnections: 256,
});

function checkNames(file: ConfigFile, providers: ReadonlyMap<string, unknown>, report: Report): void {
  for (const [id, contract] of Object.entries(file.contracts)) {
    if (providers.has(contract.provider)) continue;
    const hint = didYouMean(contract.provider, providers.keys());
    report(["contracts", id, "provider"], `there is no provider ${JSON.stringify(contract.provider)}${hint}`);
  }
  checkModels(file, providers, report);
}

type WorkspaceFile = ConfigFile["workspaces"][string];

const EMPTY_WORKSPACE: WorkspaceFile = z.parse(fileSchema.shape.workspaces.unwrap().valueType, {});

function completeWorkspace(name: string, from: WorkspaceFile): WorkspaceSeed {
  return {
    name,
    payloads: from.payloads,
    timeZone: from.time_zone,
    rules: mergeRules([
      completeRules(from.rules),
      { ...NO_RULES, allowedModels: from.allowed_models, maxOutputTokens: from.max_output_tokens ?? 0 },
    ]),
    budgets: from.budgets.map(completeBudget),
    limits: from.limits.map(completeLimit),
    retention: from.retention && completeRetention(from.retention),
  };
}

const completeRetention = ({
  records,
  payloads,
}: NonNullable<WorkspaceFile["retention"]>): RetentionSeed | undefined =>
  records === undefined && payloads === undefined ? undefined : { recordsMs: records ?? 0, payloadsMs: payloads ?? 0 };
