import { sizeDelimitedDecodeStream } from "@bufbuild/protobuf/wire";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { audit, common } from "@weir/contracts";
import { createOpener, createSealer, newPrivateKey, privateKeyOf, publicKeyOf, subjectDigest } from "@weir/sealing";
import { expect, test } from "vitest";
import { MAX_TEXT_BYTES } from "../domain/transcript.ts";
import type { SealedPayload } from "../domain/record.ts";
import { SealedPayloads } from "./sealed-payloads.ts";

const key = privateKeyOf(newPrivateKey());
const sealer = createSealer(publicKeyOf(key), () => 0);
const fail = (error: unknown): never => {
  throw error;
};
const recorder = () => new SealedPayloads({ sealer }, fail);
const opened = ({ bytes }: SealedPayload): audit.Payload =>
  fromBinary(audit.PayloadSchema, createOpener(key).open(bytes, "r"));
const SUBJECT = { workspaceId: "w", endUser: "", keyId: "k", redacted: false };
const CANARY = "quokka-said-this";

test("request and answer are there byte for byte, and nothing of them in clear", () => {
  const recording = recorder().begin("r", "application/json", Buffer.from(CANARY), SUBJECT);
  recording.answer({ kind: "raw", status: 200, contentType: "text/plain", body: Buffer.from(`${CANARY}!`) });
  const payload = recording.sealed();
  expect(payload.omitted).toBe(false);
  expect(Buffer.from(payload.bytes).includes(CANARY)).toBe(false);
  expect(opened(payload)).toMatchObject({
    request: { contentType: "application/json", data: Buffer.from(CANARY), size: 16n, omitted: false },
    answer: { contentType: "text/plain", data: Buffer.from(`${CANARY}!`), size: 17n, omitted: false },
  });
});

test("without a key nothing is kept, and that is said", () => {
  const recording = new SealedPayloads({ sealer: undefined }, fail).begin(
    "r",
    "application/json",
    Buffer.from(CANARY),
    SUBJECT,
  );
  expect(recording.sealed()).toEqual({ bytes: new Uint8Array(0), omitted: true });
});

test("what does not fit is omitted as a whole, with its size; the other text stays", () => {
  const large = recorder().begin("r", "application/json", Buffer.alloc(MAX_TEXT_BYTES + 1), SUBJECT);
  large.frame(Buffer.from("data: 1\n\n"));
  expect(large.sealed().omitted).toBe(true);
  expect(opened(large.sealed())).toMatchObject({
    request: { data: new Uint8Array(0), size: BigInt(MAX_TEXT_BYTES + 1), omitted: true },
    answer: { data: Buffer.from("data: 1\n\n"), omitted: false },
  });
  const long = recorder().begin("r", "application/json", Buffer.from("q"), SUBJECT);
  for (let frame = 0; frame < 5; frame += 1) long.frame(Buffer.alloc(MAX_TEXT_BYTES / 4));
  const sealed = long.sealed();
  expect(sealed.omitted).toBe(true);
  expect(sealed.bytes.length).toBeLessThan(1_000);
  expect(opened(sealed).answer).toMatchObject({ size: BigInt((MAX_TEXT_BYTES / 4) * 5), omitted: true });
});

test("typed answers and events are kept as their protobuf bytes, and say which", () => {
  const chat = create(common.ChatResponseSchema, { model: CANARY });
  const whole = recorder().begin(
    "r",
    "application/protobuf; proto=weir.common.v1.ChatRequest",
    new Uint8Array(0),
    SUBJECT,
  );
  whole.answer({ kind: "typed", value: chat });
  expect(opened(whole.sealed()).answer).toMatchObject({
    contentType: "application/protobuf; proto=weir.common.v1.ChatResponse",
    data: Buffer.from(toBinary(common.ChatResponseSchema, chat)),
  });
  const events = [
    create(common.ChatEventSchema, { event: { case: "start", value: { id: CANARY } } }),
    create(common.ChatEventSchema),
  ];
  const stream = recorder().begin("r", "x", new Uint8Array(0), SUBJECT);
  for (const event of events) stream.event(event);
  const { answer } = opened(stream.sealed());
  expect(answer?.contentType).toBe("application/protobuf; proto=weir.common.v1.ChatEvent; encoding=delimited");
  const read = async () => {
    const found: common.ChatEvent[] = [];
    const chunks = (async function* () {
      yield answer?.data ?? new Uint8Array(0);
    })();
    for await (const event of sizeDelimitedDecodeStream(common.ChatEventSchema, chunks)) found.push(event);
    return found;
  };
  return expect(read()).resolves.toEqual(events);
});

test("a call without an answer has none in it", () => {
  const recording = recorder().begin("r", "application/json", Buffer.from("q"), SUBJECT);
  recording.answer({ kind: "none" });
  expect(opened(recording.sealed()).answer).toBeUndefined();
});

test("it is its end user's; where there is none, its key's", () => {
  const subjectOf = (endUser: string) => {
    const recording = recorder().begin("r", "x", Buffer.from("q"), { ...SUBJECT, endUser });
    return createOpener(key).head(recording.sealed().bytes)?.subject;
  };
  expect(subjectOf("")).toEqual(subjectDigest({ workspaceId: "w", keyId: "k" }));
  expect(subjectOf("ann")).toEqual(subjectDigest({ workspaceId: "w", endUser: "ann" }));
});

test("redacted: personal data is taken out before it is sealed; what cannot be read is omitted", () => {
  const redacted = { ...SUBJECT, redacted: true };
  const json = recorder().begin("r", "application/json", Buffer.from('{"q":"to ann@example.com"}'), redacted);
  json.frame(Buffer.from('data: {"text":"ann@exa"}\n\n'));
  json.frame(Buffer.from('data: {"text":"mple.com"}\n\n'));
  const sealed = json.sealed();
  expect(sealed.omitted).toBe(false);
  const { request, answer } = opened(sealed);
  expect(Buffer.from(request?.data ?? []).toString()).toBe('{"q":"to [EMAIL]"}');
  expect(Buffer.from(answer?.data ?? []).toString()).not.toContain("mple.com");
  const typed = recorder()
    .begin("r", "application/protobuf; proto=x", Buffer.from("ann@example.com"), redacted)
    .sealed();
  expect(typed.omitted).toBe(true);
  expect(opened(typed).request).toMatchObject({ data: new Uint8Array(0), size: 15n, omitted: true });
});
