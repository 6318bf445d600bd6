/** What an operator asks to be erased: an end user of a workspace, or a key (what it asked without naming an end user). */
export type ErasedSubject = { readonly workspaceId: string } & (
  | { readonly endUser: string }
  | { readonly keyId: string }
);

export interface ErasureRequest {
  readonly id: string;
  readonly atMs: number;
  readonly subject: ErasedSubject;
  readonly reason: string;
  readonly requestedBy: string;
}

/** What is written down in a second place. Names of subjects are random. */
export interface JournaledErasure {
  readonly id: string;
  readonly atMs: number;
  readonly workspaceId: string;
  /** "": an end user was erased. */
  readonly keyId: string;
  readonly subjects: readonly string[];
  readonly reason: string;
  readonly requestedBy: string;
}

export interface StoredErasure extends JournaledErasure {
  readonly payloads: number;
  readonly index: number;
  /** The newest transport key when it was asked for. */
  readonly lastTransportKey: number;
  /** The newest generation when those transport keys were destroyed; undefined: they are not. */
  readonly lastGeneration: number | undefined;
  readonly completedIndex: number | undefined;
  readonly completedAtMs: number | undefined;
}

export interface LivingTransportKey {
  readonly number: number;
  readonly madeAtMs: number;
  /** For people: what may still come that is sealed to it. Empty: nothing. */
  readonly keptFor: readonly string[];
}

/** Oldest first; the newest of each is in use. */
export interface LivingKeys {
  readonly transportKeys: readonly LivingTransportKey[];
  readonly generations: readonly number[];
}

/** What an erasure waits for. Complete where there is neither. */
export function outstanding(
  { lastTransportKey, lastGeneration }: Pick<StoredErasure, "lastTransportKey" | "lastGeneration">,
  { transportKeys, generations }: LivingKeys,
): { readonly transportKeys: readonly LivingTransportKey[]; readonly generations: readonly number[] } {
  return {
    transportKeys: transportKeys.filter(({ number }) => number <= lastTransportKey),
    generations: generations.filter((number) => number <= (lastGeneration ?? number)),
  };
}

/**
 * Whether producers are to seal to a new transport key: the present one is old enough, or an operator wants it for erasures that wait for it.
 */
export function needsTransportKey(
  newest: LivingTransportKey | undefined,
  pending: readonly Pick<StoredErasure, "lastTransportKey">[],
  now: { readonly nowMs: number; readonly intervalMs: number; readonly hastened: boolean },
): boolean {
  if (newest === undefined) return false;
  if (now.nowMs - newest.madeAtMs >= now.intervalMs) return true;
  return now.hastened && pending.some(({ lastTransportKey }) => lastTransportKey >= newest.number);
}

/** Older transport keys that nothing waits for. */
export const spentTransportKeys = (keys: readonly LivingTransportKey[]): number[] =>
  keys.slice(0, -1).flatMap(({ number, keptFor }) => (keptFor.length === 0 ? [number] : []));

/**
 * Whether subjects' keys are to go under a new generation: what was destroyed was under the present one, and lies in copies of the database; or
 * another key is configured.
 */
export const needsGeneration = (
  newest: number,
  pending: readonly Pick<StoredErasure, "lastGeneration">[],
  isPresent: boolean,
): boolean => !isPresent || pending.some(({ lastGeneration }) => lastGeneration === newest);
