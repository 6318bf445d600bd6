/** Against servers that speak the APIs of Vault and of Secrets Manager, as far as they are used. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { remoteSecrets, signAws } from "./index.ts";

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}
type Answer = readonly [status: number, body: object];

let server: Server;
let origin: string;
let asked: Asked[];
let answer: (asked: Asked) => Answer;
let folder: string;

beforeEach(async () => {
  asked = [];
  folder = mkdtempSync(join(tmpdir(), "weir-secrets-"));
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      const one = { method: request.method ?? "", path: request.url ?? "", headers: request.headers, body };
      asked.push(one);
      const [status, value] = answer(one);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const DENIED: Answer = [403, { errors: ["permission denied"] }];

/** KV v2 behind tokens that end. */
function fakeVault() {
  const state = {
    nowMs: 1_000_000,
    values: { anthropic: "sk-one", openai: "sk-two" } as Record<string, string>,
    tokens: new Map<string, number>(),
    leaseS: 300,
    renewable: true,
    logins: 0,
    renewals: 0,
  };
  const issue = (): object => {
    const token = `hvs.${state.logins + state.renewals}`;
    state.tokens.set(token, state.nowMs + state.leaseS * 1000);
    return { auth: { client_token: token, lease_duration: state.leaseS, renewable: state.renewable } };
  };
  answer = ({ method, path, headers, body }) => {
    if (headers["x-vault-namespace"] !== "team") return DENIED;
    const token = String(headers["x-vault-token"] ?? "");
    if (method === "POST" && path === "/v1/auth/approle/login") {
      if (body !== JSON.stringify({ role_id: "role", secret_id: "shh" })) return [400, { errors: ["invalid role"] }];
      state.logins += 1;
      return [200, issue()];
    }
    if (method === "POST" && path === "/v1/auth/kubernetes/login") {
      if (body !== JSON.stringify({ role: "weir", jwt: "eyJ.k8s" })) return DENIED;
      state.logins += 1;
      return [200, issue()];
    }
    if ((state.tokens.get(token) ?? 0) <= state.nowMs) return DENIED;
    if (path === "/v1/auth/token/lookup-self") return [200, { data: { ttl: state.leaseS, renewable: true } }];
    if (path === "/v1/auth/token/renew-self") {
      state.renewals += 1;
      state.tokens.set(token, state.nowMs + state.leaseS * 1000);
      return [200, { auth: { client_token: token, lease_duration: state.leaseS, renewable: true } }];
    }
    if (path === "/v1/secret/data/llm") return [200, { data: { data: state.values, metadata: { version: 3 } } }];
    if (path === "/v1/kv1/llm") return [200, { data: state.values }];
    return [404, { errors: [] }];
  };
  return state;
}

const APPROLE = () => ({ VAULT_ADDR: origin, VAULT_NAMESPACE: "team", VAULT_ROLE_ID: "role", VAULT_SECRET_ID: "shh" });

test("AppRole: one login and one read for all fields of a secret; a changed value is seen at the next fetch", async () => {
  const vault = fakeVault();
  const fetch = remoteSecrets(APPROLE(), () => vault.nowMs);
  const both = ["vault:secret/data/llm#anthropic", "vault:secret/data/llm#openai"];
  expect([...(await fetch(both)).values()]).toEqual(["sk-one", "sk-two"]);
  expect(asked.map(({ path }) => path)).toEqual(["/v1/auth/approle/login", "/v1/secret/data/llm"]);
  vault.values["anthropic"] = "sk-new";
  expect((await fetch(both)).get(both[0] ?? "")).toBe("sk-new");
  expect(vault.logins).toBe(1);
});

test("a token is renewed before it ends; one that ended, or was revoked, is followed by another login", async () => {
  const vault = fakeVault();
  const fetch = remoteSecrets(APPROLE(), () => vault.nowMs);
  const read = async () => (await fetch(["vault:secret/data/llm#openai"])).get("vault:secret/data/llm#openai");
  expect(await read()).toBe("sk-two");
  vault.nowMs += 210_000;
  expect(await read()).toBe("sk-two");
  expect([vault.logins, vault.renewals]).toEqual([1, 1]);
  vault.nowMs += 400_000;
  expect(await read()).toBe("sk-two");
  expect([vault.logins, vault.renewals]).toEqual([2, 1]);
  vault.tokens.clear();
  expect(await read()).toBe("sk-two");
  expect(vault.logins).toBe(3);
});

test("a Kubernetes service account logs in by its token's file", async () => {
  const vault = fakeVault();
  writeFileSync(join(folder, "token"), "eyJ.k8s\n");
  const env = {
    VAULT_ADDR: `${origin}/`,
    VAULT_NAMESPACE: "team",
    VAULT_KUBERNETES_ROLE: "weir",
    VAULT_KUBERNETES_TOKEN_FILE: join(folder, "token"),
  };
  const fetched = await remoteSecrets(env, () => vault.nowMs)(["vault:secret/data/llm#openai"]);
  expect([...fetched.values()]).toEqual(["sk-two"]);
});

test("a token of the operator's is looked at for its life, and renewed", async () => {
  const vault = fakeVault();
  vault.tokens.set("hvs.mine", vault.nowMs + 300_000);
  const env = { VAULT_ADDR: origin, VAULT_NAMESPACE: "team", VAULT_TOKEN: "hvs.mine" };
  const fetch = remoteSecrets(env, () => vault.nowMs);
  expect([...(await fetch(["vault:secret/data/llm#openai"])).values()]).toEqual(["sk-two"]);
  vault.nowMs += 250_000;
  expect([...(await fetch(["vault:secret/data/llm#openai"])).values()]).toEqual(["sk-two"]);
  expect([vault.logins, vault.renewals]).toEqual([0, 1]);
});

test("what cannot be had is told of by its place, and never by a secret", async () => {
  const vault = fakeVault();
  const fetch = remoteSecrets(APPROLE(), () => vault.nowMs);
  const references = [
    "vault:secret/data/llm#missing",
    "vault:secret/data/other#x",
    "vault:kv1/llm#openai",
    "vault:secret/data/llm",
  ];
  const fetched = await fetch(references);
  const messages = references.map((one) => String(fetched.get(one)).replace("CredentialError: ", ""));
  expect(messages).toEqual([
    'vault:secret/data/llm has no text "missing"',
    `${origin} answered with status 404`,
    expect.stringContaining("version 2"),
    expect.stringContaining("a reference is"),
  ]);
  expect(messages.join()).not.toMatch(/sk-|hvs\.|shh/);
  const nowhere = await remoteSecrets({ VAULT_TOKEN: "t" })(["vault:secret/data/llm#x"]);
  expect(String([...nowhere.values()][0])).toContain("VAULT_ADDR");
});

test("AWS Secrets Manager: signed, by name and by ARN, whole and by field", async () => {
  const at = Date.parse("2026-01-02T03:04:05Z");
  const keys = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalr", sessionToken: "" };
  answer = ({ headers, body }) => {
    const { host, authorization, "content-type": type, "x-amz-target": target } = headers;
    const { SecretId: id } = JSON.parse(body) as { SecretId: string };
    const region = id.startsWith("arn:") ? "eu-west-3" : "eu-central-1";
    const signed = { host: host ?? "", "content-type": type ?? "", "x-amz-target": String(target) };
    const scope = { region, service: "secretsmanager" };
    const right = signAws({ method: "POST", path: "/", headers: signed, body }, keys, scope, at)["authorization"];
    if (authorization !== right || target !== "secretsmanager.GetSecretValue")
      return [400, { __type: "InvalidSignatureException" }];
    if (id === "plain") return [200, { Name: id, SecretString: "sk-plain" }];
    if (id === "gone") return [400, { __type: "ResourceNotFoundException" }];
    return [200, { Name: id, SecretString: JSON.stringify({ openai: "sk-aws" }) }];
  };
  const env = {
    AWS_ENDPOINT_URL_SECRETS_MANAGER: origin,
    AWS_REGION: "eu-central-1",
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
  };
  const arn = "arn:aws:secretsmanager:eu-west-3:123456789012:secret:llm-AbCdEf";
  const fetched = await remoteSecrets(
    env,
    () => at,
  )(["aws:plain", "aws:llm#openai", `aws:${arn}#openai`, "aws:gone#x"]);
  const texts = ["aws:plain", "aws:llm#openai", `aws:${arn}#openai`, "aws:gone#x"].map((one) => fetched.get(one));
  expect(texts.slice(0, 3)).toEqual(["sk-plain", "sk-aws", "sk-aws"]);
  expect(String(texts[3])).toContain("AWS gives out no secret gone in eu-central-1");
});
