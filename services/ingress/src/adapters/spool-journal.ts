import { audit, router } from "@weir/contracts";
import { FRAME_KIND, type Spool } from "@weir/events";
import { compileCodec } from "@weir/mesh";
import type { CallResult } from "../domain/call.ts";
import { RefusalWindow } from "../domain/refusal-window.ts";
import type { GuardrailVerdict, Intent, Outcome, Refusal, SealedPayload } from "../domain/record.ts";
import type { Journal } from "../ports.ts";
import { usageMessage } from "../wire.ts";
import { type HmacKeys, hmac, hmacStream } from "./hmac.ts";
import { cacheMessage } from "./wire-cache.ts";
import { wireDialect, wireFinishReason, wireReason } from "./wire-names.ts";

const intentCodec = compileCodec(audit.IntentSchema);
const outcomeCodec = compileCodec(audit.OutcomeSchema);
const refusalCodec = compileCodec(audit.RefusalSchema);

const NO_PAYLOAD = new Uint8Array(0);
/** An outcome carries its intent, and a result with a few attempts: room for that is reserved when the intent is written. */
const OUTCOME_ROOM = 2_048;
/** What a request and its outcome may take: with less room left, the next one is refused. */
const ROOM_FOR_ONE = 8_192;
const REFUSAL_FLUSH_MS = 1_000;

const KINDS = {
  succeeded: audit.OutcomeKind.SUCCEEDED,
  failed: audit.OutcomeKind.FAILED,
  cancelled: audit.OutcomeKind.CANCELLED,
} as const;

const BILLING = {
  charged: router.Billing.CHARGED,
  nothing: router.Billing.NOTHING,
  unknown: router.Billing.UNKNOWN,
} as const;

// Plain objects with their type's name are messages: create() would cost more than writing them.
const intentMessage = (intent: Intent): audit.Intent => ({
  $typeName: "weir.audit.v1.Intent",
  requestId: intent.requestId,
  atMs: BigInt(intent.atMs),
  organizationId: intent.organizationId,
  workspaceId: intent.workspaceId,
  projectId: intent.projectId,
  keyId: intent.keyId,
  route: intent.route,
  model: intent.model,
  stream: intent.stream,
  dialect: wireDialect(intent.dialect),
  endUserHmac: intent.endUserHmac,
  inputHmac: intent.inputHmac,
  boundNanos: intent.boundNanos,
  policyVersion: intent.policyVersion,
  tags: intent.tags,
  clientRequestId: intent.clientRequestId,
  traceId: intent.traceId,
  held: intent.held,
  shadowOf: intent.shadowOf ?? "",
});

function resultMessage(result: CallResult): router.Result {
  const usage = usageMessage(result.usage);
  return {
    $typeName: "weir.router.v1.Result",
    ...(result.served === undefined
      ? {}
      : { served: { $typeName: "weir.router.v1.Served" as const, ...pickServed(result.served) } }),
    ...(usage === undefined ? {} : { usage }),
    finishReason: wireFinishReason(result.finishReason),
    attempts: result.attempts.map((attempt) => {
      const attemptUsage = usageMessage(attempt.usage);
      return {
        $typeName: "weir.router.v1.Attempt",
        attempt: attempt.attempt,
        provider: attempt.provider,
        model: attempt.model,
        region: attempt.region,
        origin: attempt.origin ?? "",
        status: attempt.status,
        error: wireReason(attempt.error),
        ...(attemptUsage === undefined ? {} : { usage: attemptUsage }),
        costNanos: attempt.costNanos,
        billing: BILLING[attempt.billing],
        durationUs: attempt.durationUs,
      };
    }),
    dropped: [...result.dropped],
    // They are between provider and client; a provider may put anything there.
    headers: [],
    providerUs: result.providerUs,
    firstTokenUs: result.firstTokenUs,
    costNanos: result.costNanos,
    priceVersion: result.priceVersion,
    ...(result.cache === undefined ? {} : { cache: cacheMessage(result.cache) }),
  };
}

const pickServed = ({ provider, model, region, attempt, origin = "" }: NonNullable<CallResult["served"]>) => ({
  provider,
  model,
  region,
  attempt,
  origin,
});

/** All but its intent. */
const verdictMessage = (verdict: GuardrailVerdict): audit.GuardrailVerdict => ({
  $typeName: "weir.audit.v1.GuardrailVerdict",
  names: [...verdict.names],
  findings: verdict.findings
    .slice(0, MOST_FINDINGS)
    .map((finding) => ({ $typeName: "weir.audit.v1.GuardrailFindings", ...finding })),
  scanned: verdict.scanned.map(({ place, texts, characters }) => ({
    $typeName: "weir.audit.v1.GuardrailScanned",
    place,
    texts,
    characters: BigInt(characters),
  })),
  skipped: verdict.skipped.map((skipped) => ({ $typeName: "weir.audit.v1.GuardrailSkipped", ...skipped })),
  blocked: verdict.blocked,
});
/** Room is reserved for an outcome before it is known. */
const MOST_FINDINGS = 32;

const outcomeMessage = (outcome: Omit<Outcome, "intent">): audit.Outcome => ({
  $typeName: "weir.audit.v1.Outcome",
  atMs: BigInt(outcome.atMs),
  kind: KINDS[outcome.kind],
  status: outcome.status,
  error: wireReason(outcome.error),
  result: resultMessage(outcome.result),
  outputHmac: outcome.outputHmac,
  overheadUs: outcome.overheadUs,
  intentProducer: "",
  intentNumber: 0n,
  replayOf: outcome.replayOf ?? "",
  ...(outcome.guardrails === undefined ? {} : { guardrails: verdictMessage(outcome.guardrails) }),
});

const INTENT_TAG = (audit.OutcomeSchema.field.intent.number << 3) | 2;

/** An outcome carries its intent, whose bytes are there already: in protobuf messages are merged by writing one behind the other. */
export function outcomeBytes(intent: Uint8Array, outcome: Omit<Outcome, "intent">): Uint8Array {
  const rest = outcomeCodec.encode(outcomeMessage(outcome));
  const bytes = Buffer.allocUnsafe(1 + MAX_LENGTH_BYTES + intent.length + rest.length);
  bytes[0] = INTENT_TAG;
  let at = 1;
  for (let left = intent.length; ; left >>>= 7) {
    bytes[at++] = left > 0x7f ? (left & 0x7f) | 0x80 : left;
    if (left <= 0x7f) break;
  }
  bytes.set(intent, at);
  bytes.set(rest, at + intent.length);
  return bytes.subarray(0, at + intent.length + rest.length);
}
const MAX_LENGTH_BYTES = 5;

const refusalMessage = (refusal: Refusal): audit.Refusal => ({
  $typeName: "weir.audit.v1.Refusal",
  requestId: refusal.requestId,
  atMs: BigInt(refusal.atMs),
  organizationId: refusal.organizationId,
  workspaceId: refusal.workspaceId,
  projectId: refusal.projectId,
  keyId: refusal.keyId,
  route: refusal.route,
  model: refusal.model.slice(0, 256),
  reason: wireReason(refusal.reason),
  rule: refusal.rule,
  count: refusal.count,
});

/** The journal on the durable spool. */
export class SpoolJournal implements Journal, Disposable {
  readonly #spool: Spool;
  readonly #keys: HmacKeys;
  readonly #maxBytes: number;
  readonly #refusals = new RefusalWindow();
  /** Of intents whose outcome is to come. */
  readonly #open = new Map<Intent, Uint8Array>();
  readonly #timer: NodeJS.Timeout;
  readonly #onError: (error: unknown) => void;

  constructor(spool: Spool, maxBytes: number, keys: HmacKeys, onError: (error: unknown) => void) {
    this.#spool = spool;
    this.#keys = keys;
    this.#maxBytes = maxBytes;
    this.#onError = onError;
    this.#timer = setInterval(() => this.#writeRefusals(), REFUSAL_FLUSH_MS);
    this.#timer.unref();
  }

  async intent(intent: Intent): Promise<number> {
    const bytes = intentCodec.encode(intentMessage(intent));
    const number = await this.#spool.intent(bytes, NO_PAYLOAD, OUTCOME_ROOM);
    this.#open.set(intent, bytes);
    return number;
  }

  outcome(intentNumber: number, outcome: Outcome, payload: SealedPayload | undefined): Promise<number> {
    const { intent } = outcome;
    const bytes = this.#open.get(intent) ?? intentCodec.encode(intentMessage(intent));
    this.#open.delete(intent);
    const header = outcomeBytes(bytes, outcome);
    if (payload === undefined) return this.#spool.outcome(intentNumber, header, NO_PAYLOAD);
    return this.#spool.outcome(intentNumber, header, payload.bytes, payload.omitted);
  }

  refusal(refusal: Refusal): void {
    const now = this.#refusals.add(refusal);
    if (now !== undefined) this.#writeRefusal(now);
  }

  #writeRefusals(): void {
    for (const refusal of this.#refusals.take()) this.#writeRefusal(refusal);
  }

  #writeRefusal(refusal: Refusal): void {
    this.#spool.note(FRAME_KIND.refusal, refusalCodec.encode(refusalMessage(refusal))).catch(this.#onError);
  }

  hmac(workspaceId: string, bytes: Uint8Array): Uint8Array {
    return hmac(this.#keys.of(workspaceId), bytes);
  }

  hmacStream(workspaceId: string): ReturnType<typeof hmacStream> {
    return hmacStream(this.#keys.of(workspaceId));
  }

  notReady(): string | undefined {
    if (this.#spool.failed !== undefined) return "requests cannot be recorded";
    return this.#spool.bytes + ROOM_FOR_ONE > this.#maxBytes ? "the spool is full: records are not shipped" : undefined;
  }

  /** Writes what was aggregated so far; the spool is closed by its owner. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#writeRefusals();
  }
}
