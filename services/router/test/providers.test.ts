/** How each kind of provider is addressed, and how Weir proves to it who asks. */
import { generateKeyPairSync, verify } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProviderConfig } from "@weir/config";
import { common, router } from "@weir/contracts";
import { signAws } from "@weir/credentials";
import { Secret } from "@weir/kernel";
import { type LedgerEntry, type Simulator, startSimulator } from "@weir/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { boot, collect, configOf, jsonOf, provider, rawCall } from "./harness.ts";

let simulator: Simulator;
let folder: string;

beforeAll(async () => {
  simulator = await startSimulator();
  folder = mkdtempSync(join(tmpdir(), "weir-providers-"));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await simulator[Symbol.asyncDispose]();
});
afterEach(() => simulator.reset());

const settings = (values: Readonly<Record<string, string>>): ProviderConfig["settings"] =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, new Secret(value)]));
const ask = (name: string, more: object = {}) =>
  rawCall("openai-chat", { model: name, messages: [{ role: "user", content: "hello" }], ...more });
const calls = () => simulator.ledger.filter(({ path }) => !path.includes("/token"));
const tokens = () => simulator.ledger.filter(({ path }) => path.includes("/token"));

/** Asks one provider once, whole. */
async function asked(one: ProviderConfig, model: string, env: Record<string, string> = {}) {
  await using weir = await boot({ config: configOf([one]), env });
  const { output, result } = await weir.client.complete(ask(`${one.name}/${model}`));
  return { output, result, entry: calls().at(-1) };
}

describe("Azure OpenAI", () => {
  const azure = (base: string, values: Record<string, string> = {}, more: Partial<ProviderConfig> = {}) =>
    provider("azure", "azure-openai", { baseUrl: simulator.origin + base, settings: settings(values), ...more });

  it.each([
    ["", {}, "/openai/v1/chat/completions"],
    ["", { api_version: "preview" }, "/openai/v1/chat/completions?api-version=preview"],
    ["/openai/v1", {}, "/openai/v1/chat/completions"],
    ["", { api_version: "2024-10-21" }, "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"],
    ["/openai", { api_version: "2024-10-21" }, "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"],
    ["/openai/deployments/d", {}, "/openai/deployments/d/chat/completions?api-version=2024-10-21"],
  ])("below %j with %j is asked at %s", async (base, values, path) => {
    const { entry } = await asked(azure(base, values), "my gpt");
    expect(entry?.path).toBe(path);
    expect(entry?.headers["api-key"]).toBe("sk-test-0123456789abcdef");
    expect(entry?.headers["authorization"]).toBeUndefined();
    expect(JSON.parse(entry?.body ?? "")).toMatchObject({ model: "my gpt" });
  });

  it("is asked by a token of an application, fetched once, with the client's secret", async () => {
    const authority = `${simulator.origin}/entra`;
    const values = { tenant_id: "t", client_id: "c", client_secret: "s3cret-of-the-app", authority };
    await using weir = await boot({ config: configOf([azure("", values, { apiKey: undefined })]) });
    for (let turn = 0; turn < 3; turn += 1) await weir.client.complete(ask("azure/gpt-4o"));
    expect(tokens()).toHaveLength(1);
    expect(tokens()[0]?.path).toBe("/entra/t/oauth2/v2.0/token");
    expect(Object.fromEntries(new URLSearchParams(tokens()[0]?.body))).toEqual({
      grant_type: "client_credentials",
      client_id: "c",
      client_secret: "s3cret-of-the-app",
      scope: "https://cognitiveservices.azure.com/.default",
    });
    expect(new Set(calls().map(({ headers }) => headers["authorization"]))).toEqual(
      new Set([`Bearer simulated-token-${tokens()[0]?.id}`]),
    );
    // What came to know the token or the secret does not tell it.
    const id = tokens()[0]?.id ?? 0;
    for (const secret of [`simulated-token-${id}`, "s3cret-of-the-app"]) {
      simulator.script({ path: "/chat", behaviour: { status: 400, text: `you sent ${secret}` } });
      const { output } = await weir.client.complete(ask("azure/gpt-4o"));
      expect(JSON.stringify(jsonOf(output))).not.toContain(secret);
    }
  });

  it("is asked by a machine's identity, or a workload's", async () => {
    const identity = { IDENTITY_ENDPOINT: `${simulator.origin}/msi/token`, IDENTITY_HEADER: "h" };
    const managed = azure("", { managed_identity: "true", client_id: "c" }, { apiKey: undefined });
    const { entry } = await asked(managed, "gpt-4o", identity);
    expect(entry?.headers["authorization"]).toMatch(/^Bearer simulated-token-/);
    expect(tokens()[0]).toMatchObject({ headers: { "x-identity-header": "h" } });
    expect(tokens()[0]?.path).toContain("resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=c");
    const file = join(folder, "federated");
    writeFileSync(file, "the.federated.token\n");
    const values = { tenant_id: "t", client_id: "c", authority: simulator.origin };
    await asked(azure("", values, { apiKey: undefined }), "gpt-4o", { AZURE_FEDERATED_TOKEN_FILE: file });
    expect(new URLSearchParams(tokens()[1]?.body).get("client_assertion")).toBe("the.federated.token");
  });

  it("tells of its filter: a prompt's in its own words, an answer's as a finish", async () => {
    const error = {
      message: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
      type: null,
      param: "prompt",
      code: "content_filter",
      status: 400,
      innererror: { code: "ResponsibleAIPolicyViolation", content_filter_result: { jailbreak: { filtered: true } } },
    };
    simulator.script({ behaviour: { status: 400, raw: JSON.stringify({ error }) } });
    const refused = await asked(azure(""), "gpt-4o");
    expect(jsonOf(refused.output)).toEqual({ error });
    expect(refused.result?.error).toMatchObject({ reason: common.ErrorReason.PROVIDER_REJECTED });
    expect(refused.result?.attempts).toHaveLength(1);
    const choice = { index: 0, finish_reason: "content_filter", message: { role: "assistant", content: "I was" } };
    simulator.script({
      behaviour: { raw: JSON.stringify({ id: "x", model: "gpt-4o-2024-08-06", choices: [choice] }) },
    });
    const filtered = await asked(azure(""), "gpt-4o");
    expect(filtered.result?.finishReason).toBe(common.FinishReason.CONTENT_FILTER);
  });
});

describe("Vertex AI", () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const account = () => ({
    type: "service_account",
    project_id: "my-project",
    private_key_id: "kid",
    private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
    client_email: "weir@my-project.iam.gserviceaccount.com",
    token_uri: `${simulator.origin}/token`,
  });
  const vertex = (values: Record<string, string>, more: Partial<ProviderConfig> = {}) =>
    provider("vertex", "vertex", {
      baseUrl: `${simulator.origin}/v1`,
      apiKey: undefined,
      settings: settings(values),
      ...more,
    });

  it("is asked by a token for which a service account's JWT was given, once", async () => {
    const credentials = JSON.stringify(account());
    await using weir = await boot({ config: configOf([vertex({ credentials }, { region: "europe-west4" })]), env: {} });
    const place = "/v1/projects/my-project/locations/europe-west4/publishers";
    await Promise.all([1, 2, 3].map(() => weir.client.complete(ask("vertex/gemini-2.5-flash"))));
    await collect(weir.client.streamComplete(ask("vertex/gemini-2.5-flash", { stream: true })));
    await collect(weir.client.streamComplete(ask("vertex/claude-sonnet-4-5@20250929", { stream: true })));
    expect(new Set(calls().map(({ path }) => path))).toEqual(
      new Set([
        `${place}/google/models/gemini-2.5-flash:generateContent`,
        `${place}/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse`,
        `${place}/anthropic/models/claude-sonnet-4-5%4020250929:streamRawPredict`,
      ]),
    );
    const [token] = tokens();
    expect(tokens()).toHaveLength(1);
    for (const { headers } of calls()) expect(headers["authorization"]).toBe(`Bearer simulated-token-${token?.id}`);
    const form = new URLSearchParams(token?.body);
    expect(form.get("grant_type")).toBe("urn:ietf:params:oauth:grant-type:jwt-bearer");
    const [head = "", claims = "", seal = ""] = (form.get("assertion") ?? "").split(".");
    const read = (part: string): Record<string, unknown> =>
      JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;
    expect(read(head)).toEqual({ alg: "RS256", typ: "JWT", kid: "kid" });
    expect(read(claims)).toMatchObject({
      iss: "weir@my-project.iam.gserviceaccount.com",
      scope: "https://www.googleapis.com/auth/cloud-platform",
      aud: `${simulator.origin}/token`,
    });
    expect(Number(read(claims)["exp"]) - Number(read(claims)["iat"])).toBe(3600);
    const proven = verify("RSA-SHA256", Buffer.from(`${head}.${claims}`), publicKey, Buffer.from(seal, "base64url"));
    expect(proven).toBe(true);
  });

  it("gives Claude its version in the body and no model, and keeps the rest of a client's bytes", async () => {
    await using weir = await boot({ config: configOf([vertex({ credentials: JSON.stringify(account()) })]), env: {} });
    const sent =
      '{"model":"vertex/claude-haiku-4-5", "max_tokens":9 ,"messages":[{"role":"user","content":"x"}], "x" : 1.0}';
    const { output } = await weir.client.complete(
      rawCall("anthropic-messages", sent, { model: "vertex/claude-haiku-4-5" }),
    );
    expect(output.value).toMatchObject({ status: 200 });
    const body = calls()[0]?.body ?? "";
    expect(JSON.parse(body)).toEqual({
      max_tokens: 9,
      messages: [{ role: "user", content: "x" }],
      x: 1,
      anthropic_version: "vertex-2023-10-16",
    });
    expect(body).toContain('"max_tokens":9 ,"messages":[{"role":"user","content":"x"}], "x" : 1.0');
    expect(calls()[0]?.path).toContain("/locations/global/");
  });

  it("is asked with a user's file, a machine's identity, or a key", async () => {
    const user = { type: "authorized_user", client_id: "c", client_secret: "s", refresh_token: "r" };
    const file = join(folder, "adc.json");
    writeFileSync(file, JSON.stringify({ ...user, token_uri: `${simulator.origin}/token` }));
    await asked(vertex({ project: "p" }), "gemini-2.5-flash", { GOOGLE_APPLICATION_CREDENTIALS: file });
    expect(Object.fromEntries(new URLSearchParams(tokens()[0]?.body))).toMatchObject({
      grant_type: "refresh_token",
      refresh_token: "r",
    });
    const host = simulator.origin.replace("http://", "");
    const { entry } = await asked(vertex({ project: "p" }), "gemini-2.5-flash", { GCE_METADATA_HOST: host });
    expect(tokens()[1]).toMatchObject({ headers: { "metadata-flavor": "Google" } });
    expect(entry?.headers["authorization"]).toBe(`Bearer simulated-token-${tokens()[1]?.id}`);
    const express = await asked(vertex({}, { apiKey: new Secret("AIza-key") }), "gemini-2.5-flash");
    expect(express.entry).toMatchObject({
      path: "/v1/publishers/google/models/gemini-2.5-flash:generateContent",
      headers: { "x-goog-api-key": "AIza-key" },
    });
  });

  it("that gives no token is left, with nothing sent and nothing told", async () => {
    const one = vertex({ credentials: JSON.stringify(account()) });
    simulator.script({ path: "/token", behaviour: { status: 400, text: "invalid_grant" } });
    const refused = await asked(one, "gemini-2.5-flash");
    expect(refused.result?.error?.reason).toBe(common.ErrorReason.PROVIDER_AUTH);
    expect(refused.result?.attempts).toMatchObject([{ billing: router.Billing.NOTHING }]);
    simulator.script({ path: "/token", behaviour: { status: 503 } });
    const away = await asked(one, "gemini-2.5-flash");
    expect(away.result?.error?.reason).toBe(common.ErrorReason.PROVIDER_UNREACHABLE);
    expect(calls()).toHaveLength(0);
  });

  it("waits as long as Google says in the body", async () => {
    const details = [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "7s" }];
    const error = { code: 429, message: "Resource exhausted", status: "RESOURCE_EXHAUSTED", details };
    simulator.script({ path: "models", behaviour: { status: 429, raw: JSON.stringify({ error }) } });
    const { result } = await asked(vertex({ credentials: JSON.stringify(account()) }), "gemini-2.5-flash");
    expect(result?.error?.reason).toBe(common.ErrorReason.PROVIDER_RATE_LIMITED);
    expect(result?.error?.retryAfterMs).toBeGreaterThan(6_000);
  });
});

describe("Bedrock", () => {
  const KEYS = { access_key_id: "AKIDEXAMPLE", secret_access_key: "wJalrXUtnFEMI/K7MDENG" };
  const bedrock = (values: Record<string, string>, more: Partial<ProviderConfig> = {}) =>
    provider("bedrock", "bedrock", {
      baseUrl: simulator.origin,
      region: "eu-central-1",
      apiKey: undefined,
      settings: settings(values),
      ...more,
    });
  const MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";

  /** What the request should have been signed with. */
  function expectSigned(sessionToken = "", keys = KEYS, region = "eu-central-1"): void {
    const { headers = {}, path = "", body = "" }: Partial<LedgerEntry> = calls().at(-1) ?? {};
    const at = String(headers["x-amz-date"]).replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z");
    const own = { accessKeyId: keys.access_key_id, secretAccessKey: keys.secret_access_key, sessionToken };
    const signed = { host: String(headers["host"]), "content-type": "application/json" };
    const scope = { region, service: "bedrock" };
    expect(headers).toMatchObject(signAws({ method: "POST", path, headers: signed, body }, own, scope, Date.parse(at)));
  }

  it("is asked at the model's path, in a signed request, whole and as a stream of Amazon's", async () => {
    await using weir = await boot({ config: configOf([bedrock(KEYS)]), env: {} });
    await weir.client.complete(ask(`bedrock/${MODEL}`));
    expect(calls()[0]?.path).toBe("/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse");
    expectSigned();
    const { text, end } = await collect(weir.client.streamComplete(ask(`bedrock/${MODEL}`, { stream: true })));
    expect(text).toContain("[DONE]");
    expect(end.result?.served).toMatchObject({ provider: "bedrock", model: MODEL, region: "eu-central-1" });
    expect(calls()[1]).toMatchObject({
      path: "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream",
      headers: { accept: "application/vnd.amazon.eventstream" },
    });
    expectSigned();
    expect(end.result?.costNanos).toBeGreaterThan(0n);
  });

  it("takes keys from the environment, a profile, a container, a machine or a web identity, or an API key", async () => {
    const env = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: KEYS.secret_access_key };
    await asked(bedrock({}), MODEL, { ...env, AWS_SESSION_TOKEN: "st" });
    expectSigned("st");
    await asked(bedrock({}, { region: "eu" }), MODEL, { ...env, AWS_REGION: "eu-west-3" });
    expectSigned("", KEYS, "eu-west-3");
    const file = join(folder, "credentials");
    const lines = ["[default]", "aws_access_key_id=x", "[work]", "aws_access_key_id = AKIDEXAMPLE"];
    writeFileSync(file, [...lines, `aws_secret_access_key = ${KEYS.secret_access_key}`].join("\n"));
    await asked(bedrock({ profile: "work" }), MODEL, { AWS_SHARED_CREDENTIALS_FILE: file, HOME: folder });
    expectSigned();
    const { entry } = await asked(bedrock({}, { apiKey: new Secret("bedrock-api-key") }), MODEL);
    expect(entry?.headers["authorization"]).toBe("Bearer bedrock-api-key");

    await using cloud = await startCloud({
      "GET /creds": {
        AccessKeyId: "AKIDEXAMPLE",
        SecretAccessKey: KEYS.secret_access_key,
        Token: "container",
        Expiration: new Date(Date.now() + 3_600_000).toISOString(),
      },
      "PUT /latest/api/token": "imds",
      "GET /latest/meta-data/iam/security-credentials/": "role",
      "GET /latest/meta-data/iam/security-credentials/role": {
        AccessKeyId: "AKIDEXAMPLE",
        SecretAccessKey: KEYS.secret_access_key,
        Token: "machine",
        Expiration: new Date(Date.now() + 3_600_000).toISOString(),
      },
      "POST /": {
        AssumeRoleWithWebIdentityResponse: {
          AssumeRoleWithWebIdentityResult: {
            Credentials: {
              AccessKeyId: "AKIDEXAMPLE",
              SecretAccessKey: KEYS.secret_access_key,
              SessionToken: "web",
              Expiration: Date.now() / 1000 + 3600,
            },
          },
        },
      },
    });
    const nowhere = { HOME: folder, AWS_SHARED_CREDENTIALS_FILE: join(folder, "none") };
    await asked(bedrock({}), MODEL, {
      ...nowhere,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${cloud.origin}/creds`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: "t",
    });
    expectSigned("container");
    await asked(bedrock({}), MODEL, { ...nowhere, AWS_EC2_METADATA_SERVICE_ENDPOINT: cloud.origin });
    expectSigned("machine");
    writeFileSync(join(folder, "web"), "web.identity.token");
    await asked(bedrock({}), MODEL, {
      AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, "web"),
      AWS_ROLE_ARN: "arn:aws:iam::1:role/weir",
      AWS_ENDPOINT_URL_STS: cloud.origin,
    });
    expectSigned("web");
    expect(cloud.asked).toContain("PUT /latest/api/token");
  });

  it("without any credential is not asked; others are", async () => {
    const env = { AWS_EC2_METADATA_DISABLED: "true", HOME: folder };
    const { result } = await asked(bedrock({}), MODEL, env);
    expect(result?.error?.reason).toBe(common.ErrorReason.PROVIDER_AUTH);
    expect(calls()).toHaveLength(0);
  });

  it("that breaks in the middle of its stream is told as an error, before it as another try", async () => {
    await using weir = await boot({ config: configOf([bedrock(KEYS)]), env: {} });
    simulator.script({ behaviour: { errorAfterEvents: 4, text: "the model broke" } });
    const { text, end } = await collect(weir.client.streamComplete(ask(`bedrock/${MODEL}`, { stream: true })));
    expect(text).toContain('"content":" broke"');
    expect(text).toContain('"message":"the model broke"');
    expect(text).not.toContain("[DONE]");
    expect(end.result?.error?.reason).toBe(common.ErrorReason.PROVIDER_ERROR);
    simulator.script({ times: 1, behaviour: { errorAfterEvents: 1, words: 20 } });
    const second = await collect(weir.client.streamComplete(ask(`bedrock/${MODEL}`, { stream: true })));
    expect(second.text).toContain("[DONE]");
    expect(second.end.result?.attempts).toHaveLength(2);
    simulator.script({ behaviour: { malformed: true, words: 20 } });
    const third = await collect(weir.client.streamComplete(ask(`bedrock/${MODEL}`, { stream: true })));
    expect(third.end.result?.error?.reason).toBe(common.ErrorReason.PROVIDER_BAD_RESPONSE);
  });

  it("that throttles is left alone; what it says of its account is not told", async () => {
    simulator.script({ behaviour: { status: 429, text: "Too many requests, please wait before trying again." } });
    const { result } = await asked(bedrock(KEYS), MODEL);
    expect(result?.error?.reason).toBe(common.ErrorReason.PROVIDER_RATE_LIMITED);
    const said = "User: arn:aws:iam::123456789012:user/weir is not authorized to perform: bedrock:InvokeModel";
    simulator.script({ behaviour: { status: 403, text: said } });
    const denied = await asked(bedrock(KEYS), MODEL);
    expect(denied.result?.error?.reason).toBe(common.ErrorReason.PROVIDER_AUTH);
    expect(JSON.stringify(jsonOf(denied.output))).not.toContain("arn:");
  });
});

describe("a configuration", () => {
  it.each([
    [provider("x", "azure-openai"), "needs a base_url"],
    [provider("x", "azure-openai", { baseUrl: "https://x.example", apiKey: undefined }), "needs an api_key"],
    [provider("x", "bedrock", { region: "eu" }), "needs settings.aws_region"],
    [
      provider("x", "bedrock", { region: "eu-west-1", apiKey: undefined, settings: settings({ access_key_id: "a" }) }),
      "needs settings.secret_access_key",
    ],
    [provider("x", "openai", { settings: settings({ api_version: "1" }) }), 'has no setting "api_version"'],
    [provider("x", "bedrock", { settings: settings({ aws_regoin: "1" }) }), "only aws_region, profile"],
    [
      provider("x", "vertex", { apiKey: undefined, settings: settings({ credentials: "{}", project: "p" }) }),
      "neither a service account's nor a user's",
    ],
  ])("is refused whole where a provider lacks something", async (one, message) => {
    await expect(boot({ config: configOf([one]), env: {} })).rejects.toThrow(message);
  });
});

/** A few fixed answers, as clouds give them to their machines. */
async function startCloud(answers: Readonly<Record<string, object | string>>) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    const name = `${request.method} ${request.url}`;
    seen.push(name);
    const answer = answers[name];
    request.resume();
    response.writeHead(answer === undefined ? 404 : 200);
    response.end(typeof answer === "string" ? answer : JSON.stringify(answer ?? {}));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
