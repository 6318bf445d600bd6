/** No route, dialect, header or field gets past the rules: of a key's path, its end user, its tags; and none reaches a provider by itself. */
import type { DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { common, ingress, policy } from "@weir/contracts";
import { facadeRoutes, sideDoorsOf } from "@weir/ingress";
import { fromConnectError } from "@weir/mesh";
import { COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask } from "../support/ask.ts";
import { type Operator, operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const unused = (): void => undefined;
/** The route tables themselves: a route that is added is tried, too. */
const ROUTES = facadeRoutes({ model: () => unused, models: unused, pages: new Map() });
const MODEL_ROUTES = ROUTES.filter(({ method }) => method === "POST");
type Dialect = (typeof MODEL_ROUTES)[number]["dialect"];
const METHODS: readonly DescMethod[] = ingress.GatewayService.methods;
const PROVIDER_KEY = "sk-simulated-provider-key";
const MODEL = "m-openai";
const TEST_NET = "192.0.2.7";

const BODIES: Readonly<Record<Dialect, object>> = {
  "openai-chat": { messages: [{ role: "user", content: "hi" }] },
  "openai-responses": { input: "hi" },
  "anthropic-messages": { max_tokens: 10, messages: [{ role: "user", content: "hi" }] },
  "openai-embeddings": { input: "hi" },
  "gemini-generate": { contents: [{ parts: [{ text: "hi" }] }] },
};
const TOOLS: Readonly<Partial<Record<Dialect, object>>> = {
  "openai-chat": { tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }] },
  "openai-responses": { tools: [{ type: "function", name: "f", parameters: { type: "object" } }] },
  "anthropic-messages": { tools: [{ name: "f", input_schema: { type: "object" } }] },
};
const END_USER: Readonly<Record<Dialect, (name: string) => object>> = {
  "openai-chat": (user) => ({ user }),
  "openai-responses": (user) => ({ user }),
  "anthropic-messages": (user) => ({ metadata: { user_id: user } }),
  "openai-embeddings": (user) => ({ user }),
  "gemini-generate": (user) => ({ user }),
};
type Rules = MessageInitShape<typeof policy.RulesSchema>;

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  let operator: Operator;
  beforeAll(async () => {
    whole = await bootWhole(composition, { env: { WEIR_TRUSTED_PROXIES: "127.0.0.0/8, ::1" } });
    operator = operatorOf(whole.weir);
  });
  afterAll(() => whole?.[Symbol.asyncDispose]());
  beforeEach(() => whole.simulator.reset());

  let made = 0;
  async function newKey(init: MessageInitShape<typeof policy.CreateKeyRequestSchema> = {}) {
    const { key, secret } = await operator.policy.createKey({ name: `r${(made += 1)}`, ...init });
    await expect.poll(() => listed(secret), { timeout: 5_000, interval: 20 }).not.toBe(401);
    return { id: key?.id ?? "", secret };
  }
  const withRules = async (rules: Rules): Promise<string> => (await newKey({ rules })).secret;

  const from = (address: string) => (address === "" ? {} : { "x-forwarded-for": address });
  async function listed(key: string, address = TEST_NET): Promise<number> {
    const headers = { ...(key === "" ? {} : { authorization: `Bearer ${key}` }), ...from(address) };
    const answer = await fetch(`${whole.weir.httpUrl}/v1/models`, { headers });
    await answer.text();
    return answer.status;
  }

  interface Sent {
    readonly more?: object;
    readonly headers?: Readonly<Record<string, string>>;
    readonly model?: string;
    readonly address?: string;
  }
  /** What became of a request to a route of the facade: "200" or "403 permission_denied". */
  async function said(route: (typeof ROUTES)[number], key: string, sent: Sent = {}): Promise<string> {
    const { more = {}, headers = {}, model = MODEL, address = TEST_NET } = sent;
    const body = { model, ...BODIES[route.dialect], ...more };
    const answer = await ask(whole.weir, route.path, body, { key, headers: { ...from(address), ...headers } });
    const text = await answer.text();
    if (answer.status === 200) return "200";
    return `${answer.status} ${/"code":"(\w+)"/.exec(text)?.[1] ?? /^\S+ \((\w+)\)/.exec(text)?.[1] ?? text}`;
  }
  const onEach = async (
    key: string,
    sent: (dialect: Dialect) => Sent = () => ({}),
  ): Promise<Record<string, string>> => {
    const answers: Record<string, string> = {};
    for (const route of MODEL_ROUTES) answers[route.path] = await said(route, key, sent(route.dialect));
    return answers;
  };
  const everywhere = (what: string): Record<string, string> =>
    Object.fromEntries(MODEL_ROUTES.map(({ path }) => [path, expect.stringContaining(what)]));

  const chat = (some: MessageInitShape<typeof common.ChatRequestSchema> = {}) => ({
    model: MODEL,
    messages: [{ role: common.Role.USER, parts: [{ part: { case: "text" as const, value: { text: "hi" } } }] }],
    ...some,
  });
  /** A request to each method of GatewayService; one that is not here fails the test below. */
  const CALLS: Readonly<Record<string, (client: ReturnType<typeof gateway>, model: string) => Promise<unknown>>> = {
    createChat: (client, model) => client.createChat({ chat: chat({ model }) }),
    streamChat: async (client, model) => {
      for await (const _ of client.streamChat({ chat: chat({ model }) })) continue;
    },
    createEmbedding: (client, model) => client.createEmbedding({ embed: { model, inputs: ["hi"] } }),
    listModels: (client) => client.listModels({}),
  };
  function gateway(key: string, { address = TEST_NET, grpc = false } = {}) {
    const baseUrl = whole.weir.rpcUrl;
    const interceptors = [
      (next: (request: never) => Promise<never>) => (request: { header: Headers }) => {
        if (key !== "") request.header.set("authorization", `Bearer ${key}`);
        if (address !== "") request.header.set("x-forwarded-for", address);
        return next(request as never);
      },
    ] as never;
    const transport = grpc
      ? createGrpcTransport({ baseUrl, interceptors })
      : createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors });
    return createClient(ingress.GatewayService, transport);
  }
  async function called(method: DescMethod, key: string, model = MODEL, options = {}): Promise<string> {
    const call = CALLS[method.localName];
    if (call === undefined) return `${method.localName} is not tried: add it to CALLS`;
    try {
      await call(gateway(key, options), model);
      return "ok";
    } catch (error) {
      return error instanceof ConnectError ? fromConnectError(error).reason : String(error);
    }
  }
  const models = METHODS.filter(({ localName }) => localName !== "listModels");
  const reached = (): readonly string[] => whole.simulator.ledger.map(({ path }) => path);

  describe("no route gets past policy", () => {
    test("without a key, or with one that is not known", async () => {
      expect(await onEach("")).toEqual(everywhere("401 missing_key"));
      expect(await onEach("wk_nobody")).toEqual(everywhere("401 invalid_key"));
      for (const route of ROUTES) {
        const answer = await fetch(whole.weir.httpUrl + route.path, {
          method: route.method,
          body: route.method === "POST" ? "{}" : null,
        });
        expect([route.path, answer.status, await answer.text()]).toEqual([route.path, 401, expect.any(String)]);
      }
      for (const method of METHODS)
        expect([method.name, await called(method, "")]).toEqual([method.name, "missing_key"]);
      for (const method of METHODS)
        expect([method.name, await called(method, "wk_nobody")]).toEqual([method.name, "invalid_key"]);
      expect(reached()).toEqual([]);
    });

    test("with a key that may look and not call", async () => {
      const { secret } = await newKey({ scopes: [policy.Scope.READ] });
      expect(await onEach(secret)).toEqual(everywhere("403 permission_denied"));
      for (const method of models) expect(await called(method, secret)).toBe("permission_denied");
      expect(reached()).toEqual([]);
    });

    test("with a model that its rules deny, or a provider, or a region that is not stated", async () => {
      for (const rules of [
        { deniedModels: ["m-*"] },
        { allowedModels: ["other"] },
        { deniedProviders: ["openai"] },
        { allowedRegions: ["eu"] },
        { deniedRegions: ["cn"] },
      ]) {
        const key = await withRules(rules);
        expect(await onEach(key)).toEqual(everywhere("403 model_not_allowed"));
        for (const method of models) expect(await called(method, key)).toBe("model_not_allowed");
      }
      expect(reached()).toEqual([]);
    });

    test("over its budget, or without the guardrail that it needs", async () => {
      const { id, secret } = await newKey();
      const { REQUESTS } = policy.BudgetUnit;
      const place = { place: { case: "key" as const, value: id } };
      await operator.policy.putBudget({
        place,
        unit: REQUESTS,
        period: policy.BudgetPeriod.TOTAL,
        limit: 0n,
        hard: true,
      });
      const chatRoute = MODEL_ROUTES[0] as (typeof MODEL_ROUTES)[number];
      await expect.poll(() => said(chatRoute, secret), { timeout: 5_000 }).toContain("429 budget_exceeded");
      whole.simulator.reset();
      expect(await onEach(secret)).toEqual(everywhere("429 budget_exceeded"));
      for (const method of models) expect(await called(method, secret)).toBe("budget_exceeded");
      const guarded = await withRules({ requiredGuardrails: ["there-is-no-such-guardrail"] });
      expect(await onEach(guarded)).toEqual(everywhere("403 permission_denied"));
      for (const method of models) expect(await called(method, guarded)).toBe("permission_denied");
      expect(reached()).toEqual([]);
    });

    test("from a foreign address: every route, also those that only tell", async () => {
      const key = await withRules({ allowedIps: ["192.0.2.0/24", "2001:db8::/32"] });
      const foreign = { address: "198.51.100.1" };
      expect(await onEach(key, () => foreign)).toEqual(everywhere("403 permission_denied"));
      expect(await listed(key, foreign.address)).toBe(403);
      for (const method of METHODS)
        expect([method.name, await called(method, key, MODEL, foreign)]).toEqual([method.name, "permission_denied"]);
      expect(await called(METHODS[0] as DescMethod, key, MODEL, { ...foreign, grpc: true })).toBe("permission_denied");
      // What a client claims before its own address is its own word; without a header it is the proxy itself that calls.
      for (const address of [`${TEST_NET}, 198.51.100.1`, "unknown", ""]) expect(await listed(key, address)).toBe(403);
      expect(reached()).toEqual([]);
      for (const address of [TEST_NET, `1.1.1.1, ${TEST_NET}, 127.0.0.1`, "2001:db8::7"])
        expect(await listed(key, address)).toBe(200);
      expect(await onEach(key)).toEqual(everywhere("200"));
      for (const grpc of [false, true]) expect(await called(METHODS[0] as DescMethod, key, MODEL, { grpc })).toBe("ok");
    });
  });

  test("streams and tools are denied in every dialect that has them", async () => {
    const key = await withRules({ denyStreaming: true, denyTools: true });
    const generating = MODEL_ROUTES.filter(({ dialect }) => dialect !== "openai-embeddings");
    for (const route of generating) {
      expect([route.path, await said(route, key, { more: { stream: true } })]).toEqual([
        route.path,
        "403 permission_denied",
      ]);
      const more = TOOLS[route.dialect];
      expect([route.path, await said(route, key, more === undefined ? {} : { more })]).toEqual([
        route.path,
        "403 permission_denied",
      ]);
    }
    expect(await called(ingress.GatewayService.method.streamChat, key)).toBe("permission_denied");
    const tool = { name: "f", parametersJson: "{}" };
    const typed = await gateway(key)
      .createChat({ chat: chat({ tools: [tool] }) })
      .catch((error: unknown) => fromConnectError(error).reason);
    expect(typed).toBe("permission_denied");
    expect(reached()).toEqual([]);
    expect(await onEach(key)).toEqual(everywhere("200"));
    expect(await called(ingress.GatewayService.method.createChat, key)).toBe("ok");
  });

  describe("end users and tags", () => {
    const onTag = (name: string, value: string) => ({
      place: { case: "tag" as const, value: { workspace: "default", name, value } },
    });

    test("a tag's rules bind requests that have it, by every key of the workspace", async () => {
      await operator.policy.putRules({
        place: onTag("use", "batch"),
        rules: { deniedModels: [MODEL], maxInputTokens: 1 },
      });
      const { secret } = await newKey();
      const tagged = { headers: { "x-weir-tags": "team=search, use=batch" } };
      const chatRoute = MODEL_ROUTES[0] as (typeof MODEL_ROUTES)[number];
      await expect.poll(() => said(chatRoute, secret, tagged), { timeout: 5_000 }).toBe("403 model_not_allowed");
      whole.simulator.reset();
      expect(await onEach(secret, () => tagged)).toEqual(everywhere("403 model_not_allowed"));
      const typed = await gateway(secret)
        .createChat({ chat: chat(), tags: { use: "batch" } })
        .catch((error: unknown) => fromConnectError(error).reason);
      expect(typed).toBe("model_not_allowed");
      expect(reached()).toEqual([]);
      expect(await onEach(secret, () => ({ headers: { "x-weir-tags": "use=online" } }))).toEqual(everywhere("200"));
    });

    test("a fixed tag is there without being named, and cannot be named otherwise", async () => {
      await operator.policy.putRules({ place: onTag("team", "fixed"), rules: { deniedModels: [MODEL] } });
      const key = await withRules({ fixedTags: ["team=fixed"] });
      const chatRoute = MODEL_ROUTES[0] as (typeof MODEL_ROUTES)[number];
      await expect.poll(() => said(chatRoute, key), { timeout: 5_000 }).toBe("403 model_not_allowed");
      whole.simulator.reset();
      for (const tags of ["", "team=fixed", "use=x"])
        expect(await onEach(key, () => ({ headers: { "x-weir-tags": tags } }))).toEqual(
          everywhere("403 model_not_allowed"),
        );
      expect(await onEach(key, () => ({ headers: { "x-weir-tags": "team=other" } }))).toEqual(
        everywhere("403 permission_denied"),
      );
      expect(reached()).toEqual([]);
    });

    test("an end user's budget binds requests for them, in every dialect", async () => {
      const place = { place: { case: "endUser" as const, value: { workspace: "default", name: "ann" } } };
      const { REQUESTS } = policy.BudgetUnit;
      await operator.policy.putBudget({
        place,
        unit: REQUESTS,
        period: policy.BudgetPeriod.TOTAL,
        limit: 0n,
        hard: true,
      });
      const { secret } = await newKey();
      const chatRoute = MODEL_ROUTES[0] as (typeof MODEL_ROUTES)[number];
      await expect
        .poll(() => said(chatRoute, secret, { more: { user: "ann" } }), { timeout: 5_000 })
        .toBe("429 budget_exceeded");
      whole.simulator.reset();
      expect(await onEach(secret, (dialect) => ({ more: END_USER[dialect]("ann") }))).toEqual(
        everywhere("429 budget_exceeded"),
      );
      expect(reached()).toEqual([]);
      expect(await onEach(secret, (dialect) => ({ more: END_USER[dialect]("bob") }))).toEqual(everywhere("200"));
    });

    test.each([
      "no equals sign",
      "=x",
      "a b=c",
      "a=",
      "a=1, a=2",
      Array.from({ length: 33 }, (_, at) => `t${at}=x`).join(),
    ])("tags that are none are refused: %s", async (tags) => {
      const chatRoute = MODEL_ROUTES[0] as (typeof MODEL_ROUTES)[number];
      expect(await said(chatRoute, whole.weir.key, { headers: { "x-weir-tags": tags } })).toBe("400 invalid_request");
    });
  });

  describe("nothing that a request says chooses a provider, a credential or an address", () => {
    test.each(MODEL_ROUTES.map((route) => [route.path, route] as const))("in a body to %s", async (_path, route) => {
      for (const name of sideDoorsOf(route.dialect)) {
        for (const spelling of [name, name.toUpperCase(), `${name.slice(0, 3)}_${name.slice(3)}`]) {
          const more = { [spelling]: name === "models" ? ["gpt-4o"] : "https://198.51.100.1/v1" };
          expect([spelling, await said(route, whole.weir.key, { more })]).toEqual([spelling, "400 unsupported"]);
        }
      }
      expect(await said(route, whole.weir.key, { more: { Model: "gpt-4o" } })).toBe("400 invalid_request");
      expect(reached()).toEqual([]);
    });

    test("in a typed call's extra_json", async () => {
      for (const extra of [
        { provider: { only: ["x"] } },
        { models: ["gpt-4o"] },
        { model: "gpt-4o" },
        { max_tokens: 1e6 },
        { base_url: "x" },
      ]) {
        const call = gateway(whole.weir.key).createChat({
          chat: chat({ extraJson: JSON.stringify(extra), extraDialect: common.Dialect.OPENAI_CHAT }),
        });
        await expect(call).rejects.toMatchObject({
          code: expect.toBeOneOf([Code.InvalidArgument, Code.Unimplemented]),
        });
      }
      expect(reached()).toEqual([]);
    });

    test("in headers: the provider hears the operator's, and none of the client's", async () => {
      const headers = {
        "x-api-key": "sk-client",
        "api-key": "sk-client",
        "x-goog-api-key": "sk-client",
        "openai-organization": "org-client",
        "openai-project": "proj-client",
        "x-base-url": "https://198.51.100.1",
        "x-portkey-provider": "client",
        "x-stainless-helper-method": "client",
        cookie: "client=1",
      };
      expect(await onEach(whole.weir.key, () => ({ headers }))).toEqual(everywhere("200"));
      expect(whole.simulator.ledger).toHaveLength(MODEL_ROUTES.length);
      for (const entry of whole.simulator.ledger) {
        expect(JSON.stringify(entry.headers)).not.toMatch(/client|198\.51\.100\.1/);
        expect(JSON.stringify(entry.headers)).toContain(PROVIDER_KEY);
        expect(JSON.stringify(entry)).not.toContain(whole.weir.key);
      }
    });
  });
});
