import {
  create,
  type DescMessage,
  type DescMethod,
  isMessage,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { CallOptions } from "@connectrpc/connect";
import { headerLine } from "@weir/http1";
import { type Codec, compileCodec } from "./codec.ts";
import { timeoutOf } from "./call-limit.ts";
import { outgoingTraceparent } from "./tracing.ts";

/** Everything about a method that every call of it needs, made once. */
export class MethodPlan {
  readonly path: string;
  /** The connection may have died with the request half done: only what may be done twice is sent again. */
  readonly retryStale: boolean;
  private readonly desc: DescMethod;
  private readonly input: Codec<DescMessage>;
  private readonly output: Codec<DescMessage>;
  private readonly headers: string;
  private readonly traced: boolean;

  /** @param headers rendered lines that every call sends */
  constructor(desc: DescMethod, headers: string, traced: boolean) {
    this.desc = desc;
    this.path = `/${desc.parent.typeName}/${desc.name}`;
    this.retryStale = desc.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
    this.input = compileCodec(desc.input);
    this.output = compileCodec(desc.output);
    const type = desc.methodKind === "unary" ? "application/proto" : "application/connect+proto";
    this.headers = `content-type: ${type}\r\nconnect-protocol-version: 1\r\n${headers}`;
    this.traced = traced;
  }

  encode(input: MessageInitShape<DescMessage>): Uint8Array {
    return this.input.encode(isMessage(input, this.desc.input) ? input : create(this.desc.input, input));
  }

  decode(bytes: Uint8Array): Message {
    return this.output.decode(bytes);
  }

  headersFor(options: CallOptions | undefined): string {
    let lines = this.headers;
    const timeoutMs = timeoutOf(options);
    if (timeoutMs !== undefined) lines += `connect-timeout-ms: ${Math.ceil(timeoutMs)}\r\n`;
    if (options?.headers !== undefined) {
      new Headers(options.headers).forEach((value, name) => {
        lines += headerLine(name, value);
      });
    }
    const traceparent = this.traced ? outgoingTraceparent() : undefined;
    if (traceparent !== undefined) lines += `traceparent: ${traceparent}\r\n`;
    return lines;
  }
}
