/**
 * Signs what the log is, again and again, and takes it to a second place. Failure policy: nothing of this is on the way of a record. While the
 * store, the key or a place is away no head is made or delivered, operators are told, and the next step catches up: every head that was signed
 * reaches every place, in order.
 */
import { endorsementBytes, GrowingTree, type Sha256 } from "@weir/proofs";
import { nextHead, type SigningKeyFacts } from "../domain/head.ts";
import type { HeadPlace, HeadSession, HeadStore, SigningKeys } from "../ports.ts";

export interface HeadEvents {
  readonly signed: (size: number) => void;
  /** A step failed: nothing is lost, the next one does it. */
  readonly headFailed: (error: unknown) => void;
  readonly published: (place: string) => void;
  readonly placeFailed: (place: string, error: unknown) => void;
}

export interface HeadDependencies {
  readonly store: HeadStore;
  readonly keys: SigningKeys;
  readonly places: readonly HeadPlace[];
  readonly sha256: Sha256;
  readonly nowMs: () => number;
  readonly events: HeadEvents;
}

/** Leaves read at once: a third of a megabyte. */
const LEAVES_AT_ONCE = 10_000;
const PUBLISHED_AT_ONCE = 100;

/** One head, if the log has grown, and every place brought up to date. Never rejects. */
export async function headStep(deps: HeadDependencies): Promise<void> {
  try {
    const size = await deps.store.alone((session) => signHead(session, deps));
    if (size !== undefined) deps.events.signed(size);
  } catch (error) {
    deps.events.headFailed(error);
  }
  for (const place of deps.places) {
    try {
      await publish(place, deps);
    } catch (error) {
      deps.events.placeFailed(place.name, error);
    }
  }
}

/** @returns the new head's size; undefined: nothing was appended */
async function signHead(session: HeadSession, { keys, sha256, nowMs }: HeadDependencies): Promise<number | undefined> {
  const last = await session.lastHead();
  const from = last?.size ?? 0;
  const size = await session.size();
  if (size <= from) return undefined;
  const key = await currentKey(session, keys);
  let nodes: { index: number; level: number; hash: Uint8Array }[] = [];
  const tree = new GrowingTree(sha256, { size: from, peaks: await session.peaks(from) }, (level, index, hash) => {
    if (level % 8 === 0) nodes.push({ level, index, hash });
  });
  while (tree.size < size) {
    const to = Math.min(size, tree.size + LEAVES_AT_ONCE);
    for (const hash of await session.leafHashes(tree.size, to)) tree.append(hash);
    await session.addNodes(nodes);
    nodes = [];
  }
  const facts = {
    logId: await session.logId(),
    size,
    root: tree.root(),
    epochs: await session.movedEpochs(from, size),
  };
  const head = nextHead(sha256, facts, last?.head, nowMs());
  await session.addHead({ size, head, keyId: key.id, signature: key.sign(head) });
  return size;
}

/** The log's last key, which this process must have. The first one there is becomes the log's first. */
async function currentKey(session: HeadSession, keys: SigningKeys): Promise<ReturnType<SigningKeys["current"]>> {
  const last = (await session.signingKeys()).at(-1);
  const key = keys.current(last?.id);
  if (last === undefined) await session.addKey({ ...key, endorsement: NOTHING });
  return key;
}

const NOTHING = new Uint8Array(0);

/**
 * A new key, with which the next head is signed.
 * @param lost the present key is gone: nothing endorses the new one
 * @returns undefined where another replica is just signing: ask again
 */
export function rotateKey(
  { store, keys }: Pick<HeadDependencies, "store" | "keys">,
  lost: boolean,
): Promise<SigningKeyFacts | undefined> {
  return store.alone(async (session) => {
    const next = keys.next();
    let endorsement: Uint8Array = NOTHING;
    if (!lost) {
      const key = await currentKey(session, keys);
      endorsement = key.sign(endorsementBytes(await session.logId(), next.publicKey));
    }
    await session.addKey({ ...next, endorsement });
    return (await session.signingKeys()).at(-1);
  });
}

async function publish(place: HeadPlace, { store, events }: HeadDependencies): Promise<void> {
  for (;;) {
    const heads = await store.unpublished(place.name, PUBLISHED_AT_ONCE);
    if (heads.length === 0) return;
    const keys = await store.signingKeys();
    for (const head of heads) {
      await place.publish(head, keys);
      await store.markPublished(place.name, head.size);
      events.published(place.name);
    }
  }
}
