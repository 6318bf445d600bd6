/**
 * Clients leave at random moments, of whole answers and of streams, in every dialect that they speak, with a provider of the same and of another:
 * how soon the provider is let go, and what is charged for what it had sent by then.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Composition, startSimulator, bootWeir, type LedgerEntry } from "@weir/testkit";
import { ask, type Face, FACES } from "../support/ask.ts";
import { outcomesById } from "../support/logged.ts";
import { operatorOf } from "../support/operator.ts";
import { randomOf } from "./random.ts";

export interface LeavingOptions {
  readonly composition: Composition;
  /** Of each kind; there are twelve. */
  readonly each: number;
  readonly seed: number;
  /** The most that letting go may take. */
  readonly mostMs: number;
}

export interface LeavingResult {
  readonly left: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
  /** Tokens charged above what was sent, where they can be counted; the most. */
  readonly mostAbove: number;
  readonly faults: readonly string[];
  readonly held: bigint;
}

interface Left {
  readonly what: string;
  readonly tookMs: number;
  readonly entry: LedgerEntry;
  readonly counted: boolean;
  /** Of streams. */
  readonly requestId: string | undefined;
}

const QUIET_MS = 30_000;
const price =
  "price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 }, context_window: 128000, max_output_tokens: 8000";

export async function clientsLeave({ composition, each, seed, mostMs }: LeavingOptions): Promise<LeavingResult> {
  const random = randomOf(seed);
  await using simulator = await startSimulator();
  await using weir = await bootWeir(composition, {
    config: `
providers:
  openai: { kind: openai, base_url: "${simulator.origin}/v1", api_key: sk-simulated-0123456789 }
  claude: { kind: anthropic, base_url: "${simulator.origin}", api_key: sk-simulated-0123456789 }
  gemini: { kind: gemini, base_url: "${simulator.origin}/v1beta", api_key: sk-simulated-0123456789 }
models:
  own-chat: { targets: [{ provider: openai, model: gpt-4o-mini }], ${price} }
  own-responses: { targets: [{ provider: openai, model: gpt-4o-mini }], ${price} }
  own-messages: { targets: [{ provider: claude, model: claude-x }], ${price} }
  other: { targets: [{ provider: gemini, model: gemini-x }], ${price} }
workspaces:
  default:
    budgets: [{ period: total, limit_usd: 1000, hard: true }]
`,
  });
  const operator = operatorOf(weir);
  const lefts: Left[] = [];

  async function leave(face: Face, stream: boolean, own: boolean): Promise<void> {
    simulator.reset();
    simulator.script({
      behaviour: stream ? { words: 4_000, trickleMs: 2 + Math.floor(random() * 10), usage: false } : { delayMs: 2_000 },
    });
    const leaving = new AbortController();
    const body = { ...face.body(own ? `own-${face.name}` : "other", "hello", stream) };
    const sent =
      face.name === "chat"
        ? { ...body, max_tokens: 4_000 }
        : face.name === "messages"
          ? { ...body, max_tokens: 4_000 }
          : body;
    const asking = ask(weir, face.path, sent, { signal: leaving.signal });
    let requestId: string | undefined;
    if (stream) {
      const answer = await asking;
      requestId = answer.headers.get("x-weir-request-id") ?? "";
      const reader = answer.body?.getReader();
      const enough = 1 + Math.floor(random() * 20_000);
      for (let bytes = 0; bytes < enough; ) bytes += (await reader?.read())?.value?.length ?? enough;
    } else {
      asking.catch(() => undefined);
      while (simulator.ledger.length === 0) await sleep(1);
      await sleep(random() * 200);
    }
    const leftMs = Date.now();
    leaving.abort();
    const [entry] = simulator.ledger as readonly [LedgerEntry];
    for (const end = Date.now() + QUIET_MS; entry.cancelledAtMs === 0 && Date.now() < end; ) await sleep(1);
    const what = `${face.name}${stream ? " stream" : ""}, ${own ? "own" : "another"} dialect`;
    const tookMs = entry.cancelledAtMs === 0 ? Infinity : entry.cancelledAtMs - leftMs;
    lefts.push({ what, tookMs, entry, counted: own && face.name !== "messages", requestId });
  }

  for (let turn = 0; turn < each; turn++)
    for (const face of FACES)
      for (const stream of [false, true]) for (const own of [true, false]) await leave(face, stream, own);

  const held = async (): Promise<bigint> => (await operator.policy.listBudgets({})).budgets[0]?.held ?? -1n;
  const ids = lefts.flatMap(({ requestId }) => requestId ?? []);
  const unrecorded = async (): Promise<number> => {
    const outcomes = await outcomesById(operator);
    return ids.filter((id) => !outcomes.has(id)).length;
  };
  for (const end = Date.now() + QUIET_MS; Date.now() < end; await sleep(250))
    if ((await held()) === 0n && (await unrecorded()) === 0) break;
  const outcomes = await outcomesById(operator);
  const faults: string[] = [];
  let mostAbove = 0;
  for (const { what, tookMs, entry, counted, requestId } of lefts) {
    if (tookMs > mostMs) faults.push(`${what}: let go after ${tookMs} ms`);
    if (requestId === undefined) continue;
    const charged = outcomes.get(requestId)?.[0]?.result?.usage?.outputTokens;
    const words = entry.outputTokens;
    // "word12" and the space before it are two tokens, three from word1000 on.
    const tokens = counted ? 2 * words + Math.max(0, words - 1_000) : words;
    const most = counted ? Math.ceil(tokens * 1.01) + 16 : bytesOf(words);
    if (charged === undefined) faults.push(`${what}: not recorded`);
    else if (charged < tokens) faults.push(`${what}: ${charged} tokens charged of ${tokens} sent`);
    else if (charged > most) faults.push(`${what}: ${charged} tokens charged, ${tokens} sent, ${most} at most`);
    if (counted) mostAbove = Math.max(mostAbove, (charged ?? 0) - tokens);
  }
  const times = lefts.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? 0;
  const left = await held();
  if (left !== 0n) faults.push(`still held: ${left}`);
  return { left: lefts.length, p50Ms: at(0.5), p99Ms: at(0.99), mostMs: at(1), mostAbove, faults, held: left };
}

/** Of " word0 word1 …". */
function bytesOf(words: number): number {
  let bytes = 0;
  for (let word = 0; word < words; word++) bytes += ` word${word}`.length;
  return bytes;
}
