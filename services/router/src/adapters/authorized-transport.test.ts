import { CredentialError } from "@weir/credentials";
import { describe, expect, it } from "vitest";
import type { AnswerSink, Authorizer, Exchange, ProviderRequest, Transport, TransportFailure } from "../ports.ts";
import { authorizedTransport } from "./authorized-transport.ts";

interface Sent {
  readonly request: ProviderRequest;
  readonly sink: AnswerSink;
  readonly calls: string[];
}

function rig(headersFor: Authorizer["headersFor"]) {
  const sent: Sent[] = [];
  const refused: number[] = [];
  const told: unknown[] = [];
  const plain: Transport = {
    send(request, sink): Exchange {
      const calls: string[] = [];
      sent.push({ request, sink, calls });
      return {
        cancel: () => void calls.push("cancel"),
        pause: () => void calls.push("pause"),
        resume: () => void calls.push("resume"),
      };
    },
    async [Symbol.asyncDispose]() {},
  };
  const authorizer: Authorizer = {
    headersFor,
    refused: (status) => void refused.push(status),
    betrays: () => false,
  };
  const transport = authorizedTransport(plain, authorizer, (error) => told.push(error));
  const failures: TransportFailure[] = [];
  const sink: AnswerSink = { head() {}, data() {}, end() {}, error: (failure) => failures.push(failure) };
  const send = (more: Partial<ProviderRequest> = {}): Exchange =>
    transport.send(
      {
        path: "/x",
        headers: "a: b\r\n",
        body: Buffer.from("{}"),
        wire: "bedrock-converse",
        model: "m",
        stream: true,
        deadlineMs: undefined,
        signal: new AbortController().signal,
        ...more,
      } as ProviderRequest,
      sink,
    );
  return { send, sent, refused, failures, told };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a request that must prove who asks", () => {
  it("is sent at once where the proof is at hand", () => {
    const { send, sent } = rig(() => "authorization: x\r\n");
    send();
    expect(sent[0]?.request.headers).toBe("a: b\r\nauthorization: x\r\n");
  });

  it("waits for a proof, and keeps what was asked of it meanwhile", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const { send, sent, failures } = rig(() => promise);
    const exchange = send({ deadlineMs: 60_000 });
    exchange.pause();
    expect(sent).toHaveLength(0);
    resolve("authorization: x\r\n");
    await turn();
    expect(sent[0]?.calls).toEqual(["pause"]);
    expect(sent[0]?.request.deadlineMs).toBeLessThanOrEqual(60_000);
    exchange.resume();
    exchange.cancel();
    expect(sent[0]?.calls).toEqual(["pause", "resume", "cancel"]);
    expect(failures).toEqual([]);
  });

  it("is never sent once its client has left", async () => {
    for (const leave of [
      (exchange: Exchange) => exchange.cancel(),
      (_: Exchange, cut: AbortController) => cut.abort(),
    ]) {
      const { promise, resolve } = Promise.withResolvers<string>();
      const { send, sent, failures } = rig(() => promise);
      const cut = new AbortController();
      leave(send({ signal: cut.signal }), cut);
      resolve("authorization: x\r\n");
      await turn();
      expect(sent).toHaveLength(0);
      expect(failures).toEqual([{ kind: "cancelled", sent: false }]);
    }
    const gone = rig(() => new Promise(() => {}));
    gone.send({ signal: AbortSignal.abort() });
    await turn();
    expect(gone.failures).toEqual([{ kind: "cancelled", sent: false }]);
  });

  it("is given up when its time is over", async () => {
    const { send, failures, sent } = rig(() => new Promise(() => {}));
    send({ deadlineMs: 1 });
    await expect.poll(() => failures).toEqual([{ kind: "deadline", sent: false }]);
    expect(sent).toHaveLength(0);
  });

  it.each([
    [new CredentialError("away", true), "connect"],
    [new CredentialError("refused", false), "credential"],
    [new TypeError("a bug"), "credential"],
  ])("that has none (%s) fails as %s, and its operator is told", async (error, kind) => {
    const rejecting = rig(() => Promise.reject(error));
    rejecting.send();
    await turn();
    expect([rejecting.failures, rejecting.told]).toEqual([[{ kind, sent: false }], [error]]);
    const throwing = rig(() => {
      throw error;
    });
    throwing.send();
    await turn();
    expect(throwing.failures).toEqual([{ kind, sent: false }]);
  });

  it("tells its proof's keeper when that was refused", () => {
    const { send, sent, refused } = rig(() => "");
    send();
    for (const status of [200, 401, 403, 500]) sent[0]?.sink.head(status, { get: () => undefined });
    expect(refused).toEqual([401, 403]);
  });
});
