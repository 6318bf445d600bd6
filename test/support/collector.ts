import { once } from "node:events";
import { createServer } from "node:http";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** One exported span, as it stood on the wire. */
export interface CollectedSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** "": none. */
  readonly parentId: string;
  /** Numbers as texts. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly failed: boolean;
}

export interface Collector extends Disposable {
  readonly url: string;
  spans(): CollectedSpan[];
  /** All bytes that came, for looking for what must not be there. */
  bytes(): Buffer;
}

interface Field {
  readonly no: number;
  readonly value: bigint | number | Uint8Array;
}

/** A message's fields by protobuf's wire format alone: a collector must not trust the exporter's own library. */
function fields(message: Uint8Array): Field[] {
  const reader = new BinaryReader(message);
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
const parts = (message: Uint8Array, no: number): Uint8Array[] =>
  fields(message).flatMap((field) => (field.no === no && field.value instanceof Uint8Array ? [field.value] : []));
const part = (message: Uint8Array, no: number): Uint8Array => parts(message, no)[0] ?? new Uint8Array();
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** A list of KeyValue {key = 1, value = 2 {string = 1, bool = 2, int = 3, double = 4}}. */
const attributesOf = (message: Uint8Array, no: number): Record<string, string> =>
  Object.fromEntries(
    parts(message, no).map((pair) => {
      const [value] = fields(part(pair, 2));
      return [text(part(pair, 1)), value?.value instanceof Uint8Array ? text(value.value) : String(value?.value)];
    }),
  );

/** Takes traces over OTLP/HTTP (opentelemetry/proto/collector/trace/v1), as protobuf. */
export async function startCollector(): Promise<Collector> {
  const bodies: Buffer[] = [];
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
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the collector has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    // ExportTraceServiceRequest.resource_spans = 1 {resource = 1 {attributes = 1}, scope_spans = 2 {spans = 2}}
    spans: () =>
      bodies.flatMap((body) =>
        parts(body, 1).flatMap((resourceSpans) => {
          const service = attributesOf(part(resourceSpans, 1), 1)["service.name"] ?? "";
          const spans = parts(resourceSpans, 2).flatMap((scope) => parts(scope, 2));
          return spans.map((span) => spanOf(service, span));
        }),
      ),
    bytes: () => Buffer.concat(bodies),
    [Symbol.dispose]: () => void server.close(),
  };
}

/** Span {trace_id = 1, span_id = 2, parent_span_id = 4, name = 5, attributes = 9, status = 15 {code = 3, 2: error}}. */
const spanOf = (service: string, span: Uint8Array): CollectedSpan => ({
  service,
  name: text(part(span, 5)),
  traceId: hex(part(span, 1)),
  spanId: hex(part(span, 2)),
  parentId: hex(part(span, 4)),
  attributes: attributesOf(span, 9),
  failed: fields(part(span, 15)).some(({ no, value }) => no === 3 && value === 2n),
});
