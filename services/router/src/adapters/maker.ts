import type { ProviderConfig } from "@weir/config";
import { credentialHttp } from "@weir/credentials";
import { headerLine } from "@weir/http1";
import type { Clock } from "@weir/kernel";
import type { Wire } from "../domain/wire.ts";
import type { RenderedEndpoint, Transport, Upstream } from "../ports.ts";
import type { Account, ProviderKind } from "../providers/provider.ts";
import { loadKind, type ProviderLoader } from "../providers/registry.ts";
import { authorizedTransport } from "./authorized-transport.ts";
import { localAnswers } from "./local-answers.ts";
import { joinPath, parseBaseUrl, type ProviderHttpOptions, providerHttp } from "./provider-http.ts";

/** A configured provider, for making its targets. */
export interface Maker {
  readonly config: ProviderConfig;
  readonly kind: ProviderKind;
  readonly account: Account;
  readonly upstream: Upstream;
  readonly base: ReturnType<typeof parseBaseUrl>;
}

export interface MakerOptions {
  readonly load?: ProviderLoader | undefined;
  readonly tls?: ProviderHttpOptions["tls"];
  readonly clock: Clock;
  /** Where clouds' own tools look for credentials. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told why a provider has no credential. */
  readonly onCredentialFailure: (provider: string, error: unknown) => void;
}

/** @throws Error for a provider of an unknown kind, without an address, or with settings that its kind does not have */
export async function makerOf(config: ProviderConfig, options: MakerOptions): Promise<Maker> {
  const kind = await loadKind(config.kind, options.load);
  const account = accountOf(config, kind, options.env);
  const { answer } = kind;
  const url = config.baseUrl ?? (typeof kind.baseUrl === "function" ? kind.baseUrl(account) : kind.baseUrl);
  if (url === undefined && answer === undefined) throw new Error(`provider "${config.name}" needs a base_url`);
  const base = parseBaseUrl(url ?? "http://localhost");
  const { tls } = options;
  const authorizer = kind.authorize?.(account, {
    http: credentialHttp(tls),
    clock: options.clock,
    host: new URL(base.origin).host,
  });
  const plain: Transport =
    answer === undefined
      ? providerHttp(base, {
          maxConnections: config.maxConnections,
          timeouts: config.timeouts,
          ...(tls === undefined ? {} : { tls }),
        })
      : localAnswers(answer);
  const transport =
    authorizer === undefined
      ? plain
      : authorizedTransport(plain, authorizer, (error) => options.onCredentialFailure(config.name, error));
  const secrets = secretsOf(config, kind);
  const betrays = (text: string): boolean =>
    secrets.some((secret) => text.includes(secret)) || authorizer?.betrays(text) === true;
  const stats = { succeeded: 0n, failed: 0n, inFlight: 0, lastFailureMs: 0, lastError: undefined };
  const forwards = matcherOf(kind.forwards);
  return {
    config,
    kind,
    account,
    base,
    upstream: {
      name: config.name,
      kind: config.kind,
      origin: answer === undefined ? base.origin : "",
      region: config.region ?? "",
      terms: config.terms ?? NO_TERMS,
      transport,
      forwards,
      betrays,
      stats,
    },
  };
}

const NO_TERMS = { dpa: "", retention: "", training: "" };

function accountOf(config: ProviderConfig, kind: ProviderKind, env: MakerOptions["env"]): Account {
  const { name, settings } = config;
  const known = kind.settings ?? {};
  for (const setting of Object.keys(settings))
    if (!Object.hasOwn(known, setting)) {
      const all = Object.keys(known).join(", ");
      throw new Error(
        `provider "${name}": a provider of kind ${config.kind} has no setting "${setting}"${all === "" ? "" : `, only ${all}`}`,
      );
    }
  return {
    name,
    apiKey: config.apiKey?.reveal() ?? "",
    region: config.region ?? "",
    baseUrl: config.baseUrl,
    setting: (setting) => (Object.hasOwn(settings, setting) ? (settings[setting]?.reveal() ?? "") : ""),
    env,
  };
}

/** What no answer may repeat. */
const CREDENTIAL_HEADER = /auth|key|token|secret|cookie|passw/i;
/** Of shorter ones any text may have one by chance. */
const SHORTEST_SECRET = 8;

/** What a provider may have been shown and its answers must not tell: also what headers of the operator's own carry. */
function secretsOf({ apiKey, settings, headers }: ProviderConfig, kind: ProviderKind): readonly string[] {
  const secrets = [apiKey?.reveal() ?? ""];
  for (const [setting, type] of Object.entries(kind.settings ?? {}))
    if (type === "secret" && Object.hasOwn(settings, setting)) secrets.push(settings[setting]?.reveal() ?? "");
  for (const [name, value] of Object.entries(headers)) {
    if (!CREDENTIAL_HEADER.test(name)) continue;
    // "Bearer …": a provider repeats the part behind it.
    secrets.push(...value.split(/\s+/).filter((part) => part.length >= SHORTEST_SECRET));
  }
  return secrets.filter((secret) => secret !== "");
}

function matcherOf(names: readonly string[]): (name: string) => boolean {
  if (names.length === 0) return () => false;
  const exact = new Set(names.filter((name) => !name.endsWith("*")));
  const prefixes = names.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  return (name) => exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}

export const wiresOf = ({ wires }: ProviderKind, model: string): readonly Wire[] =>
  typeof wires === "function" ? wires(model) : wires;

export function renderedEndpoint(
  { config, kind, account, base }: Maker,
  model: string,
  wire: Wire,
  stream: boolean,
): RenderedEndpoint {
  const { path, headers } = kind.endpoint({ ...account, model, wire, stream });
  const lines = new Map<string, string>([
    ["content-type", "application/json"],
    ["accept", stream ? "text/event-stream" : "application/json"],
    ["accept-encoding", "identity"],
    ["user-agent", "weir"],
  ]);
  for (const [name, value] of headers) lines.set(name.toLowerCase(), value);
  for (const [name, value] of Object.entries(config.headers)) lines.set(name.toLowerCase(), value);
  return { path: joinPath(base, path), headers: [...lines].map(([name, value]) => headerLine(name, value)).join("") };
}
