import { sign } from "node:crypto";
import {
  CredentialError,
  type CredentialHttp,
  FORM,
  formOf,
  type JsonObject,
  objectIn,
  type Renewable,
  textIn,
} from "@weir/credentials";
import { fetchToken } from "./oauth-token.ts";

const SCOPE = "https://www.googleapis.com/auth/cloud-platform";
const LIFE_S = 3600;
const LOCAL_MS = 2_000;

/** Where Google's own libraries find who they are. */
export interface GoogleAccount {
  /** A service account's or a user's file, as JSON; undefined: ask the machine (GCE, GKE, Cloud Run). */
  readonly file: JsonObject | undefined;
  /** The metadata service's host. */
  readonly metadataHost: string;
}

/** @throws CredentialError where the text is no credentials file that can be used */
export function googleFile(text: string): JsonObject {
  const file = objectIn(text, "the credentials file");
  const { type } = file;
  if (type === "service_account" || type === "authorized_user") return file;
  throw new CredentialError("the credentials file is neither a service account's nor a user's", false);
}

/** An access token for Google Cloud (https://developers.google.com/identity/protocols/oauth2/service-account). @throws CredentialError */
export async function googleToken(
  { file, metadataHost }: GoogleAccount,
  http: CredentialHttp,
  nowMs: number,
): Promise<Renewable<string>> {
  if (file === undefined) {
    const url = `http://${metadataHost}/computeMetadata/v1/instance/service-accounts/default/token`;
    const headers = { "metadata-flavor": "Google" };
    return fetchToken(http, { method: "GET", url, headers, timeoutMs: LOCAL_MS }, nowMs);
  }
  const given = file["token_uri"];
  const url = typeof given === "string" && given !== "" ? given : "https://oauth2.googleapis.com/token";
  const form =
    file["type"] === "authorized_user"
      ? {
          grant_type: "refresh_token",
          client_id: textIn(file, "client_id", "the credentials file"),
          client_secret: textIn(file, "client_secret", "the credentials file"),
          refresh_token: textIn(file, "refresh_token", "the credentials file"),
        }
      : { grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion: assertionOf(file, url, nowMs) };
  return fetchToken(http, { method: "POST", url, headers: FORM, body: formOf(form) }, nowMs);
}

/** A JWT (RFC 7523) that says who asks, sealed with the service account's own key. */
export function assertionOf(file: JsonObject, audience: string, nowMs: number): string {
  const where = "the credentials file";
  const issuedS = Math.floor(nowMs / 1000);
  const id = file["private_key_id"];
  const header = { alg: "RS256", typ: "JWT", ...(typeof id === "string" ? { kid: id } : {}) };
  const claims = {
    iss: textIn(file, "client_email", where),
    scope: SCOPE,
    aud: audience,
    iat: issuedS,
    exp: issuedS + LIFE_S,
  };
  const content = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  let seal: Buffer;
  try {
    seal = sign("RSA-SHA256", Buffer.from(content), textIn(file, "private_key", where));
  } catch (error) {
    if (error instanceof CredentialError) throw error;
    throw new CredentialError("the credentials file's private_key is no RSA key", false);
  }
  return `${content}.${seal.toString("base64url")}`;
}
