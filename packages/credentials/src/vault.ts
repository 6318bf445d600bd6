/**
 * Secrets of HashiCorp Vault's KV engine, version 2 (https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2), asked for with a token, an
 * AppRole or a Kubernetes service account. Settings are those of Vault's own tools where they have them.
 */
import { readFileSync } from "node:fs";
import { CredentialError, type CredentialHttp, type JsonObject, objectIn } from "./credential-http.ts";

type Environment = Readonly<Record<string, string | undefined>>;

interface Token {
  readonly text: string;
  /** Infinity: never. */
  readonly expiresAtMs: number;
  readonly renewAtMs: number;
  readonly renewable: boolean;
}

const KUBERNETES_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/** A third of its life before a token ends it is renewed, as Vault's agent does it. */
const RENEW_AFTER = 2 / 3;

export class Vault {
  readonly #env: Environment;
  readonly #http: CredentialHttp;
  readonly #nowMs: () => number;
  #token: Token | undefined;

  constructor(env: Environment, http: CredentialHttp, nowMs: () => number) {
    this.#env = env;
    this.#http = http;
    this.#nowMs = nowMs;
  }

  /** @param path as the API has it: secret/data/llm. @throws CredentialError */
  async read(path: string): Promise<JsonObject> {
    const kept = this.#token;
    const token = await this.#valid();
    try {
      return await this.#secret(path, token);
    } catch (error) {
      // A token may be revoked before its time: who logs in gets another, once.
      if (!(error instanceof CredentialError) || error.status !== 403 || kept === undefined || !this.#logsIn())
        throw error;
      this.#token = undefined;
      return this.#secret(path, await this.#valid());
    }
  }

  async #secret(path: string, token: string): Promise<JsonObject> {
    const where = `Vault's ${path}`;
    const answer = objectIn(await this.#ask("GET", path, token), where);
    const data = member(answer, "data");
    const values = data && member(data, "data");
    if (values === undefined || data?.["metadata"] === undefined)
      throw new CredentialError(
        `${where} is no secret of a KV engine of version 2 (is it <mount>/data/<name>?)`,
        false,
      );
    return values;
  }

  async #valid(): Promise<string> {
    const nowMs = this.#nowMs();
    const token = this.#token;
    if (token !== undefined && nowMs < token.renewAtMs) return token.text;
    if (token !== undefined && token.renewable && nowMs < token.expiresAtMs) {
      try {
        this.#token = await this.#renewed(token.text);
        return this.#token.text;
      } catch (error) {
        if (!(error instanceof CredentialError)) throw error;
        // It has reached its longest life, or Vault is away: then what comes next says so.
      }
    }
    this.#token = this.#logsIn() ? await this.#login() : await this.#given();
    return this.#token.text;
  }

  async #renewed(token: string): Promise<Token> {
    return this.#tokenIn(await this.#ask("POST", "auth/token/renew-self", token, {}), "the renewal of Vault's token");
  }

  #logsIn(): boolean {
    return !this.#set("VAULT_TOKEN") && !this.#set("VAULT_TOKEN_FILE");
  }

  async #login(): Promise<Token> {
    const env = this.#env;
    const role = env["VAULT_ROLE_ID"] ?? "";
    const kubernetes = env["VAULT_KUBERNETES_ROLE"] ?? "";
    if (role !== "") {
      const file = env["VAULT_SECRET_ID_FILE"] ?? "";
      const secret = file === "" ? env["VAULT_SECRET_ID"] : textOf(file);
      const mount = env["VAULT_APPROLE_MOUNT"] || "approle";
      const body = { role_id: role, ...(secret === undefined ? {} : { secret_id: secret }) };
      return this.#tokenIn(await this.#ask("POST", `auth/${mount}/login`, undefined, body), "Vault's login by AppRole");
    }
    if (kubernetes !== "") {
      const jwt = textOf(env["VAULT_KUBERNETES_TOKEN_FILE"] || KUBERNETES_TOKEN);
      const mount = env["VAULT_KUBERNETES_MOUNT"] || "kubernetes";
      const answer = await this.#ask("POST", `auth/${mount}/login`, undefined, { role: kubernetes, jwt });
      return this.#tokenIn(answer, "Vault's login by Kubernetes");
    }
    throw new CredentialError("set VAULT_TOKEN, VAULT_TOKEN_FILE, VAULT_ROLE_ID or VAULT_KUBERNETES_ROLE", false);
  }

  /** A token that somebody gave us; a file is read again, as Vault's agent writes it anew. */
  async #given(): Promise<Token> {
    const file = this.#env["VAULT_TOKEN_FILE"] ?? "";
    const text = file === "" ? (this.#env["VAULT_TOKEN"] ?? "") : textOf(file);
    const answer = objectIn(await this.#ask("GET", "auth/token/lookup-self", text), "Vault's word about its token");
    const data = member(answer, "data") ?? {};
    return this.#lasting(text, Number(data["ttl"] ?? 0), data["renewable"] === true);
  }

  #tokenIn(text: string, where: string): Token {
    const auth = member(objectIn(text, where), "auth");
    const token = auth?.["client_token"];
    if (auth === undefined || typeof token !== "string" || token === "")
      throw new CredentialError(`${where} gave no token`, true);
    return this.#lasting(token, Number(auth["lease_duration"] ?? 0), auth["renewable"] === true);
  }

  /** A life of 0 s is one without end, as of root tokens. */
  #lasting(text: string, seconds: number, renewable: boolean): Token {
    const nowMs = this.#nowMs();
    const lifeMs = seconds > 0 ? seconds * 1000 : Infinity;
    return { text, renewable, expiresAtMs: nowMs + lifeMs, renewAtMs: nowMs + lifeMs * RENEW_AFTER };
  }

  #ask(method: "GET" | "POST", path: string, token: string | undefined, body?: object): Promise<string> {
    const address = (this.#env["VAULT_ADDR"] ?? "").replace(/\/+$/, "");
    if (address === "") throw new CredentialError("VAULT_ADDR is not set", false);
    const namespace = this.#env["VAULT_NAMESPACE"] ?? "";
    return this.#http({
      method,
      url: `${address}/v1/${path}`,
      headers: {
        "x-vault-request": "true",
        ...(token === undefined ? {} : { "x-vault-token": token }),
        ...(namespace === "" ? {} : { "x-vault-namespace": namespace }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  #set(name: string): boolean {
    return (this.#env[name] ?? "") !== "";
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new CredentialError(`${path} cannot be read`, false, { cause: error });
  }
}

function member(object: JsonObject, name: string): JsonObject | undefined {
  const value = object[name];
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}
