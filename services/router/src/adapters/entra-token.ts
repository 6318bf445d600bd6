import { readFileSync } from "node:fs";
import { CredentialError, type CredentialHttp, FORM, formOf, type Renewable } from "@weir/credentials";
import { fetchToken } from "./oauth-token.ts";

const RESOURCE = "https://cognitiveservices.azure.com";
const LOCAL_MS = 5_000;

export interface EntraAccount {
  /** "": by managed identity. */
  readonly tenantId: string;
  /** With a managed identity: which, where there are several; "": the machine's own. */
  readonly clientId: string;
  /** "": by the federated token of a workload identity. */
  readonly clientSecret: string;
  /** Who gives out tokens: "https://login.microsoftonline.com", or a national cloud's. */
  readonly authority: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * An access token for Azure OpenAI: client credentials (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow),
 * with a secret or a workload identity's token; else the managed identity of the app service or the machine.
 * @throws CredentialError
 */
export async function entraToken(
  account: EntraAccount,
  http: CredentialHttp,
  nowMs: number,
): Promise<Renewable<string>> {
  const { tenantId, clientId, clientSecret, authority, env } = account;
  if (tenantId === "") return managed(account, http, nowMs);
  const proof =
    clientSecret === ""
      ? {
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          client_assertion: federated(env["AZURE_FEDERATED_TOKEN_FILE"] ?? ""),
        }
      : { client_secret: clientSecret };
  const body = formOf({
    grant_type: "client_credentials",
    client_id: clientId,
    scope: `${RESOURCE}/.default`,
    ...proof,
  });
  const url = `${authority.replace(/\/$/, "")}/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`;
  return fetchToken(http, { method: "POST", url, headers: FORM, body }, nowMs);
}

function federated(file: string): string {
  if (file === "")
    throw new CredentialError("settings.client_secret is missing, and there is no AZURE_FEDERATED_TOKEN_FILE", false);
  try {
    return readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new CredentialError(`${file} cannot be read`, false, { cause });
  }
}

function managed({ clientId, env }: EntraAccount, http: CredentialHttp, nowMs: number): Promise<Renewable<string>> {
  const which = clientId === "" ? "" : `&client_id=${encodeURIComponent(clientId)}`;
  const resource = encodeURIComponent(RESOURCE);
  const endpoint = env["IDENTITY_ENDPOINT"] ?? "";
  const secret = env["IDENTITY_HEADER"] ?? "";
  if (endpoint !== "" && secret !== "") {
    const url = `${endpoint}?api-version=2019-08-01&resource=${resource}${which}`;
    return fetchToken(
      http,
      { method: "GET", url, headers: { "x-identity-header": secret }, timeoutMs: LOCAL_MS },
      nowMs,
    );
  }
  const host = (env["AZURE_POD_IDENTITY_AUTHORITY_HOST"] ?? "http://169.254.169.254").replace(/\/$/, "");
  const url = `${host}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${resource}${which}`;
  return fetchToken(http, { method: "GET", url, headers: { metadata: "true" }, timeoutMs: LOCAL_MS }, nowMs);
}
