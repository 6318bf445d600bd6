import { sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import { audit, common } from "@weir/contracts";
import { compileCodec } from "@weir/mesh";
import { type Sealer, subjectDigest } from "@weir/sealing";
import type { Output } from "../domain/call.ts";
import type { DataSubject, SealedPayload } from "../domain/record.ts";
import { Redactor } from "../domain/redaction.ts";
import { type Body, Transcript } from "../domain/transcript.ts";
import type { PayloadRecorder, PayloadRecording } from "../ports.ts";
import { protobufType, type TypedEvent, type TypedOutput } from "../wire.ts";

const payloadCodec = compileCodec(audit.PayloadSchema);
const chatCodec = compileCodec(common.ChatResponseSchema);
const embedCodec = compileCodec(common.EmbedResponseSchema);

const EVENT_STREAM = "text/event-stream";
const TYPED_EVENTS = `${protobufType(common.ChatEventSchema.typeName)}; encoding=delimited`;
/** A provider says it, so it may be anything. */
const MAX_TYPE_LENGTH = 256;

const OMITTED: SealedPayload = { bytes: new Uint8Array(0), omitted: true };

/** Never in clear: without a key the texts are recorded as omitted, and the request goes on. */
export class SealedPayloads implements PayloadRecorder<TypedOutput, TypedEvent> {
  readonly #key: { readonly sealer: Sealer | undefined };
  readonly #onError: (error: unknown) => void;
  #redactor: Redactor | undefined;

  constructor(key: { readonly sealer: Sealer | undefined }, onError: (error: unknown) => void) {
    this.#key = key;
    this.#onError = onError;
  }

  begin(
    requestId: string,
    contentType: string,
    request: Uint8Array,
    subject: DataSubject,
  ): PayloadRecording<TypedOutput, TypedEvent> {
    const transcript = new Transcript(contentType, request);
    let whole: Output<TypedOutput> | undefined;
    return {
      answer: (output) => {
        whole = output;
      },
      frame: (bytes) => transcript.add(EVENT_STREAM, bytes),
      event: (event) => transcript.add(TYPED_EVENTS, sizeDelimitedEncode(common.ChatEventSchema, event)),
      sealed: () => this.#seal(requestId, subject, transcript, whole),
    };
  }

  #seal(
    requestId: string,
    subject: DataSubject,
    transcript: Transcript,
    whole: Output<TypedOutput> | undefined,
  ): SealedPayload {
    const { sealer } = this.#key;
    if (sealer === undefined) return OMITTED;
    try {
      if (whole !== undefined) addOutput(transcript, whole);
      const request = this.#kept(transcript.request, subject);
      const answer = transcript.answer && this.#kept(transcript.answer, subject);
      const payload: audit.Payload = {
        $typeName: "weir.audit.v1.Payload",
        request: bodyMessage(request),
        ...(answer === undefined ? {} : { answer: bodyMessage(answer) }),
      };
      const omitted = request.bytes === undefined || (answer !== undefined && answer.bytes === undefined);
      return { bytes: sealer.seal(payloadCodec.encode(payload), requestId, digestOf(subject)), omitted };
    } catch (error) {
      // The outcome itself must be recorded all the same.
      this.#onError(error);
      return OMITTED;
    }
  }

  /** A text that nothing can be taken out of is left out as a whole. */
  #kept(body: Body, { redacted }: DataSubject): Body {
    if (!redacted || body.bytes === undefined) return body;
    this.#redactor ??= new Redactor();
    return { ...body, bytes: this.#redactor.redacted(body.contentType, body.bytes) };
  }
}

const digestOf = ({ workspaceId, endUser, keyId }: DataSubject): Buffer =>
  subjectDigest(endUser === "" ? { workspaceId, keyId } : { workspaceId, endUser });

function addOutput(transcript: Transcript, output: Output<TypedOutput>): void {
  if (output.kind === "none") return;
  if (output.kind === "raw") return transcript.add(output.contentType, output.body);
  const { value } = output;
  const bytes = value.$typeName === "weir.common.v1.ChatResponse" ? chatCodec.encode(value) : embedCodec.encode(value);
  transcript.add(protobufType(value.$typeName), bytes);
}

const bodyMessage = ({ contentType, bytes, size }: Body): audit.Body => ({
  $typeName: "weir.audit.v1.Body",
  contentType: contentType.slice(0, MAX_TYPE_LENGTH),
  data: bytes ?? OMITTED.bytes,
  size: BigInt(size),
  omitted: bytes === undefined,
});
