import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Context,
  context,
  type ContextManager,
  ROOT_CONTEXT,
  type Span,
  trace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import { router } from "@weir/contracts";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { inProcessPeers, networkPeers, type Peers, serveRoutes } from "../src/index.ts";
import { call, type Implementation, routeOf } from "./peers.contract.ts";

class LocalContext implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();
  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    of: Context,
    call: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(of, () => call.apply(self, args));
  }
  bind<T>(_of: Context, target: T): T {
    return target;
  }
  enable(): this {
    return this;
  }
  disable(): this {
    return this;
  }
}

interface Recorded {
  name: string;
  parent: string | undefined;
  spanId: string;
  ended: boolean;
  errors: unknown[];
}

const recorded: Recorded[] = [];

/** The part of a tracer's behaviour that is used: spans with ids, of the trace of their parent. */
const tracer = {
  startSpan(name: string, _options: unknown, parentContext: Context = context.active()): Span {
    const parent = trace.getSpanContext(parentContext);
    const spanId = (recorded.length + 1).toString(16).padStart(16, "0");
    const own: Recorded = { name, parent: parent?.spanId, spanId, ended: false, errors: [] };
    recorded.push(own);
    const traceId = parent?.traceId ?? "a".repeat(32);
    const span = {
      spanContext: () => ({ traceId, spanId, traceFlags: TraceFlags.SAMPLED }),
      setAttribute: (_key: string, value: unknown) => own.errors.push(value),
      setStatus: () => undefined,
      end: () => {
        own.ended = true;
      },
    };
    return span as unknown as Span;
  },
} as unknown as Tracer;

const implementation: Implementation = {
  listModels: () => ({ version: trace.getSpanContext(context.active())?.spanId ?? "none" }),
  async *streamComplete() {
    for (let index = 0; index < 2; index++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      const value = Buffer.from(trace.getSpanContext(context.active())?.spanId ?? "none");
      yield { message: { case: "frame" as const, value } };
    }
  },
};

describe("traces", () => {
  const both: [string, Peers][] = [];
  const open: AsyncDisposable[] = [];
  beforeAll(async () => {
    context.setGlobalContextManager(new LocalContext());
    const hooks = { tracer };
    const server = await serveRoutes([routeOf(implementation)], { listen: { host: "127.0.0.1", port: 0 }, hooks });
    const network = networkPeers({ addresses: () => `http://127.0.0.1:${server.port}`, hooks });
    open.push(network, server);
    both.push(["network", network], ["in process", inProcessPeers([routeOf(implementation)], hooks)]);
  });
  afterAll(async () => {
    for (const one of open) await one[Symbol.asyncDispose]();
    context.disable();
  });
  beforeEach(() => {
    recorded.length = 0;
  });

  it("go on on the other side if they are sampled, and nothing is recorded if not", async () => {
    for (const [name, peers] of both) {
      recorded.length = 0;
      const client = peers.client(router.RouterService);
      expect((await client.listModels({})).version, name).toBe("none");
      expect(recorded).toEqual([]);
      const edge = tracer.startSpan("edge");
      await context.with(trace.setSpan(ROOT_CONTEXT, edge), async () => {
        expect((await client.listModels({})).version, name).toBe(recorded[1]?.spanId);
        for await (const message of client.streamComplete({ call })) {
          expect(message.message.case === "frame" && Buffer.from(message.message.value).toString(), name).toBe(
            recorded[2]?.spanId,
          );
        }
      });
      await client
        .complete({ call }, { headers: { traceparent: `00-${"b".repeat(32)}-${"c".repeat(16)}-00` } })
        .catch(() => undefined);
      await expect.poll(() => recorded.map((span) => span.ended)).toEqual([false, true, true]);
      expect(recorded.map((span) => span.parent)).toEqual([undefined, recorded[0]?.spanId, recorded[0]?.spanId]);
      expect(recorded[1]?.name).toBe("weir.router.v1.RouterService/ListModels");
    }
  });
});
