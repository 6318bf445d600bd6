/** Kept answers as bytes. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { common, ingress } from "@weir/contracts";
import type { Output, Served } from "../domain/call.ts";
import type { KeptAnswer } from "../domain/kept-answer.ts";
import type { TypedEvent, TypedOutput } from "../wire.ts";

const KIND = ingress.KeptAnswerKind;

/** What policy takes is 4 MiB; around the pieces are their lengths, and who served it. */
const MOST_BYTES = 4 * 1024 * 1024 - 16 * 1024;
const PER_PIECE = 6;

/** Collects an answer as it comes, up to what can be kept; then it lets go of all of it. */
export class AnswerPieces {
  #kind: ingress.KeptAnswerKind = KIND.UNSPECIFIED;
  #status = 200;
  #contentType = "";
  #pieces: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;

  add(kind: ingress.KeptAnswerKind, piece: Uint8Array): void {
    this.#kind = kind;
    this.#bytes += piece.length + PER_PIECE;
    if (this.#bytes > MOST_BYTES) this.#pieces = [];
    else this.#pieces.push(new Uint8Array(piece));
  }

  answer(output: Output<TypedOutput>): void {
    if (output.kind === "raw") {
      this.#status = output.status;
      this.#contentType = output.contentType;
      this.add(KIND.RAW, output.body);
    } else if (output.kind === "typed") {
      const { value } = output;
      if (value.$typeName === "weir.common.v1.ChatResponse")
        this.add(KIND.CHAT, toBinary(common.ChatResponseSchema, value));
      else this.add(KIND.EMBEDDING, toBinary(common.EmbedResponseSchema, value));
    }
  }

  event(event: TypedEvent): void {
    this.add(KIND.TYPED_STREAM, toBinary(common.ChatEventSchema, event));
  }

  /** @returns undefined: it is too large */
  bytes(served: Served, dropped: readonly string[]): Uint8Array | undefined {
    if (this.#bytes > MOST_BYTES) return undefined;
    const message: ingress.KeptAnswer = {
      $typeName: "weir.ingress.v1.KeptAnswer",
      kind: this.#kind,
      status: this.#status,
      contentType: this.#contentType,
      provider: served.provider,
      model: served.model,
      region: served.region,
      attempt: served.attempt,
      dropped: [...dropped],
      pieces: this.#pieces,
    };
    return toBinary(ingress.KeptAnswerSchema, message);
  }
}

/** @throws Error for bytes that no ingress wrote */
export function keptAnswer(requestId: string, bytes: Uint8Array): KeptAnswer<TypedOutput, TypedEvent> {
  const { provider, model, region, attempt, dropped, ...rest } = fromBinary(ingress.KeptAnswerSchema, bytes);
  return { requestId, served: { provider, model, region, attempt }, dropped, content: contentOf(rest) };
}

function contentOf({
  kind,
  status,
  contentType,
  pieces,
}: Pick<ingress.KeptAnswer, "kind" | "status" | "contentType" | "pieces">): KeptAnswer<
  TypedOutput,
  TypedEvent
>["content"] {
  const whole = (output: Output<TypedOutput>) => ({ kind: "whole" as const, output });
  const first = pieces[0] ?? new Uint8Array(0);
  switch (kind) {
    case KIND.RAW:
      return whole({ kind: "raw", status, contentType, body: first });
    case KIND.CHAT:
      return whole({ kind: "typed", value: fromBinary(common.ChatResponseSchema, first) });
    case KIND.EMBEDDING:
      return whole({ kind: "typed", value: fromBinary(common.EmbedResponseSchema, first) });
    case KIND.RAW_STREAM:
      return { kind: "frames", frames: pieces };
    case KIND.TYPED_STREAM:
      return { kind: "events", events: pieces.map((piece) => fromBinary(common.ChatEventSchema, piece)) };
    case KIND.UNSPECIFIED:
      throw new Error("a kept answer of no kind");
  }
}
