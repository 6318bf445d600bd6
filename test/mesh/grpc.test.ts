/** The RPC face, by other people's clients: gRPC from .proto files at run time, Connect, gRPC-web. */
import { fileURLToPath } from "node:url";
import { create, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { audit, common, evaluation, ingress, policy, router } from "@weir/contracts";
import { COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { outcomesById } from "../support/logged.ts";
import { operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const PROTO = fileURLToPath(new URL("../../proto", import.meta.url));
const VALIDATE = fileURLToPath(new URL("../../third_party/protovalidate", import.meta.url));

/** What proto-loader makes of GatewayService, as far as it is used here. */
interface Gateway extends grpc.Client {
  createChat: Unary;
  createEmbedding: Unary;
  listModels: Unary;
  streamChat(
    request: object,
    metadata: grpc.Metadata,
  ): grpc.ClientReadableStream<Record<string, Record<string, unknown>>>;
}
type Unary = (
  request: object,
  metadata: grpc.Metadata,
  done: (error: grpc.ServiceError | null, answer: Record<string, Record<string, unknown>>) => void,
) => void;

function gatewayOf(address: string): Gateway {
  const definition = loadSync("weir/ingress/v1/gateway.proto", {
    includeDirs: [PROTO, VALIDATE],
    longs: String,
    enums: String,
  });
  const loaded = grpc.loadPackageDefinition(definition) as unknown as {
    weir: {
      ingress: { v1: { GatewayService: new (address: string, credentials: grpc.ChannelCredentials) => Gateway } };
    };
  };
  return new loaded.weir.ingress.v1.GatewayService(address, grpc.credentials.createInsecure());
}

const chatOf = (model: string, text: string) => ({
  chat: {
    model,
    messages: [{ role: common.Role.USER, parts: [{ part: { case: "text" as const, value: { text } } }] }],
  },
});
const SERVICES = [
  ingress.GatewayService,
  policy.PolicyAdminService,
  policy.PolicyService,
  router.RouterService,
  audit.AuditProofService,
  audit.AuditService,
  audit.CostService,
  audit.ProducerService,
  audit.RetentionService,
  evaluation.EvaluationService,
];

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  let gateway: Gateway;
  beforeAll(async () => {
    whole = await bootWhole(composition);
    gateway = gatewayOf(new URL(whole.weir.rpcUrl).host);
  });
  afterAll(async () => {
    gateway?.close();
    await whole?.[Symbol.asyncDispose]();
  });
  beforeEach(() => whole.simulator.reset());

  const metadata = (key = whole.weir.key): grpc.Metadata => {
    const sent = new grpc.Metadata();
    sent.set("authorization", `Bearer ${key}`);
    return sent;
  };
  const call = (method: "createChat" | "createEmbedding" | "listModels", request: object, key?: string) =>
    new Promise<Record<string, Record<string, unknown>>>((resolve, reject) => {
      gateway[method](request, metadata(key), (error, answer) => (error === null ? resolve(answer) : reject(error)));
    });
  const grpcChat = (model: string, text: string) => ({
    chat: { model, messages: [{ role: "ROLE_USER", parts: [{ text: { text } }] }] },
  });

  describe("grpc-js", () => {
    test.each(["m-echo", "m-openai", "m-anthropic", "m-gemini"])("a chat with %s", async (model) => {
      const { chat, receipt } = await call("createChat", grpcChat(model, "hello over gRPC"));
      expect(JSON.stringify(chat)).toContain("hello over gRPC");
      expect(receipt).toMatchObject({ requestId: expect.stringMatching(/^[0-9a-f-]{36}$/), attempts: 1 });
      expect(receipt?.["usage"]).toMatchObject({ outputTokens: expect.any(Number) });
    });

    test.each(["m-openai", "m-anthropic", "m-gemini"])(
      "a stream of %s: parts in order, one finish, then one receipt",
      async (model) => {
        const stream = gateway.streamChat(grpcChat(model, "one two three"), metadata());
        const cases: string[] = [];
        let text = "";
        let receipt: Record<string, unknown> | undefined;
        for await (const message of stream as AsyncIterable<Record<string, Record<string, unknown>>>) {
          const [kind = ""] = Object.keys(message["event"] ?? {});
          cases.push(message["receipt"] === undefined || message["receipt"] === null ? kind : "receipt");
          const delta = message["event"]?.["partDelta"] as { text?: string } | undefined;
          text += delta?.text ?? "";
          receipt = message["receipt"] ?? receipt;
        }
        expect(text).toContain("one two three");
        expect(cases[0]).toBe("start");
        expect(cases.indexOf("partStart")).toBeLessThan(cases.indexOf("partDelta"));
        expect(cases.lastIndexOf("partDelta")).toBeLessThan(cases.indexOf("partEnd"));
        expect(cases.filter((kind) => kind === "finish")).toHaveLength(1);
        expect(cases.filter((kind) => kind === "receipt")).toHaveLength(1);
        expect(cases.at(-1)).toBe("receipt");
        expect(receipt).toMatchObject({
          provider: { "m-openai": "openai", "m-anthropic": "claude", "m-gemini": "gemini" }[model],
          attempts: 1,
        });
        const operator = operatorOf(whole.weir);
        const id = String(receipt?.["requestId"]);
        await expect.poll(async () => (await outcomesById(operator)).get(id)?.length, { timeout: 20_000 }).toBe(1);
      },
    );

    test("embeddings and models", async () => {
      const { embed } = await call("createEmbedding", { embed: { model: "m-compatible", inputs: ["a", "b"] } });
      expect(embed?.["embeddings"]).toHaveLength(2);
      const { models } = (await call("listModels", {})) as unknown as { models: { id: string }[] };
      expect(models.map(({ id }) => id)).toEqual(expect.arrayContaining(["m-echo", "m-gemini"]));
      expect(models.find(({ id }) => id === "m-openai")).toMatchObject({
        providers: ["openai"],
        capabilities: expect.arrayContaining(["tools", "images", "structured_output"]) as unknown,
        price: { inputNanosPerMtok: expect.anything() as unknown },
      });
    });

    test("errors have their codes", async () => {
      const codeOf = (promise: Promise<unknown>): Promise<number> =>
        promise.then(
          () => grpc.status.OK,
          (error: grpc.ServiceError) => error.code,
        );
      expect(await codeOf(call("createChat", grpcChat("m-echo", "hi"), "wk_wrong"))).toBe(grpc.status.UNAUTHENTICATED);
      expect(await codeOf(call("listModels", {}, ""))).toBe(grpc.status.UNAUTHENTICATED);
      expect(await codeOf(call("createChat", grpcChat("no-such-model", "hi")))).toBe(grpc.status.NOT_FOUND);
      expect(await codeOf(call("createChat", {}))).toBe(grpc.status.INVALID_ARGUMENT);
      expect(await codeOf(call("createChat", { chat: { model: "", messages: [] } }))).toBe(
        grpc.status.INVALID_ARGUMENT,
      );
      expect(await codeOf(call("createEmbedding", { embed: { model: "m-anthropic", inputs: ["x"] } }))).toBe(
        grpc.status.UNIMPLEMENTED,
      );
      whole.simulator.script({ behaviour: { status: 429, retryAfterS: 3 } });
      expect(await codeOf(call("createChat", grpcChat("m-gemini", "hi")))).toBe(grpc.status.RESOURCE_EXHAUSTED);
      whole.simulator.script({ behaviour: { status: 400, text: "bad" } });
      expect(await codeOf(call("createChat", grpcChat("m-anthropic", "hi")))).toBe(grpc.status.INVALID_ARGUMENT);
    });

    test("a stream's errors, too: before it begins and in its middle", async () => {
      const end = (stream: grpc.ClientReadableStream<unknown>): Promise<{ code: number; events: number }> =>
        new Promise((resolve) => {
          let events = 0;
          stream.on("data", () => (events += 1));
          stream.on("error", (error: grpc.ServiceError) => resolve({ code: error.code, events }));
          stream.on("end", () => resolve({ code: grpc.status.OK, events }));
        });
      expect(await end(gateway.streamChat(grpcChat("m-openai", "hi"), metadata("wk_wrong")))).toEqual({
        code: grpc.status.UNAUTHENTICATED,
        events: 0,
      });
      expect(await end(gateway.streamChat({ chat: { model: "x".repeat(300), messages: [] } }, metadata()))).toEqual({
        code: grpc.status.INVALID_ARGUMENT,
        events: 0,
      });
      whole.simulator.script({ behaviour: { words: 50, cutAfterEvents: 12 } });
      const cut = await end(gateway.streamChat(grpcChat("m-openai", "hi"), metadata()));
      expect(cut.code).toBe(grpc.status.UNAVAILABLE);
      expect(cut.events).toBeGreaterThan(5);
    });

    test("who leaves a stream is noticed", async () => {
      whole.simulator.script({ behaviour: { words: 2_000, trickleMs: 20 } });
      const stream = gateway.streamChat(grpcChat("m-openai", "hi"), metadata());
      stream.on("error", () => undefined);
      await new Promise((resolve) => stream.once("data", resolve));
      stream.cancel();
      await expect.poll(() => whole.simulator.ledger[0]?.cancelledAtMs, { timeout: 5_000 }).toBeGreaterThan(0);
    });
  });

  const transports: [string, (url: string) => Transport][] = [
    ["Connect", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
    ["Connect in JSON", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false })],
    ["Connect over HTTP/2", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
    ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
    ["gRPC-web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ];
  describe.each(transports)("%s", (_name, transport) => {
    const client = () => createClient(ingress.GatewayService, transport(whole.weir.rpcUrl));
    const headers = () => ({ headers: { authorization: `Bearer ${whole.weir.key}` } });

    test("one answer, many events, and errors with their detail", async () => {
      const answer = await client().createChat(chatOf("m-openai", "hello"), headers());
      expect(answer.receipt).toMatchObject({ provider: "openai", attempts: 1 });
      let events = 0;
      let receipts = 0;
      for await (const { message } of client().streamChat(chatOf("m-anthropic", "one two three"), headers())) {
        if (message.case === "receipt") receipts += 1;
        else events += 1;
      }
      expect(events).toBeGreaterThan(4);
      expect(receipts).toBe(1);
      const refused = await client()
        .createChat(chatOf("m-openai", "hi"), { headers: { authorization: "Bearer wk_wrong" } })
        .then(
          () => undefined,
          (error: unknown) => error,
        );
      const error = ConnectError.from(refused);
      expect(error.code).toBe(Code.Unauthenticated);
      expect(error.findDetails(common.ErrorDetailSchema)[0]).toMatchObject({ reason: common.ErrorReason.INVALID_KEY });
      const invalid = await client()
        .createChat({ chat: { model: "m-openai", messages: [] } }, headers())
        .then(
          () => undefined,
          (failure: unknown) => failure,
        );
      expect(ConnectError.from(invalid).code).toBe(Code.InvalidArgument);
    });
  });

  test("a client's deadline counts", async () => {
    whole.simulator.script({ behaviour: { delayMs: 5_000 } });
    const client = createClient(ingress.GatewayService, createGrpcTransport({ baseUrl: whole.weir.rpcUrl }));
    const startedMs = Date.now();
    const late = await client
      .createChat(chatOf("m-openai", "hi"), { headers: { authorization: `Bearer ${whole.weir.key}` }, timeoutMs: 300 })
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(ConnectError.from(late).code).toBe(Code.DeadlineExceeded);
    expect(Date.now() - startedMs).toBeLessThan(3_000);
    await expect.poll(() => whole.simulator.ledger[0]?.cancelledAtMs, { timeout: 5_000 }).toBeGreaterThan(0);
  });

  test("no method of any service answers strangers", async () => {
    for (const service of SERVICES) {
      for (const method of service.methods) {
        for (const headers of [{}, { authorization: "Bearer wk_wrong" }, { "x-weir-mesh-token": "wrong" }] as Record<
          string,
          string
        >[]) {
          const streams = method.methodKind !== "unary";
          const json = Buffer.from("{}");
          const answer = await fetch(`${whole.weir.rpcUrl}/${service.typeName}/${method.name}`, {
            method: "POST",
            headers: { "content-type": streams ? "application/connect+json" : "application/json", ...headers },
            body: streams ? Buffer.concat([Buffer.from([0, 0, 0, 0, json.length]), json]) : json,
          });
          const text = await answer.text();
          const name = `${service.typeName}/${method.name} ${JSON.stringify(headers)} ${answer.status} ${text.slice(0, 200)}`;
          // A stream tells its error in its last frame.
          if (streams && answer.status === 200)
            expect(text, name).toMatch(/"code":"(unauthenticated|invalid_argument|permission_denied)"/);
          else expect([400, 401, 403, 404], name).toContain(answer.status);
        }
      }
    }
    expect(whole.simulator.ledger).toEqual([]);
  });

  test("who is refused at GatewayService is counted, as at the facade", async () => {
    const counted = async (method: string): Promise<boolean> => {
      const metrics = await (await fetch(`${whole.weir.httpUrl}/metrics`)).text();
      return new RegExp(`weir_requests_total\\{[^}]*GatewayService/${method}[^}]*status="401"[^}]*\\} [1-9]`).test(
        metrics,
      );
    };
    for (const [method, body] of [
      [
        "CreateChat",
        toJsonString(ingress.CreateChatRequestSchema, create(ingress.CreateChatRequestSchema, chatOf("m-echo", "hi"))),
      ],
      ["ListModels", "{}"],
    ] as const) {
      const answer = await fetch(`${whole.weir.rpcUrl}/weir.ingress.v1.GatewayService/${method}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: "Bearer wk_wrong" },
        body,
      });
      expect(answer.status).toBe(401);
      expect(await counted(method), method).toBe(true);
    }
  });

  test("a Weir key opens no operator's door, and a gRPC caller of another service finds none", async () => {
    const authorization = `Bearer ${(await operatorOf(whole.weir).policy.createKey({ name: "plain" })).secret}`;
    for (const [service, method] of [
      ["weir.audit.v1.AuditService", "List"],
      ["weir.evaluation.v1.EvaluationService", "ListResults"],
      ["weir.policy.v1.PolicyAdminService", "ListKeys"],
      ["weir.router.v1.RouterService", "ListModels"],
    ] as const) {
      const answer = await fetch(`${whole.weir.rpcUrl}/${service}/${method}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization },
        body: "{}",
      });
      expect([401, 403, 404], `${service}/${method}`).toContain(answer.status);
    }
  });
});
