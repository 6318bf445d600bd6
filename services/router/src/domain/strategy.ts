/**
 * In which order a group's targets are tried. A strategy ranks targets: those that it holds equal stand together, and the next strategy of the
 * list ranks those among themselves. Everything here is a function of its arguments, draws and clocks included.
 */
import { costBoundOf } from "@weir/pricing";
import { faded } from "./peak-ewma.ts";
import type { Target } from "./target.ts";

export const STRATEGIES = [
  "priority",
  "weighted",
  "round-robin",
  "cost",
  "latency",
  "least-busy",
  "capability",
  "sticky",
] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** What a request asks of a model, as its capabilities are called. */
export type Needs = Readonly<Record<"tools" | "images" | "audio" | "documents" | "structuredOutput", boolean>>;

/** What of a request decides. */
export interface Ranked {
  /** Asked only by the strategy `capability`: it reads the whole request. Undefined: nobody knows. */
  readonly needs?: (() => Needs) | undefined;
  /** Uniform in [0, 1), independent of each other. */
  readonly draws: readonly [number, number];
  /** The most input tokens; 0: unknown. */
  readonly inputBound: number;
  /** The most tokens of an answer; 0: no cap. */
  readonly outputCap: number;
  readonly stream: boolean;
  /** What keeps to one target; "": nothing does. */
  readonly conversation: string;
  /** Monotonic. */
  readonly nowMs: number;
}

/** A target and its weight. */
export interface Member<T extends Target = Target> {
  readonly target: T;
  /** Where it stands in the configuration; the same for the accounts of one provider. */
  readonly place: number;
  readonly weight: number;
}

/** Those of one class are equal. */
type Classes<T extends Target> = readonly (readonly Member<T>[])[];

/** @param turn how often the route was used before */
export function ranked<T extends Target>(
  strategies: readonly Strategy[],
  members: readonly Member<T>[],
  turn: number,
  by: Ranked,
): readonly T[] {
  let classes: Classes<T> = [members];
  for (const strategy of strategies) {
    classes = classes.flatMap((equal) => (equal.length < 2 ? [equal] : rank(strategy, equal, turn, by)));
  }
  return classes.flatMap((equal) => equal.map(({ target }) => target));
}

function rank<T extends Target>(
  strategy: Strategy,
  members: readonly Member<T>[],
  turn: number,
  by: Ranked,
): Classes<T> {
  switch (strategy) {
    case "priority":
      return sorted(members, ({ place }) => place);
    case "round-robin":
      return alone(rotated(members, turn % members.length));
    case "weighted":
      return drawn(members, by.draws[0]);
    case "cost":
      return sorted(members, ({ target }) => estimatedCost(target, by));
    case "least-busy":
      // Rotated first, or the first of those that are equally busy would get everything.
      return sorted(rotated(members, turn % members.length), ({ target }) => target.state.inFlight);
    case "capability":
      return sorted(members, ({ target }) => (fits(target, by) ? 0 : 1));
    case "latency":
      return twoChoices(members, by);
    case "sticky":
      return by.conversation === "" ? [members] : rendezvous(members, by.conversation);
  }
}

const alone = <T extends Target>(members: readonly Member<T>[]): Classes<T> => members.map((member) => [member]);

const rotated = <T>(items: readonly T[], by: number): readonly T[] => [...items.slice(by), ...items.slice(0, by)];

/** From the smallest on; the order of equal ones is kept. */
function sorted<T extends Target>(members: readonly Member<T>[], of: (member: Member<T>) => number): Classes<T> {
  const scored = members.map((member) => ({ member, score: of(member) }));
  scored.sort((one, other) => one.score - other.score || 0);
  const classes: Member<T>[][] = [];
  let last = Number.NaN;
  for (const { member, score } of scored) {
    if (score === last) classes.at(-1)?.push(member);
    else classes.push([member]);
    last = score;
  }
  return classes;
}

/** Where nobody says how long a request is, or its answer. */
const USUAL_INPUT = 1_000;
const USUAL_OUTPUT = 500;
/** A bound counts bytes, of which a token of English text has four. */
const BYTES_PER_TOKEN = 4;

/** What the request costs in nano-USD, roughly; Infinity for unknown prices. Prices differ by direction, so what is cheapest depends on the request. */
export function estimatedCost(
  { price }: Target,
  { inputBound, outputCap }: Pick<Ranked, "inputBound" | "outputCap">,
): number {
  if (price === undefined) return Number.POSITIVE_INFINITY;
  const tokens = {
    inputTokens: inputBound === 0 ? USUAL_INPUT : Math.ceil(inputBound / BYTES_PER_TOKEN),
    outputTokens: outputCap === 0 ? USUAL_OUTPUT : Math.min(outputCap, USUAL_OUTPUT),
  };
  return Number(costBoundOf(tokens, price));
}

/** What is not known of a model refuses nothing. */
function fits({ contextWindow, capabilities }: Target, { inputBound, needs }: Ranked): boolean {
  if (contextWindow !== undefined && inputBound > contextWindow) return false;
  if (needs === undefined || !LACKS.some((name) => capabilities[name] === false)) return true;
  const asked = needs();
  return !LACKS.some((name) => capabilities[name] === false && asked[name]);
}

const LACKS = ["tools", "images", "audio", "documents", "structuredOutput"] as const satisfies readonly (keyof Needs)[];

/** A target nobody measured counts as fast, so that it gets measured; by as many as are under way, less so. */
const UNSEEN_MS = 1;

function loadOf({ state }: Target, { stream, nowMs }: Ranked): number {
  const seen = faded(stream ? state.firstContent : state.whole, nowMs);
  return Math.max(seen, UNSEEN_MS) * (state.inFlight + 1);
}

/**
 * The better one of two that are drawn comes first (Mitzenmacher, "The power of two choices", 2001): looking at all and taking the best would
 * send everybody to the same. Those that follow are for when it fails: by load.
 */
function twoChoices<T extends Target>(members: readonly Member<T>[], by: Ranked): Classes<T> {
  const loads = new Map(members.map(({ target }) => [target, loadOf(target, by)]));
  const load = ({ target }: Member<T>): number => loads.get(target) ?? 0;
  const first = Math.min(members.length - 1, Math.floor(by.draws[0] * members.length));
  const step = 1 + Math.min(members.length - 2, Math.floor(by.draws[1] * (members.length - 1)));
  const second = (first + step) % members.length;
  const [one, other] = [members[first], members[second]] as [Member<T>, Member<T>];
  const chosen = load(one) <= load(other) ? one : other;
  const rest = members.filter((member) => member !== chosen).toSorted((a, b) => load(a) - load(b));
  return alone([chosen, ...rest]);
}

/** A weighted shuffle from one draw: what is left of it after a choice is again uniform. */
function drawn<T extends Target>(members: readonly Member<T>[], draw: number): Classes<T> {
  const left = members.map((member) => ({ member, weight: Math.max(0, member.weight) }));
  const order: Member<T>[] = [];
  let rest = draw;
  while (left.length > 0) {
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    // Weights of zero: reserves, in the order they stand.
    if (total === 0) return alone(order.concat(left.map(({ member }) => member)));
    let at = rest * total;
    let index = left.findIndex(({ weight }) => {
      if (at < weight) return true;
      at -= weight;
      return false;
    });
    if (index === -1) index = left.findLastIndex(({ weight }) => weight > 0);
    const [chosen] = left.splice(index, 1);
    if (chosen === undefined) break;
    order.push(chosen.member);
    rest = Math.min(at / chosen.weight, 1 - Number.EPSILON);
  }
  return alone(order);
}

/**
 * Weighted rendezvous hashing (Thaler and Ravishankar, 1998): a conversation keeps its target, and when a target goes or comes, only the
 * conversations that were or will be its own move.
 */
function rendezvous<T extends Target>(members: readonly Member<T>[], conversation: string): Classes<T> {
  return sorted(members, ({ target, weight }) =>
    weight <= 0
      ? Number.POSITIVE_INFINITY
      : -Math.log(unit(`${conversation}\n${target.provider}/${target.model}`)) / weight,
  );
}

/** In (0, 1), from 53 bits of two hashes that differ in their beginning. */
export function unit(text: string): number {
  const [high, low] = [hash(text, 0x811c9dc5), hash(text, 0x9747b28c)];
  return ((high >>> 5) * 0x400_0000 + (low >>> 6) + 0.5) / 2 ** 53;
}

/** FNV-1a, finished as in MurmurHash3 so that similar texts end far apart. */
function hash(text: string, seed: number): number {
  let value = seed;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
