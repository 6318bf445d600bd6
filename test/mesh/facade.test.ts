/** The HTTP face, from outside: no route lets strangers in, and nothing that is sent to it breaks it. */
import { Agent, request as httpRequest } from "node:http";
import { createServer } from "node:net";
import { once } from "node:events";
import { facadeRoutes } from "@weir/ingress";
import { COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask, FACES } from "../support/ask.ts";
import { talk } from "../support/raw-http.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const unused = (): void => undefined;
/** The route table itself: a route that is added is tried, too. */
const ROUTES = facadeRoutes({ model: () => unused, models: unused, pages: new Map() });
const MAX_BODY = 65_536;
const MAX_HEAD = 8_192;

/** What an error looks like to the SDK of a route's dialect. */
function expectError(dialect: string, text: string, code: string): void {
  const body: unknown = JSON.parse(text);
  if (dialect === "anthropic-messages") {
    expect(body).toMatchObject({
      type: "error",
      error: { type: expect.any(String), message: expect.any(String) },
      request_id: expect.any(String),
    });
  } else {
    expect(body).toMatchObject({ error: { message: expect.any(String), type: expect.any(String), code } });
    expect(Object.keys((body as { error: object }).error)).toContain("param");
  }
  expect(text).toContain(code);
}

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  beforeAll(async () => {
    whole = await bootWhole(composition, {
      env: {
        WEIR_HTTP_MAX_BODY_BYTES: String(MAX_BODY),
        WEIR_HTTP_MAX_HEADER_BYTES: String(MAX_HEAD),
        WEIR_HTTP_REQUEST_TIMEOUT: "700ms",
      },
    });
  });
  afterAll(() => whole?.[Symbol.asyncDispose]());
  beforeEach(() => whole.simulator.reset());
  const host = (): string => new URL(whole.weir.httpUrl).host;
  const chat = FACES[0]?.path ?? "";

  describe.each(ROUTES)("$method $path", ({ method, path, dialect }) => {
    const strangers: [string, Record<string, string>][] = [
      ["nobody", {}],
      ["an empty key", { authorization: "Bearer " }],
      ["a wrong key", { authorization: "Bearer wk_0123456789abcdef0123456789abcdef" }],
      ["a wrong x-api-key", { "x-api-key": "sk-ant-nothing" }],
      ["the admin token", { authorization: "Bearer weir-test-admin-token-0123456789" }],
      ["a provider's key", { authorization: "Bearer sk-simulated-provider-key" }],
      ["Basic", { authorization: `Basic ${Buffer.from("weir:weir").toString("base64")}` }],
      ["a key of a megabyte's worth", { "x-api-key": "k".repeat(4_000) }],
    ];
    test.each(strangers)("refuses %s, before it looks at the body", async (_who, headers) => {
      const answer = await fetch(whole.weir.httpUrl + path, {
        method,
        headers: { "content-type": "application/json", ...headers },
        ...(method === "POST" ? { body: "not even JSON" } : {}),
      });
      expect(answer.status).toBe(401);
      expect(answer.headers.get("x-weir-request-id")).toMatch(/^[0-9a-f-]{36}$/);
      expect(answer.headers.get("x-should-retry")).toBe("false");
      const anonymous = Object.keys(headers).length === 0 || headers["authorization"] === "Bearer ";
      expectError(
        dialect,
        await answer.text(),
        anonymous || headers["authorization"]?.startsWith("Basic") === true ? "missing_key" : "invalid_key",
      );
      expect(whole.simulator.ledger).toEqual([]);
    });

    test("takes no other method", async () => {
      for (const other of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"].filter((name) => name !== method)) {
        const answer = await fetch(whole.weir.httpUrl + path, { method: other });
        expect(answer.status, other).toBe(405);
        expect(answer.headers.get("allow")).toBe(method);
        expectError(dialect, await answer.text(), "method_not_allowed");
      }
    });
  });

  test("what tells about the process itself needs no key", async () => {
    for (const path of ["/healthz", "/readyz", "/metrics"])
      expect((await fetch(whole.weir.httpUrl + path)).status, path).toBe(200);
  });

  test.each([
    "/",
    "/v1",
    "/v1/chat/completions/",
    "/v1/chat/completions/x",
    "/V1/chat/completions",
    "//v1/messages",
    "/v1/./messages",
    "/v1/files",
    "/admin",
    "/weir.policy.v1.PolicyAdminService/ListKeys",
    "/v1%2fmessages",
    "/metrics/..",
  ])("there is no %s", async (path) => {
    for (const method of ["GET", "POST"]) {
      const { statuses, text } = await talk(whole.weir.httpUrl, [
        `${method} ${path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${whole.weir.key}\r\nconnection: close\r\n\r\n`,
      ]);
      expect(statuses, `${method} ${path}`).toEqual([404]);
      expect(text).toContain('"not_found"');
    }
  });

  describe.each(FACES)("$name", ({ path, body, textOf }) => {
    const dialect = path === "/v1/messages" ? "anthropic-messages" : "openai-chat";
    const refusal = async (sent: string, headers: Record<string, string> = {}): Promise<string> => {
      const answer = await ask(whole.weir, path, sent, { headers });
      const text = await answer.text();
      expect(answer.status, sent.slice(0, 100)).toBe(400);
      expectError(dialect, text, "invalid_request");
      expect(whole.simulator.ledger).toEqual([]);
      return text;
    };

    test("a body that is no JSON object is refused", async () => {
      const broken = [
        "",
        " ",
        "{",
        "not json",
        '{"model":"m-openai"',
        "\0",
        "[]",
        "null",
        '"text"',
        "42",
        "[".repeat(50_000),
      ];
      for (const sent of broken) await refusal(sent);
    });

    test("fields of the wrong type are refused", async () => {
      const whole = body("m-openai", "hi");
      for (const wrong of [{ model: 7 }, { model: "" }, { model: null }, { model: "m".repeat(300) }, { stream: "yes" }])
        await refusal(JSON.stringify({ ...whole, ...wrong }));
      const { model: _, ...nameless } = whole;
      await refusal(JSON.stringify(nameless));
    });

    test("a body that two readers could read in two ways is refused", async () => {
      const rest = JSON.stringify(body("x", "hi")).slice(1).replace('"model":"x",', "");
      await refusal(`{"model":"m-openai","model":"m-anthropic",${rest}`);
      await refusal(`{"model":"m-openai","mod\\u0065l":"m-anthropic",${rest}`);
      await refusal(`{"model":"m-openai","x":{"a":1,"a":2},${rest}`);
    });

    test("other content types and encodings are refused", async () => {
      const sent = JSON.stringify(body("m-openai", "hi"));
      for (const type of ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ""])
        if (type !== "") await refusal(sent, { "content-type": type });
      for (const encoding of ["gzip", "br", "identity, gzip"]) await refusal(sent, { "content-encoding": encoding });
      const charset = await ask(whole.weir, path, sent, {
        headers: { "content-type": "application/json; charset=utf-8" },
      });
      expect(charset.status).toBe(200);
    });

    test("routing and credentials in a body or in headers are not obeyed", async () => {
      const evil = createServer();
      let visits = 0;
      evil.on("connection", (socket) => {
        visits += 1;
        socket.destroy();
      });
      evil.listen(0, "127.0.0.1");
      await once(evil, "listening");
      const address = evil.address();
      const url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/v1`;
      const orders = {
        api_key: "sk-evil",
        api_base: url,
        base_url: url,
        baseURL: url,
        api_url: url,
        endpoint: url,
        provider: "gemini",
        custom_llm_provider: "gemini",
        fallbacks: ["m-gemini"],
        route: "fallback",
        organization: "org-evil",
        headers: { authorization: "Bearer sk-evil" },
        extra_headers: { "x-evil": "1" },
        extra_body: { model: "evil" },
        models: ["m-gemini"],
        mock_response: "mocked",
        user_config: { model_list: [{ api_base: url }] },
      };
      const headers = {
        "x-base-url": url,
        "x-weir-provider": "gemini",
        "x-weir-model": "m-gemini",
        "openai-organization": "org-evil",
        "x-api-base": url,
        "x-forwarded-host": "evil",
        cookie: "session=evil",
        "x-weir-mesh-token": "evil",
      };
      try {
        for (const [name, value] of Object.entries(orders)) {
          const refused = await ask(whole.weir, path, { ...body("m-compatible", "hello"), [name]: value });
          expect([name, refused.status, await refused.text()]).toEqual([
            name,
            400,
            expect.stringContaining("unsupported"),
          ]);
        }
        expect(whole.simulator.ledger).toEqual([]);
        const harmless = { metadata: { user_api_key: "sk-evil" } };
        const answer = await ask(whole.weir, path, { ...body("m-compatible", "hello"), ...harmless }, { headers });
        const text = await answer.text();
        expect(answer.status, text).toBe(200);
        expect(textOf(text)).toContain("hello");
        expect(answer.headers.get("x-weir-provider")).toBe("compatible");
        const [seen, ...others] = whole.simulator.ledger;
        expect(others).toEqual([]);
        expect(seen?.path).toBe("/v1/chat/completions");
        expect(seen?.model).toBe("llama-3.3-70b");
        expect(seen?.headers["authorization"]).toBe("Bearer sk-simulated-provider-key");
        const names = Object.keys(seen?.headers ?? {});
        for (const name of Object.keys(headers)) expect(names).not.toContain(name);
        expect(JSON.stringify(seen?.headers)).not.toContain(whole.weir.key);
        expect(JSON.stringify(seen?.headers)).not.toContain("evil");
        expect(visits).toBe(0);
      } finally {
        evil.close();
      }
    });

    test("a model's name leads nowhere but to models", async () => {
      for (const model of [
        "gemini/../../v1/chat/completions?x=",
        "gemini/x:generateContent?key=1#",
        "openai/../admin",
        "http://127.0.0.1:1/v1",
        "../../etc/passwd",
        "gemini/x\r\nevil: 1",
        "constructor",
        "__proto__",
      ]) {
        whole.simulator.reset();
        const answer = await ask(whole.weir, path, body(model, "hi"));
        await answer.text();
        for (const seen of whole.simulator.ledger) {
          expect(seen.path, model).toMatch(
            /^(\/v1\/(chat\/completions|responses|messages)|\/v1beta\/models\/[^/?#:]+:generateContent)$/,
          );
          expect(Object.keys(seen.headers)).not.toContain("evil");
        }
        if (!model.includes("/") || model.startsWith("http") || model.startsWith("."))
          expect(answer.status, model).toBe(404);
      }
    });
  });

  describe("sizes and time", () => {
    const head = (extra: string): string =>
      `POST ${chat} HTTP/1.1\r\nhost: ${host()}\r\nauthorization: Bearer ${whole.weir.key}\r\ncontent-type: application/json\r\n${extra}\r\n`;

    test("a body too large is refused, told of or not, and is not read", async () => {
      const told = await talk(whole.weir.httpUrl, [head(`content-length: ${MAX_BODY + 1}\r\n`)]);
      expect(told).toMatchObject({ statuses: [413], closed: true });
      expect(told.text).toContain("body_too_large");
      const piece = Buffer.alloc(10_000, 0x20);
      const chunk = Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]);
      const untold = await talk(whole.weir.httpUrl, [
        head("transfer-encoding: chunked\r\n"),
        ...Array<Buffer>(10).fill(chunk),
      ]);
      expect(untold).toMatchObject({ statuses: [413], closed: true });
      const fits = await talk(whole.weir.httpUrl, [
        head(`content-length: ${MAX_BODY}\r\nconnection: close\r\n`),
        Buffer.alloc(MAX_BODY, 0x20),
      ]);
      expect(fits.statuses).toEqual([400]);
    });

    test("a stranger's large body is not waited for", async () => {
      for (const path of [chat, "/v1/messages", "/nowhere"]) {
        for (const length of [`content-length: ${MAX_BODY}`, "transfer-encoding: chunked"]) {
          const stranger = `POST ${path} HTTP/1.1\r\nhost: ${host()}\r\nauthorization: Bearer wk_none\r\n${length}\r\n\r\n`;
          // Not a byte of it is sent, and the answer is there all the same.
          const refused = await talk(whole.weir.httpUrl, [stranger]);
          expect(refused, path).toMatchObject({ statuses: [401], closed: true });
          expect(refused.text).toMatch(/x-weir-request-id: /);
        }
      }
    });

    test("a head too large is refused, also one that never ends", async () => {
      const long = await talk(whole.weir.httpUrl, [head(`x: ${"x".repeat(MAX_HEAD)}\r\n`)]);
      expect(long).toMatchObject({ statuses: [431], closed: true });
      expect(long.text).toContain("headers_too_large");
      const endless = await talk(whole.weir.httpUrl, [
        `GET /healthz HTTP/1.1\r\n`,
        ...Array<string>(20).fill(`a: ${"b".repeat(1_000)}\r\n`),
      ]);
      expect(endless).toMatchObject({ statuses: [431], closed: true });
    });

    test("a slow head and a slow body are given up", async () => {
      const started = Date.now();
      const [slowBody, slowHead] = await Promise.all([
        talk(whole.weir.httpUrl, [head("content-length: 100\r\n"), "{", 300, " ", 300, " ", 300, " "], 8_000),
        talk(whole.weir.httpUrl, ["POST / HT", 300, "TP/1.1", 300, "\r\n", 300, "a: b\r\n"], 8_000),
      ]);
      expect(slowBody).toMatchObject({ statuses: [408], closed: true });
      expect(slowBody.text).toContain("request_timeout");
      expect(slowHead).toMatchObject({ statuses: [408], closed: true });
      expect(Date.now() - started).toBeLessThan(5_000);
    });
  });

  describe("bytes that are no request", () => {
    const lines = (...all: string[]): string => `${all.join("\r\n")}\r\n\r\n`;
    // Strangers' chunks are not even looked at.
    const KEY = "authorization: Bearer KEY";
    const smuggled = "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n";
    test.each([
      [
        "a length and chunks",
        lines(`POST ${chat} HTTP/1.1`, "host: a", "content-length: 6", "transfer-encoding: chunked") +
          `0\r\n\r\n${smuggled}`,
      ],
      ["two lengths", lines(`POST ${chat} HTTP/1.1`, "host: a", "content-length: 0", "content-length: 35") + smuggled],
      ["a signed length", lines(`POST ${chat} HTTP/1.1`, "host: a", "content-length: +0") + smuggled],
      ["a list of lengths", lines(`POST ${chat} HTTP/1.1`, "host: a", "content-length: 0, 0") + smuggled],
      [
        "chunked behind another coding",
        lines(`POST ${chat} HTTP/1.1`, "host: a", "transfer-encoding: gzip, chunked") + `0\r\n\r\n${smuggled}`,
      ],
      [
        "chunked hidden by a tab",
        lines(`POST ${chat} HTTP/1.1`, "host: a", "transfer-encoding: \x0bchunked") + `0\r\n\r\n${smuggled}`,
      ],
      [
        "a space before the colon",
        lines(`POST ${chat} HTTP/1.1`, "host: a", "transfer-encoding : chunked") + `0\r\n\r\n${smuggled}`,
      ],
      ["a folded line", lines(`POST ${chat} HTTP/1.1`, "host: a", "x: y", " transfer-encoding: chunked") + smuggled],
      ["a bare line feed", `GET /healthz HTTP/1.1\nhost: a\n\n${smuggled}`],
      [
        "a bare carriage return in a value",
        lines("GET /healthz HTTP/1.1", "host: a", "x: y\rcontent-length: 35") + smuggled,
      ],
      ["a NUL in a value", lines("GET /healthz HTTP/1.1", "host: a", "x: y\0z") + smuggled],
      ["no host", lines("GET /healthz HTTP/1.1", "x: y") + smuggled],
      ["two hosts", lines("GET /healthz HTTP/1.1", "host: a", "host: b") + smuggled],
      [
        "a chunk's size that overflows",
        lines(`POST ${chat} HTTP/1.1`, "host: a", KEY, "transfer-encoding: chunked") + "ffffffffffffffff1\r\n",
      ],
      [
        "a chunk longer than it says",
        lines(`POST ${chat} HTTP/1.1`, "host: a", KEY, "transfer-encoding: chunked") +
          `1\r\nxyz\r\n0\r\n\r\n${smuggled}`,
      ],
      ["noise", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
    ])("%s: refused, and nothing behind it is answered", async (_name, bytes) => {
      const { statuses, closed, text } = await talk(whole.weir.httpUrl, [
        bytes.replace("Bearer KEY", `Bearer ${whole.weir.key}`),
      ]);
      expect(statuses).toEqual([400]);
      expect(closed).toBe(true);
      expect(text).not.toContain("weir_requests_total");
      expect(whole.simulator.ledger).toEqual([]);
    });
  });

  test("what a client says in headers of ours is kept harmless", async () => {
    const answer = await ask(whole.weir, chat, FACES[0]?.body("m-echo", "hi") ?? {}, {
      headers: { "x-request-id": `${"r".repeat(300)}`, traceparent: "00-zz-zz-zz", "x-weir-tags": "" },
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("x-request-id")).toBe("r".repeat(128));
    expect(answer.headers.get("x-weir-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    for (const tags of ["novalue", "=x", Array.from({ length: 40 }, (_, index) => `t${index}=1`).join(",")]) {
      const refused = await ask(whole.weir, chat, FACES[0]?.body("m-echo", "hi") ?? {}, {
        headers: { "x-weir-tags": tags },
      });
      expect(refused.status, tags).toBe(400);
    }
  });

  test("HEAD is answered as GET, without a body", async () => {
    for (const path of ["/healthz", "/readyz", "/metrics"]) {
      const answer = await fetch(whole.weir.httpUrl + path, { method: "HEAD" });
      expect(answer.status).toBe(200);
      expect(Number(answer.headers.get("content-length"))).toBeGreaterThan(0);
    }
    const { text } = await talk(whole.weir.httpUrl, ["HEAD /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"]);
    expect(text).toMatch(/\r\n\r\n$/);
    expect((await fetch(`${whole.weir.httpUrl}${chat}`, { method: "HEAD" })).status).toBe(405);
    expect((await fetch(`${whole.weir.httpUrl}/v1/models`, { method: "HEAD" })).status).toBe(401);
  });

  test("a connection carries many requests, refused ones and streams included", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    const send = (path: string, body: string, key: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const sent = httpRequest(
          whole.weir.httpUrl + path,
          { method: "POST", agent, headers: { authorization: `Bearer ${key}`, "content-type": "application/json" } },
          (answer) => {
            ports.add(answer.socket.localPort);
            answer
              .resume()
              .on("end", () => resolve(answer.statusCode ?? 0))
              .on("error", reject);
          },
        );
        sent.on("error", reject);
        sent.end(body);
      });
    const good = JSON.stringify(FACES[0]?.body("m-openai", "hi"));
    const streamed = JSON.stringify(FACES[0]?.body("m-openai", "hi", true));
    const { key } = whole.weir;
    expect(await send(chat, good, key)).toBe(200);
    expect(await send(chat, streamed, key)).toBe(200);
    expect(await send(chat, "{", key)).toBe(400);
    expect(await send(chat, good, "wrong")).toBe(401);
    expect(await send("/nowhere", good, key)).toBe(404);
    expect(await send(chat, good, key)).toBe(200);
    expect(ports.size).toBe(1);
    agent.destroy();
  });

  test("pipelined requests are answered in order", async () => {
    const post = (text: string): string => {
      const sent = JSON.stringify(FACES[0]?.body("m-echo", text));
      return `POST ${chat} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${whole.weir.key}\r\ncontent-length: ${sent.length}\r\n\r\n${sent}`;
    };
    const { text, statuses } = await talk(whole.weir.httpUrl, [
      `${post("first-of-three")}${post("second-of-three")}GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
    ]);
    expect(statuses).toEqual([200, 200, 200]);
    expect(text.indexOf("first-of-three")).toBeLessThan(text.indexOf("second-of-three"));
    expect(text).toMatch(/\{"status":"ok"\}$/);
  });

  test("it is still well after all that", async () => {
    expect((await fetch(`${whole.weir.httpUrl}/readyz`)).status).toBe(200);
    expect((await ask(whole.weir, chat, FACES[0]?.body("m-openai", "hi") ?? {})).status).toBe(200);
    expect(whole.weir.output()).not.toContain('"defect"');
  });
});
