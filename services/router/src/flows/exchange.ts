import type { Dialect, HeaderLookup, JsonObject, ProviderFailure } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import type { HeaderPair, RawAnswer } from "../domain/call.ts";
import { answeredFailure, type AttemptFailure, shown, transportFailure, withoutAccounts } from "../domain/failure.ts";
import type { Wire } from "../domain/wire.ts";
import type { AnswerHeaders, AnswerSink, Exchange, ProviderRequest, RoutedTarget, TransportFailure } from "../ports.ts";
import type { CallContext } from "./attempts.ts";
import { textOf } from "./prepare.ts";

export interface WholeAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: Uint8Array;
}

/** The request to a target, with those of the client's headers that its provider takes. */
export function requestTo(
  target: RoutedTarget,
  wire: Wire,
  stream: boolean,
  body: Uint8Array,
  clientHeaders: readonly HeaderPair[],
  context: CallContext,
  nowMs: number,
): ProviderRequest {
  const { path, headers } = target.endpoint(wire, stream);
  let lines = headers;
  for (const { name, value } of clientHeaders) {
    const lower = name.toLowerCase();
    if (target.upstream.forwards(lower) && !UNSAFE.test(value)) lines += `${lower}: ${value}\r\n`;
  }
  const deadlineMs = context.deadlineMs === undefined ? undefined : Math.max(1, context.deadlineMs - nowMs);
  return { path, headers: lines, body, wire, model: target.model, stream, deadlineMs, signal: context.signal };
}

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const UNSAFE = /[\u0000-\u0008\u000a-\u001f\u007f]/;

/** Resolves to the whole answer, or to what went wrong on the way to it. Never rejects. */
export function fetchWhole(
  target: RoutedTarget,
  request: ProviderRequest,
  maxBytes: number,
): Promise<WholeAnswer | AttemptFailure> {
  return new Promise((resolve) => {
    const sink = new WholeSink(maxBytes, resolve);
    sink.exchange = target.upstream.transport.send(request, sink);
  });
}

/** The provider's own id of the request, for asking it about one. */
export function providerHeaders(headers: AnswerHeaders): readonly HeaderPair[] {
  const id =
    headers.get("x-request-id") ??
    headers.get("request-id") ??
    headers.get("x-amzn-requestid") ??
    headers.get("apim-request-id");
  return id === undefined ? NONE : [{ name: "x-weir-provider-request-id", value: id }];
}

const NONE: readonly never[] = [];

export const isFailure = (answer: WholeAnswer | AttemptFailure): answer is AttemptFailure => "error" in answer;

class WholeSink implements AnswerSink {
  exchange: Exchange | undefined;
  readonly #maxBytes: number;
  readonly #resolve: (answer: WholeAnswer | AttemptFailure) => void;
  #status = 0;
  #headers: AnswerHeaders = NO_HEADERS;
  #first: Uint8Array | undefined;
  #more: Uint8Array[] | undefined;
  #bytes = 0;
  #tooLarge = false;

  constructor(maxBytes: number, resolve: (answer: WholeAnswer | AttemptFailure) => void) {
    this.#maxBytes = maxBytes;
    this.#resolve = resolve;
  }

  head(status: number, headers: AnswerHeaders): void {
    this.#status = status;
    this.#headers = headers;
  }

  data(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) {
      if (this.#tooLarge) return;
      this.#tooLarge = true;
      this.#resolve(tooLarge(this.#status));
      this.exchange?.cancel();
      return;
    }
    if (this.#first === undefined) this.#first = chunk;
    else (this.#more ??= [this.#first]).push(chunk);
  }

  end(): void {
    const body = this.#more === undefined ? (this.#first ?? EMPTY) : Buffer.concat(this.#more);
    this.#resolve({ status: this.#status, headers: this.#headers, body });
  }

  error(failure: TransportFailure): void {
    this.#resolve(transportFailure(failure.kind, failure.sent));
  }
}

const EMPTY = new Uint8Array(0);
const NO_HEADERS: AnswerHeaders = { get: () => undefined };

const tooLarge = (status: number): AttemptFailure =>
  answeredFailure(new WeirError("provider_bad_response", "The provider's answer is too large."), status);

/**
 * What a provider's answer that is not 2xx means.
 * @param parse of the dialect that the provider speaks
 * @param verbatim its client speaks the same dialect: it may see the provider's own words
 */
export function readRefusal(
  target: RoutedTarget,
  answer: WholeAnswer,
  parse: Dialect["parseError"],
  verbatim: boolean,
): AttemptFailure {
  const { status, headers, body } = answer;
  const text = textOf(body.subarray(0, MAX_ERROR_BYTES));
  const { error, code } = classify(status, text, (name) => headers.get(name), parse);
  const contentType = headers.get("content-type") ?? "application/json";
  const own = verbatim && status >= 400 ? ownWords(target, error, status, contentType, body) : undefined;
  return answeredFailure(shown(error, target.upstream.betrays), status, own, code);
}

/**
 * An error that a 200 held in place of an answer: its client gets the status that it should have had.
 * @param body the error body, where the client speaks the same dialect
 */
export function refusedInside(
  target: RoutedTarget,
  { error, code }: ProviderFailure,
  status: number,
  body: Uint8Array | undefined,
): AttemptFailure {
  const own =
    body === undefined || jsonOf(textOf(body))?.["error"] === undefined
      ? undefined
      : ownWords(target, error, error.upstreamStatus ?? error.status, "application/json", body);
  return answeredFailure(shown(error, target.upstream.betrays), status, own, code);
}

/** What the provider said, where it may be told: it is not about Weir's account, and then without that account's names. */
function ownWords(
  { upstream }: RoutedTarget,
  error: WeirError,
  status: number,
  contentType: string,
  body: Uint8Array,
): RawAnswer | undefined {
  if (error.reason === "provider_auth" || error.reason === "provider_quota" || body.length > MAX_ERROR_BYTES)
    return undefined;
  const text = textOf(body);
  if (upstream.betrays(text) || !isObjectText(text)) return undefined;
  const told = withoutAccounts(text);
  return { status, contentType, body: told === text ? body : Buffer.from(told) };
}

const MAX_ERROR_BYTES = 64 * 1024;

function classify(status: number, text: string, headers: HeaderLookup, parse: Dialect["parseError"]): ProviderFailure {
  // Redirects are not followed: the credential is for this origin only.
  if (status < 400)
    return {
      error: new WeirError("provider_bad_response", `The provider answered with status ${status}.`, {
        upstreamStatus: status,
      }),
    };
  return parse(status, jsonOf(text), headers);
}

/** @returns undefined for what is no JSON object. Google puts the error of a stream, and of its compatible API, into a list. */
export function jsonOf(text: string): JsonObject | undefined {
  const isList = text.trimStart().startsWith("[");
  if (!isList && !isObjectText(text)) return undefined;
  try {
    const value = JSON.parse(text) as JsonObject | readonly JsonObject[];
    const [first] = Array.isArray(value) ? (value as readonly JsonObject[]) : [value as JsonObject];
    return typeof first === "object" && first !== null && !Array.isArray(first) ? first : undefined;
  } catch {
    // Not JSON: providers' proxies answer with HTML, cut bodies and the like.
    return undefined;
  }
}

const isObjectText = (text: string): boolean => text.trimStart().startsWith("{");
