/** What operators see of a request: one trace over all hops, numbers, one log line; and nothing of what was said. */
import { randomBytes } from "node:crypto";
import { COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, FACES } from "../support/ask.ts";
import { type CollectedSpan, type Collector, startCollector } from "../support/collector.ts";
import { bootWhole, MODELS, type Whole } from "../support/whole.ts";

const CANARY = "quokka-51c0de-canary";

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  let collector: Collector;
  beforeAll(async () => {
    collector = await startCollector();
    whole = await bootWhole(composition, {
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: "200", WEIR_LOG_LEVEL: "debug" },
    });
  });
  afterAll(async () => {
    await whole?.[Symbol.asyncDispose]();
    collector?.[Symbol.dispose]();
  });

  async function traced(
    path: string,
    body: object,
  ): Promise<{ answer: Response; text: string; spans: () => CollectedSpan[]; parentId: string }> {
    const [traceId, parentId] = [randomBytes(16).toString("hex"), randomBytes(8).toString("hex")];
    const answer = await ask(whole.weir, path, body, { headers: { traceparent: `00-${traceId}-${parentId}-01` } });
    const text = await answer.text();
    return { answer, text, parentId, spans: () => collector.spans().filter((span) => span.traceId === traceId) };
  }

  describe.each(FACES)("$name", (face) => {
    test.each([false, true])(
      "a request is one connected trace, from the client's span to the provider's call (stream: %s)",
      async (stream) => {
        const { answer, spans, parentId } = await traced(face.path, face.body("m-anthropic", CANARY, stream));
        expect(answer.status).toBe(200);
        await expect.poll(() => spans().length, { timeout: 15_000 }).toBeGreaterThanOrEqual(3);
        await expect
          .poll(() => spans().filter((span) => span.parentId === parentId).length, { timeout: 15_000 })
          .toBe(1);
        const all = spans();
        const ids = new Set(all.map(({ spanId }) => spanId));
        expect(ids.size).toBe(all.length);
        for (const span of all)
          expect(span.parentId === parentId || ids.has(span.parentId), `${span.service} ${span.name}`).toBe(true);
        const root = all.find((span) => span.parentId === parentId);
        expect(root?.name).toBe(`POST ${face.path}`);
        expect(root?.attributes).toMatchObject({
          "gen_ai.request.model": "m-anthropic",
          "gen_ai.response.model": "claude-haiku-4-5",
          "http.response.status_code": "200",
          "weir.request.id": answer.headers.get("x-weir-request-id") ?? "",
        });
        expect(Number(root?.attributes["gen_ai.usage.output_tokens"])).toBeGreaterThan(0);
        const call = all.find(({ name }) => name === "call claude");
        expect(call?.attributes).toMatchObject({ "gen_ai.request.model": "claude-haiku-4-5" });
        expect(call?.service).toBe(composition === "standalone" ? "weir" : "weir-router");
        expect(call?.parentId).toBe(all.find(({ name }) => name.startsWith("weir.router.v1.RouterService/"))?.spanId);
        const services = new Set(all.map(({ service }) => service));
        expect([...services].toSorted((a, b) => a.localeCompare(b))).toEqual(
          composition === "standalone" ? ["weir"] : expect.arrayContaining(["weir-ingress", "weir-router"]),
        );
      },
    );
  });

  test("a failure is marked in its trace", async () => {
    whole.simulator.script({ behaviour: { status: 400, text: CANARY } });
    const { spans, answer, parentId } = await traced("/v1/chat/completions", FACES[0]?.body("m-gemini", CANARY) ?? {});
    whole.simulator.reset();
    expect(answer.status).toBe(400);
    await expect.poll(() => spans().find((span) => span.parentId === parentId)?.failed, { timeout: 15_000 }).toBe(true);
  });

  test("what a caller does not sample is not exported", async () => {
    const traceId = randomBytes(16).toString("hex");
    const headers = { traceparent: `00-${traceId}-${randomBytes(8).toString("hex")}-00` };
    await (await ask(whole.weir, "/v1/chat/completions", FACES[0]?.body("m-echo", "hi") ?? {}, { headers })).text();
    // Another one behind it: when that is here, the first would be, too.
    const { spans } = await traced("/v1/chat/completions", FACES[0]?.body("m-echo", "hi") ?? {});
    await expect.poll(() => spans().length, { timeout: 15_000 }).toBeGreaterThan(0);
    expect(collector.spans().filter((span) => span.traceId === traceId)).toEqual([]);
  });

  test("the numbers: requests, tokens, cost, times, spool", async () => {
    const read = async (): Promise<Map<string, number>> => {
      const text = await (await fetch(`${whole.weir.httpUrl}/metrics`)).text();
      const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      return new Map(
        lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
      );
    };
    const sum = (series: ReadonlyMap<string, number>, name: string, ...labels: string[]): number =>
      [...series].reduce(
        (total, [id, value]) =>
          id.startsWith(name) && labels.every((label) => id.includes(label)) ? total + value : total,
        0,
      );
    const before = await read();
    let cost = 0;
    for (const model of MODELS) {
      const answer = await ask(whole.weir, "/v1/chat/completions", FACES[0]?.body(model, "one two three") ?? {});
      await answer.text();
      cost += Number(answer.headers.get("x-weir-cost-usd") ?? 0);
      expect(Number(answer.headers.get("x-weir-overhead-ms"))).toBeGreaterThan(0);
    }
    await (await ask(whole.weir, "/v1/chat/completions", FACES[0]?.body("m-openai", "hi", true) ?? {})).text();
    await (await ask(whole.weir, "/v1/chat/completions", FACES[0]?.body(`invented-${CANARY}`, "hi") ?? {})).text();
    const after = await read();
    const grown = (name: string, ...labels: string[]): number =>
      sum(after, name, ...labels) - sum(before, name, ...labels);
    expect(grown("weir_requests_total", 'status="200"')).toBe(MODELS.length + 1);
    expect(grown("weir_requests_total", 'status="404"')).toBe(1);
    expect(grown("weir_requests_total", 'model="m-gemini"', 'provider="gemini"')).toBe(1);
    expect(grown("weir_tokens_total", 'kind="output"')).toBeGreaterThanOrEqual(MODELS.length * 3);
    expect(grown("weir_tokens_total", 'kind="input"')).toBeGreaterThanOrEqual(MODELS.length * 3);
    expect(grown("weir_cost_usd_total", 'model="m-compatible"')).toBeGreaterThan(0);
    expect(cost).toBeGreaterThan(0);
    expect(grown("weir_overhead_seconds_count")).toBe(MODELS.length + 2);
    expect(grown("weir_request_seconds_count")).toBe(MODELS.length + 2);
    expect(grown("weir_first_token_seconds_count")).toBe(1);
    for (const gauge of ["weir_spool_bytes", "weir_spool_depth", "weir_settlements_pending"])
      expect([...after.keys()], gauge).toContain(gauge);
    expect([...after.keys()].some((id) => id.startsWith("process_cpu"))).toBe(true);
    // A stranger's words become no label.
    expect([...after.keys()].join("\n")).not.toContain(CANARY);
  });

  test("one line in the log per request, whatever became of it", async () => {
    const sent: [string, number][] = [];
    for (const body of [
      FACES[0]?.body("m-openai", CANARY),
      FACES[0]?.body("m-openai", CANARY, true),
      FACES[0]?.body("no-such", CANARY),
    ]) {
      const answer = await ask(whole.weir, "/v1/chat/completions", body ?? {});
      await answer.text();
      sent.push([answer.headers.get("x-weir-request-id") ?? "", answer.status]);
    }
    const lines = () =>
      whole.weir
        .output()
        .split("\n")
        .filter((line) => line.startsWith("{") && line.includes('"msg":"request"'))
        .flatMap((line) => {
          const { requestId, status, route } = JSON.parse(line) as { requestId: string; status: number; route: string };
          return sent.some(([id]) => id === requestId) ? [[requestId, status, route]] : [];
        });
    await expect.poll(() => lines().length, { timeout: 5_000 }).toBe(sent.length);
    expect(lines()).toEqual(sent.map(([id, status]) => [id, status, "POST /v1/chat/completions"]));
  });

  test("no secret and nothing of what was said is in logs, traces, metrics or errors", async () => {
    const seen: string[] = [];
    const secrets = [
      whole.weir.key,
      whole.weir.adminToken,
      "sk-simulated-provider-key",
      "wk_a-strangers-key-0123456789",
    ];
    const personal = ["quinn.quokka@example.org", "4111 1111 1111 1111", "078-05-1120", "GB82 WEST 1234 5698 7654 32"];
    // Errors of providers quote what they were sent.
    const quoted = `your text was: "${CANARY} ${personal.join(" ")}"`;
    for (const behaviour of [
      { status: 500, text: `boom ${secrets.join(" ")} ${quoted}` },
      { status: 401, text: `${secrets.join(" ")} ${quoted}` },
      { status: 400, text: quoted },
      { status: 429, text: quoted },
      { malformed: true },
      { refuse: true },
      { raw: quoted, contentType: "text/html" },
      { raw: `data: {"error":{"message":${JSON.stringify(quoted)}}}\n\n`, contentType: "text/event-stream" },
      { cutAfterEvents: 1 },
      { errorAfterEvents: 1, text: quoted },
    ]) {
      for (const model of ["m-openai", "m-anthropic", "m-gemini"]) {
        for (const stream of [false, true]) {
          whole.simulator.script({ behaviour });
          const body = FACES[0]?.body(model, `${CANARY} ${personal.join(" ")}`, stream) ?? {};
          const answer = await ask(whole.weir, "/v1/chat/completions", { ...body, user: personal[0] });
          seen.push(await answer.text());
        }
      }
    }
    whole.simulator.reset();
    for (const body of [
      `{"model":"${CANARY}`,
      `{"messages":"${CANARY}","model":7}`,
      JSON.stringify({ model: "m-echo", messages: CANARY }),
    ])
      seen.push(await (await ask(whole.weir, "/v1/chat/completions", body)).text());
    const stranger = await ask(whole.weir, "/v1/chat/completions", "{}", { key: "wk_a-strangers-key-0123456789" });
    seen.push(await stranger.text());
    const metrics = await (await fetch(`${whole.weir.httpUrl}/metrics`)).text();
    const { spans } = await traced("/v1/chat/completions", FACES[0]?.body("m-openai", CANARY) ?? {});
    await expect.poll(() => spans().length, { timeout: 15_000 }).toBeGreaterThan(0);
    const traces = collector.bytes().toString("latin1");
    expect(traces).toContain("gen_ai.request.model");
    const output = whole.weir.output();
    expect(output).toContain('"msg":"request"');
    for (const secret of [CANARY, ...secrets, ...personal]) {
      expect(output.includes(secret), `log: ${secret}`).toBe(false);
      expect(metrics.includes(secret), `metrics: ${secret}`).toBe(false);
      expect(traces.includes(secret), `traces: ${secret}`).toBe(false);
    }
    for (const secret of secrets)
      for (const text of seen) expect(text.includes(secret), `an error has ${secret}: ${text}`).toBe(false);
  });
});
