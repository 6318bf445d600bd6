import { createHash } from "node:crypto";
import type { Client } from "@connectrpc/connect";
import { ingress, type policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { fromConnectError } from "@weir/mesh";
import type { Served } from "../domain/call.ts";
import type { IdempotentRequests, OpenRequest } from "../ports.ts";
import type { TypedEvent, TypedOutput } from "../wire.ts";
import type { AnswerCipher } from "./answer-cipher.ts";
import { AnswerPieces, keptAnswer } from "./answer-codec.ts";

type IdempotencyClient = Client<typeof policy.IdempotencyService>;
type Asked = Parameters<IdempotentRequests<TypedOutput, TypedEvent>["begin"]>[0];
type Found = Awaited<ReturnType<IdempotentRequests<TypedOutput, TypedEvent>["begin"]>>;

/** A lease is 15 s. */
const RENEW_EVERY_MS = 5_000;
const TIMEOUT_MS = 5_000;
/** The contract takes as many. */
const MAX_BATCH = 4_096;
const NO_BYTES = new Uint8Array(0);

interface Claim {
  readonly keyId: string;
  readonly name: Uint8Array<ArrayBuffer>;
  readonly requestId: string;
}

/** Lengths before the parts: no two lists of parts are the same bytes. */
function sha256(...parts: readonly (string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return new Uint8Array(hash.digest());
}

/**
 * By policy's store. It is shown hashes and ciphertext only; the fingerprint is over the client's own key, too, which it does not have: so
 * texts that are easily guessed cannot be found by trying them.
 */
export class PolicyIdempotency implements IdempotentRequests<TypedOutput, TypedEvent>, Disposable {
  readonly #client: IdempotencyClient;
  readonly #cipher: AnswerCipher;
  readonly #onError: (error: unknown) => void;
  readonly #running = new Set<Claim>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param onError a request could not be kept, released or renewed */
  constructor(client: IdempotencyClient, cipher: AnswerCipher, onError: (error: unknown) => void) {
    this.#client = client;
    this.#cipher = cipher;
    this.#onError = onError;
  }

  async begin(asked: Asked): Promise<Found> {
    const { key, keyId, workspaceId, requestId, route, body } = asked;
    const claim: Claim = { keyId, name: sha256(keyId, key), requestId };
    const fingerprint = sha256(key, route, body);
    let found: policy.BeginIdempotentResponse["found"];
    try {
      ({ found } = await this.#client.beginIdempotent({ ...claim, fingerprint }, { timeoutMs: TIMEOUT_MS }));
    } catch (failure) {
      const cause = fromConnectError(failure);
      this.#onError(cause);
      // What it may have taken all the same ends with its lease.
      throw new WeirError("policy_unavailable", "Idempotency-Keys cannot be checked right now.", {
        retryAfterMs: 1_000,
        cause,
      });
    }
    // Of what its client sent, and the store does not have: who has the store and our secret cannot open what is kept there.
    const context = sha256("weir kept answer 1", keyId, key, route, body);
    switch (found.case) {
      case "begun":
        return { state: "begun", request: this.#open(claim, workspaceId, context) };
      case "running":
        return { state: "running", requestId: found.value.requestId, retryAfterMs: found.value.retryAfterMs };
      case "mismatch":
        return { state: "mismatch", requestId: found.value.requestId };
      case "answered": {
        const { requestId: answered, answer } = found.value;
        if (answer.length === 0) return { state: "not-kept", requestId: answered };
        const bytes = this.#cipher.open(workspaceId, context, answer);
        if (bytes === undefined) return { state: "unreadable", requestId: answered };
        return { state: "answered", answer: keptAnswer(answered, bytes) };
      }
      case undefined:
        throw new Error("policy did not say what it found");
    }
  }

  #open(claim: Claim, workspaceId: string, context: Uint8Array): OpenRequest<TypedOutput, TypedEvent> {
    this.#running.add(claim);
    if (this.#timer === undefined) this.#renewLater();
    const pieces = new AnswerPieces();
    const end = async (call: () => Promise<unknown>): Promise<void> => {
      try {
        await call();
      } catch (failure) {
        this.#onError(fromConnectError(failure));
      } finally {
        this.#running.delete(claim);
      }
    };
    const options = { timeoutMs: TIMEOUT_MS };
    return {
      answer: (output) => pieces.answer(output),
      frame: (bytes) => pieces.add(ingress.KeptAnswerKind.RAW_STREAM, bytes),
      event: (event) => pieces.event(event),
      finish: (served: Served, dropped) =>
        end(() => {
          const bytes = pieces.bytes(served, dropped);
          const answer = bytes === undefined ? NO_BYTES : this.#cipher.seal(workspaceId, context, bytes);
          return this.#client.finishIdempotent({ claim, answer }, options);
        }),
      release: () => end(() => this.#client.releaseIdempotent({ claim }, options)),
    };
  }

  #renewLater(): void {
    if (!this.#closed) this.#timer = setTimeout(() => void this.#renew(), RENEW_EVERY_MS).unref();
  }

  async #renew(): Promise<void> {
    const claims = [...this.#running];
    try {
      for (let from = 0; from < claims.length; from += MAX_BATCH)
        await this.#client.renewIdempotent({ claims: claims.slice(from, from + MAX_BATCH) }, { timeoutMs: TIMEOUT_MS });
    } catch (error) {
      this.#onError(fromConnectError(error));
    }
    this.#timer = undefined;
    if (this.#running.size > 0) this.#renewLater();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}
