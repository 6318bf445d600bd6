/**
 * What a killed process left in its spool, made good by the next one. Order matters: policy first learns which holds may have been billed
 * (it gives back the others), only then the intents get their outcome and are forgotten. Killed in between, it all happens once more and
 * changes nothing.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { audit, policy, router } from "@weir/contracts";
import type { DeadEpoch, OpenIntent, Spool } from "@weir/events";
import type { Clock } from "@weir/kernel";
import { lostSettlements } from "../domain/settlement.ts";

const RETRY_MS = 1_000;
const TIMEOUT_MS = 30_000;
/** The contract takes 4,096 a call. */
const MAX_BATCH = 1_000;

export interface Recovery {
  /** Goes on in the background until policy has taken it; requests need not wait. */
  start(): void;
  stop(): Promise<void>;
}

type SettlementInit = NonNullable<
  Parameters<Client<typeof policy.PolicyService>["settleBatch"]>[0]["settlements"]
>[number];

export function createRecovery(options: {
  readonly spool: Spool;
  readonly client: Client<typeof policy.PolicyService>;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}): Recovery {
  const { spool, client, clock, onError } = options;
  const stop = new AbortController();
  let running: Promise<void> = Promise.resolve();

  async function recover(epoch: DeadEpoch): Promise<void> {
    const open = epoch.open.map((intent) => ({ intent, header: fromBinary(audit.IntentSchema, intent.header) }));
    // Before Recover, which gives back what nobody accounts for; in pieces, as an outage may have left more than one call takes.
    let settlements: SettlementInit[] = [];
    const settle = async (): Promise<void> => {
      if (settlements.length === 0) return;
      await client.settleBatch({ owner: epoch.producer, settlements }, { signal: stop.signal, timeoutMs: TIMEOUT_MS });
      settlements = [];
    };
    for (const { header } of epoch.unsettled()) {
      settlements.push(...settlementsIn(fromBinary(audit.OutcomeSchema, header)));
      if (settlements.length >= MAX_BATCH) await settle();
    }
    await settle();
    await client.recover(
      { deadOwner: epoch.producer, open: open.map(({ header }) => ({ requestId: header.requestId })) },
      { signal: stop.signal, timeoutMs: TIMEOUT_MS },
    );
    for (const { intent, header } of open) {
      await spool.resolve(
        { producer: epoch.producer, number: intent.number },
        unknownOutcome(epoch, intent, header, clock.nowMs()),
      );
    }
    spool.recoveredDone(epoch.producer);
  }

  async function run(): Promise<void> {
    for (const epoch of spool.recovered) {
      for (let told = false; !stop.signal.aborted; ) {
        try {
          await recover(epoch);
          break;
        } catch (error) {
          if (stop.signal.aborted) return;
          if (!told) onError(error);
          told = true;
          await sleep(RETRY_MS, undefined, { signal: stop.signal }).catch(() => undefined);
        }
      }
    }
  }

  return {
    start: () => {
      running = run();
    },
    async stop() {
      stop.abort();
      await running;
    },
  };
}

function unknownOutcome(epoch: DeadEpoch, intent: OpenIntent, header: audit.Intent, nowMs: number): Uint8Array {
  const outcome = create(audit.OutcomeSchema, {
    intent: header,
    atMs: BigInt(nowMs),
    kind: audit.OutcomeKind.UNKNOWN,
    intentProducer: epoch.producer,
    intentNumber: BigInt(intent.number),
  });
  return toBinary(audit.OutcomeSchema, outcome);
}

/** The settlements that an outcome asks for, as the flow that wrote it would have sent them. */
function settlementsIn(outcome: audit.Outcome): SettlementInit[] {
  const { intent, result } = outcome;
  if (intent === undefined || !intent.held) return [];
  const { requestId, keyId } = intent;
  const attempts = result?.attempts ?? [];
  // Without an account nobody remembers which attempts were made: what is still held is charged at its bound.
  const hit = result?.cache?.hit === true;
  if (attempts.length === 0 && !hit) {
    return lostSettlements(requestId, keyId).map(({ attempt }) => ({
      requestId,
      keyId,
      attempt,
      outcome: { case: "atBound", value: {} },
    }));
  }
  const settlements = attempts.map(
    (attempt): SettlementInit => ({ requestId, keyId, attempt: attempt.attempt, outcome: chargeOf(attempt) }),
  );
  if (!attempts.some(({ attempt }) => attempt === 1))
    settlements.push({ requestId, keyId, attempt: 1, outcome: { case: "void", value: {} } });
  return settlements;
}

function chargeOf(attempt: router.Attempt): NonNullable<SettlementInit["outcome"]> {
  if (attempt.billing === router.Billing.NOTHING) return { case: "void", value: {} };
  if (attempt.billing !== router.Billing.CHARGED) return { case: "atBound", value: {} };
  const { usage } = attempt;
  const tokens = BigInt(usage?.inputTokens ?? 0) + BigInt(usage?.outputTokens ?? 0);
  return { case: "charge", value: { costNanos: attempt.costNanos, tokens } };
}
