import type { CallOptions } from "@connectrpc/connect";
import type { HeaderSource } from "./call-context.ts";
import { outgoingTraceparent } from "./tracing.ts";

/** The headers of an in-process call: the caller's own and its trace. */
export class OwnHeaders implements HeaderSource {
  private readonly init: CallOptions["headers"];
  private readonly traceparent: string | undefined;
  private headers: Headers | undefined;

  constructor(init: CallOptions["headers"], traced: boolean) {
    this.init = init;
    this.traceparent = traced ? outgoingTraceparent() : undefined;
  }

  get(lower: string): string | null {
    if (this.init === undefined && this.headers === undefined) {
      return lower === "traceparent" ? (this.traceparent ?? null) : null;
    }
    return this.all().get(lower);
  }

  all(): Headers {
    if (this.headers === undefined) {
      this.headers = new Headers(this.init);
      if (this.traceparent !== undefined) this.headers.set("traceparent", this.traceparent);
    }
    return this.headers;
  }
}
