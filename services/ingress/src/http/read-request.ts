import { randomFillSync } from "node:crypto";
import type { HttpRequest, RequestHead } from "@weir/http1";
import { type JsonObject, keyProblem, withPlainKeys } from "@weir/dialects";
import { uuidv7, WeirError } from "@weir/kernel";
import { checkedTags, type IpRange, tagOf } from "@weir/rules";
import { clientIpOf } from "../domain/client-ip.ts";
import type { Grant } from "../domain/grant.ts";
import { CONVERSATION, conversationOf } from "../domain/conversation.ts";
import { checkedIdempotencyKey, IDEMPOTENCY_KEY } from "../domain/idempotency-key.ts";
import { checkedRunId, RUN_ID } from "../domain/run-id.ts";
import { type FacadeDialect, shapeOf } from "../domain/shape.ts";
import type { Incoming } from "../flows/trail.ts";
import { waitingOf } from "../domain/waiting.ts";

/** Headers of clients that providers may want, and no others. The router obeys the last two itself. */
const FORWARDED = ["anthropic-beta", "anthropic-version", "openai-beta", "cache-control", "x-weir-cache"] as const;

const BATCH = 4_096;
const randomness = new Uint8Array(BATCH);
let used = BATCH;

/** Randomness is fetched a page at a time: a call into the kernel per id would cost more than the id. */
export function newRequestId(nowMs: number): string {
  if (used + 10 > BATCH) {
    randomFillSync(randomness);
    used = 0;
  }
  const id = uuidv7(nowMs, randomness, used);
  used += 10;
  return id;
}

/** The key, from wherever the official SDKs put it. */
export function secretOf(request: RequestHead): string | undefined {
  const authorization = request.header("authorization");
  if (authorization !== undefined) {
    const [, secret] = /^Bearer +(\S+) *$/i.exec(authorization) ?? [];
    if (secret !== undefined) return secret;
  }
  return request.header("x-api-key") ?? request.header("api-key") ?? request.header("x-goog-api-key");
}

/** The client's own id for its request: an attribute, cut to what fits a header and a record. */
export const clientRequestIdOf = (request: RequestHead): string =>
  (request.header("x-request-id") ?? "").replace(/[^\x21-\x7e]/g, "").slice(0, 128);

/** Whose request it is, behind the proxies that the operator trusts; "": nobody knows. */
export type ClientIp = (request: RequestHead) => string;

export const clientIpReader = (trusted: readonly IpRange[]): ClientIp =>
  trusted.length === 0
    ? (request) => request.remoteAddress
    : (request) => clientIpOf(request.remoteAddress, () => request.header("x-forwarded-for"), trusted);

const TAGS = "x-weir-tags";

/** `x-weir-tags: team=search, use=chat`; the rules of a tag's name and value are those of @weir/rules. */
function tagsOf(request: HttpRequest): Readonly<Record<string, string>> {
  const header = request.header(TAGS);
  if (header === undefined || header === "") return NO_TAGS;
  return checkedTags(
    header.split(",").map((pair) => {
      const tag = tagOf(pair);
      if (tag !== undefined) return [tag.name, tag.value] as const;
      throw new WeirError("invalid_request", `${TAGS} is a list of tags like team=search, use=chat.`, { param: TAGS });
    }),
    TAGS,
  );
}
const NO_TAGS: Readonly<Record<string, string>> = Object.freeze({});

function objectIn(body: Buffer): JsonObject {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch {
    throw new WeirError(
      "invalid_request",
      body.length === 0 ? "The body is empty; a JSON object is needed." : "The body is not valid JSON.",
    );
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new WeirError("invalid_request", "The body must be a JSON object.");
  }
  return parsed as JsonObject;
}

interface Read {
  readonly object: JsonObject;
  /** What is passed on: the bytes as they came, but for names that could be read in two ways. */
  readonly body: Buffer;
}

/** What a provider reads must be what is read here. Names with escapes, as older encoders write ö, are written anew. */
function readBody(sent: Buffer): Read {
  const object = objectIn(sent);
  const problem = keyProblem(sent, object);
  if (problem === undefined) return { object, body: sent };
  if (problem === "escaped") {
    const body = Buffer.from(withPlainKeys(sent));
    const plain = objectIn(body);
    const left = keyProblem(body, plain);
    if (left === undefined) return { object: plain, body };
    // A quote or a backslash in a name can only be written with an escape.
    if (left === "escaped") return { object: plain, body: Buffer.from(JSON.stringify(plain)) };
  }
  throw new WeirError("invalid_request", "The body has a member twice.");
}

/** @throws WeirError invalid_request */
export function incomingOf(
  request: HttpRequest,
  clientIp: string,
  route: string,
  dialect: FacadeDialect,
  requestId: string,
  grant: Grant,
  traceparent: string,
): Incoming<never> {
  const type = request.header("content-type");
  if (type !== undefined && !/^application\/(?:[\w.+-]+\+)?json\b/i.test(type)) {
    throw new WeirError("invalid_request", "The body must be sent as content-type application/json.", {
      param: "content-type",
    });
  }
  const encoding = request.header("content-encoding");
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new WeirError("invalid_request", "Compressed bodies are not taken.", { param: "content-encoding" });
  }
  const headers: [string, string][] = [];
  for (const name of FORWARDED) {
    const value = request.header(name);
    if (value !== undefined) headers.push([name, value]);
  }
  const { object, body } = readBody(request.body);
  const runId = checkedRunId(request.header(RUN_ID));
  return {
    requestId,
    route,
    dialect,
    grant,
    shape: shapeOf(dialect, object, body.length),
    input: { dialect, body },
    inputBytes: body,
    inputType: "application/json",
    clientIp,
    clientRequestId: clientRequestIdOf(request),
    traceparent: traceparent === "" ? undefined : traceparent,
    tags: tagsOf(request),
    runId,
    conversation: conversationOf(request.header(CONVERSATION), runId),
    waiting: waitingOf((name) => request.header(name)),
    idempotencyKey: checkedIdempotencyKey(request.header(IDEMPOTENCY_KEY)),
    headers,
  };
}
