import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import { once } from "node:events";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { context, trace } from "@opentelemetry/api";
import { expect, test } from "vitest";
import { GEN_AI } from "./gen-ai-attributes.ts";
import { createTelemetry } from "./telemetry.ts";

type Field = { no: number; value: number | bigint | Uint8Array };

/** A message's fields, by protobuf's wire format alone: the collector must not trust the exporter's own library. */
function fields(bytes: Uint8Array): Field[] {
  const reader = new BinaryReader(bytes);
  const found: Field[] = [];
  while (reader.pos < reader.len) {
    const [no, type] = reader.tag();
    if (type === WireType.LengthDelimited) found.push({ no, value: reader.bytes() });
    else if (type === WireType.Varint) found.push({ no, value: BigInt(reader.uint64()) });
    else if (type === WireType.Bit64) found.push({ no, value: BigInt(reader.fixed64()) });
    else found.push({ no, value: reader.fixed32() });
  }
  return found;
}
const parts = (bytes: Uint8Array, no: number): Uint8Array[] =>
  fields(bytes).flatMap((field) => (field.no === no && field.value instanceof Uint8Array ? [field.value] : []));
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");

/** KeyValue list (opentelemetry/proto/common/v1): key = 1, value = 2 {string = 1, int = 3}. */
const attributes = (bytes: Uint8Array, no: number): Record<string, string> =>
  Object.fromEntries(
    parts(bytes, no).map((pair) => {
      const [value] = fields(parts(pair, 2)[0] ?? new Uint8Array());
      return [text(parts(pair, 1)[0]), value?.value instanceof Uint8Array ? text(value.value) : String(value?.value)];
    }),
  );

async function collector(): Promise<
  { url: string; spans: () => { resource: Record<string, string>; span: Uint8Array }[] } & Disposable
> {
  const bodies: Uint8Array[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.url === "/v1/traces") bodies.push(Buffer.concat(chunks));
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${bound.port}`,
    // ExportTraceServiceRequest.resource_spans = 1 {resource = 1 {attributes = 1}, scope_spans = 2 {spans = 2}}
    spans: () =>
      bodies.flatMap((body) =>
        parts(body, 1).flatMap((resourceSpans) =>
          parts(resourceSpans, 2)
            .flatMap((scope) => parts(scope, 2))
            .map((span) => ({ resource: attributes(parts(resourceSpans, 1)[0] ?? new Uint8Array(), 1), span })),
        ),
      ),
    [Symbol.dispose]: () => void server.close(),
  };
}

const quiet = { write: (): void => undefined };

test("spans reach a collector with their parent, names and service", async () => {
  using fake = await collector();
  const incoming = `00-${"c".repeat(32)}-${"d".repeat(16)}-01`;
  {
    await using telemetry = createTelemetry({
      service: "weir-ingress",
      level: "silent",
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: fake.url },
      destination: quiet,
    });
    expect(telemetry.tracing).toBe(true);
    await telemetry.tracingReady;
    const outer = telemetry.startSpan(
      "chat fast",
      { [GEN_AI.requestModel]: "fast", left: undefined },
      incoming,
      "server",
    );
    const inner = telemetry.startSpan("call", { [GEN_AI.usageInputTokens]: 12 }, outer.traceparent, "client");
    expect(inner.recording).toBe(true);
    inner.fail("provider_timeout");
    inner.end();
    outer.end();
  }
  const spans = fake.spans();
  expect(spans).toHaveLength(2);
  const [call, chat] = spans;
  if (call === undefined || chat === undefined) throw new Error("two spans");
  // Span: trace_id = 1, span_id = 2, parent_span_id = 4, name = 5, kind = 6, attributes = 9, status = 15 {message = 2, code = 3}
  expect(text(parts(chat.span, 5)[0])).toBe("chat fast");
  expect(hex(parts(chat.span, 1)[0])).toBe("c".repeat(32));
  expect(hex(parts(chat.span, 4)[0])).toBe("d".repeat(16));
  expect(hex(parts(call.span, 4)[0])).toBe(hex(parts(chat.span, 2)[0]));
  expect(attributes(chat.span, 9)).toEqual({ "gen_ai.request.model": "fast" });
  expect(attributes(call.span, 9)).toEqual({ "gen_ai.usage.input_tokens": "12", "error.type": "provider_timeout" });
  expect(fields(parts(call.span, 15)[0] ?? new Uint8Array())).toContainEqual({ no: 3, value: 2n });
  expect(chat.resource["service.name"]).toBe("weir-ingress");
});

test("libraries find the span they run in, over awaits", async () => {
  using fake = await collector();
  {
    await using telemetry = createTelemetry({
      service: "x",
      level: "silent",
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: fake.url },
      destination: quiet,
    });
    await telemetry.tracingReady;
    const outer = telemetry.tracer.startSpan("outer");
    await context.with(trace.setSpan(context.active(), outer), async () => {
      await new Promise((resolve) => setImmediate(resolve));
      telemetry.tracer.startSpan("inner").end();
    });
    outer.end();
  }
  const [inner, outer] = fake.spans();
  expect(hex(parts(inner?.span ?? new Uint8Array(), 4)[0])).toBe(hex(parts(outer?.span ?? new Uint8Array(), 2)[0]));
});

test("what a caller did not sample stays unsampled all the way", async () => {
  using fake = await collector();
  const incoming = `00-${"c".repeat(32)}-${"d".repeat(16)}-00`;
  {
    await using telemetry = createTelemetry({
      service: "x",
      level: "silent",
      env: {
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${fake.url}/v1/traces`,
        OTEL_TRACES_SAMPLER_ARG: "0",
        OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      },
      destination: quiet,
    });
    await telemetry.tracingReady;
    const span = telemetry.startSpan("a", {}, incoming);
    expect(span.traceparent).toBe(incoming);
    const root = telemetry.startSpan("b", {});
    expect(root.recording).toBe(false);
    expect(root.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    span.end();
    root.end();
  }
  expect(fake.spans()).toEqual([]);
});

test("without an endpoint tracing is off, and passes on what came in", async () => {
  await using telemetry = createTelemetry({ service: "x", level: "silent", env: {}, destination: quiet });
  expect(telemetry.tracing).toBe(false);
  expect(telemetry.startSpan("a", {}).traceparent).toBe("");
  expect(telemetry.startSpan("a", {}, "00-1-2-3").traceparent).toBe("00-1-2-3");
});

test("a span that is not recorded costs next to nothing", async () => {
  await using telemetry = createTelemetry({
    service: "x",
    level: "silent",
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9", OTEL_TRACES_SAMPLER: "parentbased_always_off" },
    destination: quiet,
  });
  await telemetry.tracingReady;
  const attributes = { a: 1 };
  const run = (count: number): number => {
    const startMs = performance.now();
    for (let index = 0; index < count; index++) telemetry.startSpan("a", attributes).end();
    return ((performance.now() - startMs) * 1000) / count;
  };
  run(50_000);
  // Under 0.1 µs on an idle machine; the bound is for a busy one.
  expect(Math.min(run(50_000), run(50_000), run(50_000))).toBeLessThan(1);
});

test("an unreachable collector harms nobody", async () => {
  await using telemetry = createTelemetry({
    service: "x",
    level: "silent",
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" },
    destination: quiet,
  });
  await telemetry.tracingReady;
  telemetry.startSpan("a", {}).end();
});

test("metrics are rendered in Prometheus's format", async () => {
  await using telemetry = createTelemetry({ service: "x", level: "silent", env: {}, destination: quiet });
  expect(await telemetry.renderMetrics()).toContain("process_cpu_seconds_total");
  expect(telemetry.contentType).toContain("text/plain");
});

test("lines written just before the process ends are not lost", () => {
  const url = new URL("./telemetry.ts", import.meta.url).href;
  const script = `import { createTelemetry } from ${JSON.stringify(url)};
    const { log } = createTelemetry({ service: "x", level: "info", env: {} });
    for (let i = 0; i < 100; i++) log.info({ i }, "line"); process.exit(3);`;
  const ended = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect(ended.status).toBe(3);
  expect(ended.stdout.trimEnd().split("\n")).toHaveLength(100);
});
