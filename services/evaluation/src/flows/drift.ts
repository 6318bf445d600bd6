import { alarmLevel, type Drift, driftsOf, type Seen } from "../domain/drift/signals.ts";
import { hourOf } from "../domain/result.ts";
import type { SeenModel, SignalFilter, SignalReader } from "../ports.ts";

export interface DriftQuestion extends SignalFilter {
  /** The end of the window. */
  readonly toMs: number;
  readonly windowHours: number;
  readonly referenceHours: number;
  /** The most that all alarms together may be false with. */
  readonly alpha: number;
}

export interface FoundDrift extends Drift {
  readonly workspaceId: string;
  readonly model: string;
  readonly drifted: boolean;
}

const NONE: Seen = {
  scores: new Map(),
  refusals: { count: 0, hits: 0 },
  lengths: { count: 0, sum: 0, squares: 0 },
  embeddings: new Map(),
};

/** Each model's window against the hours before it; the running hour is not in it. Those without either are left out. */
export async function findDrift(question: DriftQuestion, signals: SignalReader): Promise<FoundDrift[]> {
  const end = hourOf(question.toMs);
  const begin = end - question.windowHours;
  const window = await signals.seen(question, begin, end);
  const before = new Map(
    (await signals.seen(question, begin - question.referenceHours, begin)).map((one) => [idOf(one), one]),
  );
  const found = window.flatMap((now) => {
    const { workspaceId, model } = now;
    return driftsOf(before.get(idOf(now)) ?? NONE, now).map((drift) => ({ ...drift, workspaceId, model }));
  });
  const level = alarmLevel(question.alpha, found.length);
  return found.map((drift) => ({ ...drift, drifted: drift.pValue <= level }));
}

const idOf = ({ workspaceId, model }: SeenModel): string => JSON.stringify([workspaceId, model]);
