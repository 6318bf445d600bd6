import { type Client, Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { DescService } from "@bufbuild/protobuf";
import { router } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { afterEach, describe, expect, it } from "vitest";
import { fromConnectError, type Route } from "../src/index.ts";

export type Implementation = Partial<ServiceImpl<typeof router.RouterService>>;

export const routeOf = (implementation: Implementation): Route => ({
  service: router.RouterService,
  implementation: implementation as Partial<ServiceImpl<DescService>>,
});

export interface Connected extends AsyncDisposable {
  readonly client: Client<typeof router.RouterService>;
}

export interface Kind {
  readonly connect: (implementation: Implementation) => Promise<Connected>;
  /** Leaving a for-await loop cancels the call; Connect's own clients need a signal for that. */
  readonly returnCancels: boolean;
}

export const call = { requestId: "0190b0b0-0000-7000-8000-000000000001", model: "m" };
const frame = (text: string) => ({ message: { case: "frame" as const, value: new TextEncoder().encode(text) } });
const textOf = (response: router.StreamCompleteResponse): string =>
  response.message.case === "frame" ? new TextDecoder().decode(response.message.value) : `(${response.message.case})`;

/** Resolves when the signal fires. */
const aborted = (context: HandlerContext): Promise<void> =>
  new Promise((resolve) => {
    if (context.signal.aborted) resolve();
    else context.signal.addEventListener("abort", () => resolve());
  });

const codeOf = (error: unknown): Code | undefined => (error instanceof ConnectError ? error.code : undefined);
const failing = (code: Code): unknown => expect.toSatisfy((error: unknown) => codeOf(error) === code);

/** What a client of a service may rely on, however it reaches it. */
export function describePeers(name: string, kind: Kind): void {
  describe(name, () => {
    const open: AsyncDisposable[] = [];
    afterEach(async () => {
      for (const one of open.splice(0)) await one[Symbol.asyncDispose]();
    });
    const connect = async (implementation: Implementation): Promise<Connected["client"]> => {
      const connected = await kind.connect(implementation);
      open.push(connected);
      return connected.client;
    };

    it("carries a call and its answer", async () => {
      const client = await connect({
        complete: (request) => ({
          result: { dropped: [request.call?.model ?? ""], costNanos: 123456789012345n },
          output: {
            case: "raw",
            value: {
              status: 201,
              body: request.call?.input.case === "raw" ? request.call.input.value.body : new Uint8Array(),
            },
          },
        }),
      });
      const body = Uint8Array.from({ length: 300 }, (_, index) => index);
      const answer = await client.complete({ call: { ...call, input: { case: "raw", value: { dialect: 1, body } } } });
      expect(answer.$typeName).toBe("weir.router.v1.CompleteResponse");
      expect(answer.result?.dropped).toEqual(["m"]);
      expect(answer.result?.costNanos).toBe(123456789012345n);
      expect(answer.output.case === "raw" && Uint8Array.from(answer.output.value.body)).toEqual(body);
      expect(answer.result?.headers).toEqual([]);
    });

    it("carries headers and trailers both ways", async () => {
      const client = await connect({
        listModels: (_request, context) => {
          context.responseHeader.set("x-back", `${context.requestHeader.get("x-there")}!`);
          context.responseTrailer.set("x-after", "t");
          return { version: context.requestHeader.get("authorization") ?? "" };
        },
        async *streamComplete(_request, context) {
          context.responseHeader.set("x-back", context.requestHeader.get("x-there") ?? "");
          yield frame("a");
          context.responseTrailer.set("x-after", "t");
        },
      });
      const seen: (string | null)[] = [];
      const options = {
        headers: { "x-there": "hello", authorization: "Bearer k" },
        onHeader: (headers: Headers) => seen.push(headers.get("x-back")),
        onTrailer: (headers: Headers) => seen.push(headers.get("x-after")),
      };
      expect((await client.listModels({}, options)).version).toBe("Bearer k");
      expect(seen).toEqual(["hello!", "t"]);
      for await (const message of client.streamComplete({ call }, options)) seen.push(textOf(message));
      expect(seen.slice(2)).toEqual(["hello", "a", "t"]);
    });

    it("carries errors with everything that belongs to them", async () => {
      const client = await connect({
        complete: async () => {
          throw new WeirError("rate_limited", "too fast", { retryAfterMs: 1500, param: "model", upstreamStatus: 429 });
        },
        // oxlint-disable-next-line require-yield
        async *streamComplete() {
          throw new WeirError("provider_quota", "spent");
        },
      });
      const error = await client.complete({ call }).catch((caught: unknown) => caught);
      expect(codeOf(error)).toBe(Code.ResourceExhausted);
      const ours = fromConnectError(error);
      expect(ours).toMatchObject({
        reason: "rate_limited",
        message: "too fast",
        retryAfterMs: 1500,
        param: "model",
        upstreamStatus: 429,
      });
      const stream = client.streamComplete({ call })[Symbol.asyncIterator]();
      const broken = await stream.next().catch((caught: unknown) => caught);
      expect(fromConnectError(broken)).toMatchObject({
        reason: "provider_quota",
        message: "spent",
        retryAfterMs: undefined,
      });
    });

    it("says nothing of errors that are bugs", async () => {
      const client = await connect({
        complete: () => {
          throw new RangeError("secret in /etc/passwd");
        },
        async *streamComplete() {
          yield frame("a");
          throw new Error("secret");
        },
      });
      const error = await client.complete({ call }).catch((caught: unknown) => caught);
      expect(codeOf(error)).toBe(Code.Internal);
      expect(String(error)).not.toContain("secret");
      const got: string[] = [];
      const read = async (): Promise<void> => {
        for await (const message of client.streamComplete({ call })) got.push(textOf(message));
      };
      const broken = await read().catch((caught: unknown) => caught);
      expect(got).toEqual(["a"]);
      expect(codeOf(broken)).toBe(Code.Internal);
      expect(String(broken)).not.toContain("secret");
      expect(fromConnectError(error)).toMatchObject({ reason: "internal", message: "internal" });
    });

    it("knows what is not implemented", async () => {
      const client = await connect({});
      await expect(client.complete({ call })).rejects.toEqual(failing(Code.Unimplemented));
      await expect(client.streamComplete({ call })[Symbol.asyncIterator]().next()).rejects.toEqual(
        failing(Code.Unimplemented),
      );
    });

    it("ends a call at its deadline, on both sides, whether or not the implementation looks", async () => {
      const seen: unknown[] = [];
      const client = await connect({
        complete: async (_request, context) => {
          // Over by now where the machine is busy.
          seen.push((context.timeoutMs() ?? Number.POSITIVE_INFINITY) <= 100);
          await aborted(context);
          seen.push(codeOf(context.signal.reason));
          throw context.signal.reason;
        },
        listModels: () => new Promise<never>(() => undefined),
        async *streamComplete(_request, context) {
          yield frame("a");
          await aborted(context);
          seen.push(codeOf(context.signal.reason));
          throw context.signal.reason;
        },
      });
      await expect(client.complete({ call }, { timeoutMs: 100 })).rejects.toEqual(failing(Code.DeadlineExceeded));
      await expect(client.listModels({}, { timeoutMs: 50 })).rejects.toEqual(failing(Code.DeadlineExceeded));
      const stream = client.streamComplete({ call }, { timeoutMs: 100 })[Symbol.asyncIterator]();
      expect((await stream.next()).done).toBe(false);
      await expect(stream.next()).rejects.toEqual(failing(Code.DeadlineExceeded));
      await expect.poll(() => seen.length).toBe(3);
      expect(seen[0]).toBe(true);
    });

    it("has no deadline where none was given", async () => {
      const client = await connect({
        listModels: (_request, context) => ({ version: String(context.timeoutMs()) }),
      });
      expect((await client.listModels({})).version).toBe("undefined");
      expect((await client.listModels({}, { timeoutMs: 0 })).version).toBe("undefined");
    });

    it("cancels by signal, on both sides", async () => {
      let stopped = 0;
      const client = await connect({
        complete: async (_request, context) => {
          await aborted(context);
          stopped++;
          throw new WeirError("client_closed", "gone");
        },
        async *streamComplete(_request, context) {
          yield frame("a");
          await aborted(context);
          stopped++;
        },
      });
      const controller = new AbortController();
      const unary = client.complete({ call }, { signal: controller.signal });
      const stream = client.streamComplete({ call }, { signal: controller.signal })[Symbol.asyncIterator]();
      expect((await stream.next()).done).toBe(false);
      const waiting = stream.next();
      setTimeout(() => controller.abort(), 20);
      await expect(unary).rejects.toEqual(failing(Code.Canceled));
      await expect(waiting).rejects.toEqual(failing(Code.Canceled));
      await expect.poll(() => stopped).toBe(2);
      await expect(client.complete({ call }, { signal: AbortSignal.abort() })).rejects.toEqual(failing(Code.Canceled));
    });

    it("fires the signal of a call that is over", async () => {
      let fired = 0;
      const client = await connect({
        listModels: (_request, context) => {
          context.signal.addEventListener("abort", () => fired++);
          return {};
        },
        async *streamComplete(_request, context) {
          context.signal.addEventListener("abort", () => fired++);
          yield frame("a");
        },
      });
      await client.listModels({});
      for await (const message of client.streamComplete({ call })) expect(textOf(message)).toBe("a");
      await expect.poll(() => fired).toBe(2);
    });

    it("streams in order, any number, also none", async () => {
      const client = await connect({
        async *streamComplete(request) {
          for (let index = 0; index < Number(request.call?.model); index++) yield frame(String(index));
        },
      });
      for (const count of [0, 1, 3000]) {
        const got: string[] = [];
        for await (const message of client.streamComplete({ call: { ...call, model: String(count) } }))
          got.push(textOf(message));
        expect(got).toEqual(Array.from({ length: count }, (_, index) => String(index)));
      }
    });

    it("gives messages as they come", async () => {
      let release: () => void = () => undefined;
      const client = await connect({
        async *streamComplete() {
          yield frame("first");
          await new Promise<void>((resolve) => {
            release = resolve;
          });
          yield frame("second");
        },
      });
      const stream = client.streamComplete({ call })[Symbol.asyncIterator]();
      const first = await stream.next();
      expect(first.done === false && textOf(first.value)).toBe("first");
      const second = stream.next();
      release();
      const step = await second;
      expect(step.done === false && textOf(step.value)).toBe("second");
      expect((await stream.next()).done).toBe(true);
      expect((await stream.next()).done).toBe(true);
    });

    it.runIf(kind.returnCancels)(
      "cancels a stream that is left early: its signal fires and its generator ends",
      async () => {
        const ends: string[] = [];
        const client = await connect({
          async *streamComplete(_request, context) {
            context.signal.addEventListener("abort", () => ends.push("signal"));
            try {
              for (;;) {
                yield frame("a");
                await new Promise((resolve) => setTimeout(resolve, 1));
              }
            } finally {
              ends.push("finally");
            }
          },
        });
        for await (const message of client.streamComplete({ call })) {
          expect(textOf(message)).toBe("a");
          break;
        }
        await expect.poll(() => ends.sort()).toEqual(["finally", "signal"]);
      },
    );

    it("does not run far ahead of a slow reader", async () => {
      let made = 0;
      const client = await connect({
        async *streamComplete() {
          for (; made < 4000; made++) yield { message: { case: "frame" as const, value: new Uint8Array(16_384) } };
        },
      });
      let got = 0;
      for await (const message of client.streamComplete({ call })) {
        if (message.message.case === "frame") got++;
        if (got === 5) {
          await new Promise((resolve) => setTimeout(resolve, 300));
          // 65 MB in all; the kernel's buffers and ours hold less than half of that.
          expect(made).toBeLessThan(2000);
        }
      }
      expect(got).toBe(4000);
    });

    it("carries large messages", async () => {
      const body = new Uint8Array(5_000_000).fill(7);
      const client = await connect({
        complete: (request) => ({
          output: {
            case: "raw",
            value: { body: request.call?.input.case === "raw" ? request.call.input.value.body : new Uint8Array() },
          },
        }),
        async *streamComplete() {
          yield { message: { case: "frame" as const, value: body } };
          yield frame("after");
        },
      });
      const answer = await client.complete({ call: { ...call, input: { case: "raw", value: { dialect: 1, body } } } });
      expect(answer.output.case === "raw" && Buffer.from(answer.output.value.body).equals(body)).toBe(true);
      const sizes: number[] = [];
      for await (const message of client.streamComplete({ call })) {
        if (message.message.case === "frame") sizes.push(message.message.value.length);
      }
      expect(sizes).toEqual([5_000_000, 5]);
    });

    it("carries many calls at once, each to its own answer", async () => {
      const client = await connect({
        listModels: async (_request, context) => {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
          return { version: context.requestHeader.get("x-n") ?? "" };
        },
        async *streamComplete(request) {
          for (let index = 0; index < 5; index++) {
            yield frame(`${request.call?.model}.${index}`);
            await new Promise((resolve) => setTimeout(resolve, 2));
          }
        },
      });
      const unary = Array.from({ length: 100 }, (_, n) => client.listModels({}, { headers: { "x-n": String(n) } }));
      const streams = Array.from({ length: 30 }, async (_, n) => {
        const got: string[] = [];
        for await (const message of client.streamComplete({ call: { ...call, model: String(n) } }))
          got.push(textOf(message));
        return got.join();
      });
      expect((await Promise.all(unary)).map((answer) => answer.version)).toEqual(unary.map((_, n) => String(n)));
      expect(await Promise.all(streams)).toEqual(streams.map((_, n) => [0, 1, 2, 3, 4].map((i) => `${n}.${i}`).join()));
    });
  });
}
