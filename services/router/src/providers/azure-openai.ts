import { bearerAuthorizer } from "../adapters/authorizers.ts";
import { entraToken } from "../adapters/entra-token.ts";
import {
  type Account,
  type Endpoint,
  type EndpointTarget,
  type ProviderKinds,
  required,
  standardOutputCaps,
} from "./provider.ts";

const PATHS: Partial<Record<EndpointTarget["wire"], string>> = {
  "openai-chat": "/chat/completions",
  "openai-responses": "/responses",
  "openai-embeddings": "/embeddings",
};
/** Of addresses that hold the deployment, which exist with a version only. */
const STABLE_VERSION = "2024-10-21";

/**
 * Azure OpenAI in both of its faces (https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle): v1, where the body names
 * the deployment; and, with a dated api_version, the older one, where the path does. Responses are in v1 only. The base URL is a
 * resource's, with or without what Azure's portal shows after it.
 */
function pathOf({ baseUrl, wire, model, setting }: EndpointTarget): string {
  const below = new URL(baseUrl ?? "https://unknown").pathname.replace(/\/+$/, "");
  const method = PATHS[wire] ?? "/chat/completions";
  const version = setting("api_version");
  if (below.includes("/deployments/")) return `${method}?api-version=${encodeURIComponent(version || STABLE_VERSION)}`;
  const dated = /^\d/.test(version);
  const query = version === "" || version === "v1" || dated ? "" : `?api-version=${encodeURIComponent(version)}`;
  if (below.endsWith("/openai/v1")) return method + query;
  const start = below.endsWith("/openai") ? "" : "/openai";
  if (!dated || wire === "openai-responses") return `${start}/v1${method}${query}`;
  return `${start}/deployments/${encodeURIComponent(model)}${method}?api-version=${encodeURIComponent(version)}`;
}

const byIdentity = (account: Account): boolean =>
  account.setting("tenant_id") !== "" || account.setting("managed_identity") === "true";

/** Azure OpenAI, with a resource's key, or as an application of Entra ID, or by the machine's own identity. */
export const kinds: ProviderKinds = {
  "azure-openai": {
    baseUrl: undefined,
    settings: {
      api_version: "text",
      tenant_id: "text",
      client_id: "text",
      client_secret: "secret",
      managed_identity: "text",
      authority: "text",
    },
    wires: ["openai-chat", "openai-responses", "openai-embeddings"],
    priceBook: "azure",
    endpoint: (target): Endpoint => ({
      path: pathOf(target),
      headers: byIdentity(target) ? [] : [["api-key", target.apiKey]],
    }),
    authorize(account, { http, clock }) {
      if (!byIdentity(account)) {
        required(account, account.apiKey, "an api_key, settings.tenant_id or settings.managed_identity");
        return undefined;
      }
      const entra = {
        tenantId: account.setting("tenant_id"),
        clientId: account.setting("client_id"),
        clientSecret: account.setting("client_secret"),
        authority: account.setting("authority") || "https://login.microsoftonline.com",
        env: account.env,
      };
      return bearerAuthorizer((nowMs) => entraToken(entra, http, nowMs), clock);
    },
    forwards: ["openai-beta"],
    quirks: { outputCaps: standardOutputCaps, asksForUsage: true },
  },
};
