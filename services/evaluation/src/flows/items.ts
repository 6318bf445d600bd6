/** Where a run's texts come from: what was uploaded, the audit log, or the model that a replay asks. */
import { WeirError } from "@weir/kernel";
import type { ChatRequest, ChatResponse, JsonObject } from "@weir/dialects";
import { openAiChat } from "@weir/dialects";
import { recordedRefOf, recordOf } from "../domain/dataset.ts";
import { type Item, isRead, type ReadItem } from "../domain/item.ts";
import type { AnswerSource, Run } from "../domain/run.ts";
import { textsOf } from "../domain/texts.ts";
import type { Models, RunStore, StoredAnswer, Traffic } from "../ports.ts";
import { isContentAtFault } from "./asking.ts";
import { someAtOnce } from "./at-once.ts";
import { patiently, type Wait } from "./patiently.ts";

export interface ItemDependencies {
  readonly store: Pick<RunStore, "lines" | "answers" | "saveAnswer" | "forgetAnswers">;
  readonly traffic: Traffic;
  readonly models: Models;
  readonly wait: Wait;
}

const AT_ONCE = 8;
/** Decided in microseconds each, or asked about for seconds. */
const PAGE = { local: 1_000, asked: 64 } as const;

/** @returns the run's records from `first` on; none behind the last */
export async function itemsOf(
  run: Run,
  first: number,
  slow: boolean,
  signal: AbortSignal,
  deps: ItemDependencies,
): Promise<Item[]> {
  const asks = slow || run.source === "recorded" || run.answers.of === "model";
  const lines = await deps.store.lines(run.upload, first, asks ? PAGE.asked : PAGE.local);
  const items =
    run.source === "uploaded" ? lines.map(uploadedItem) : await recordedItems(run, first, lines, signal, deps);
  return run.answers.of === "dataset" ? items : await withAnswers(run, run.answers, first, items, signal, deps);
}

function uploadedItem(line: string): Item {
  const record = recordOf(line);
  return { id: record.id, record, asked: undefined, baseline: undefined, failure: undefined };
}

async function recordedItems(
  { upload }: Run,
  first: number,
  lines: readonly string[],
  signal: AbortSignal,
  { traffic, store, wait }: ItemDependencies,
): Promise<Item[]> {
  const items = await someAtOnce(lines, AT_ONCE, (line) => patiently(() => recordedItem(line, traffic), wait, signal));
  const gone = items.flatMap((item, at) => (!isRead(item) && item.missing === "erased" ? [first + at] : []));
  // What a replay made of them is as much theirs.
  if (gone.length > 0) await store.forgetAnswers(upload, gone);
  return items;
}

const recordedItem = (line: string, traffic: Traffic): Promise<Item> => {
  const { record: id, leaf } = recordedRefOf(line);
  return textsItem(id, traffic, leaf);
};

/** A request of the log with its texts. @param leaf its record's, as it was when it was chosen */
export async function textsItem(id: string, traffic: Traffic, leaf?: string): Promise<Item> {
  const texts = await traffic.read(id);
  if ("missing" in texts) return { id, missing: texts.missing };
  if (leaf !== undefined && texts.leaf !== leaf) return { id, missing: "changed-in-the-log" };
  const { request, answer } = texts;
  const input = { messages: request.messages.map(({ role, parts }) => ({ role, text: textsOf(parts) })) };
  const record = { id, input, answer, reference: undefined, label: undefined };
  return { id, record, asked: request, baseline: undefined, failure: undefined };
}

/** The same items with the answers of a model: those that are stored, and where it is asked now, the missing ones, each once. */
async function withAnswers(
  run: Run,
  source: Exclude<AnswerSource, { of: "dataset" }>,
  first: number,
  items: readonly Item[],
  signal: AbortSignal,
  deps: ItemDependencies,
): Promise<Item[]> {
  const { store } = deps;
  const of = { id: source.of === "run" ? source.run : run.id, upload: run.upload };
  const known = await store.answers(of, first, items.length);
  if (source.of === "model") {
    const todo = items.flatMap((item, at) =>
      isRead(item) && !known.has(first + at) ? [{ item, ordinal: first + at }] : [],
    );
    await someAtOnce(todo, AT_ONCE, async ({ item, ordinal }) => {
      await store.saveAnswer(of, ordinal, await generated(run.id, source.model, ordinal, item, signal, deps));
    });
  }
  // Read back: of two that asked at once, the first one's counts.
  const answers = source.of === "model" ? await store.answers(of, first, items.length) : known;
  return items.map((item, at) => {
    if (!isRead(item)) return item;
    const answer = answers.get(first + at);
    if (answer === undefined) return { id: item.id, missing: "answer-erased" };
    const { text, failure } = answer;
    // A label is about the answer that was there.
    const record = { ...item.record, answer: text, label: undefined };
    return { ...item, record, baseline: item.record.answer, failure };
  });
}

async function generated(
  run: string,
  model: string,
  ordinal: number,
  item: ReadItem,
  signal: AbortSignal,
  { models, wait }: ItemDependencies,
): Promise<StoredAnswer> {
  const request = requestOf(item, model);
  if (request === undefined) return { text: undefined, failure: "input-is-no-request", request: "" };
  const call = (suffix: string) =>
    patiently(
      () => models.chat(request, { idempotencyKey: `replay-${run}-${ordinal}${suffix}`, purpose: "replay", signal }),
      wait,
      signal,
    );
  try {
    const { response, requestId } = await call("").catch((error: unknown) => {
      // It was answered, and nobody has the answer: it is paid for once more.
      if (error instanceof WeirError && error.reason === "answer_not_kept") return call("-again");
      throw error;
    });
    return { text: answerIn(response), failure: undefined, request: requestId };
  } catch (error) {
    if (!isContentAtFault(error)) throw error;
    return { text: undefined, failure: error.reason, request: "" };
  }
}

const answerIn = ({ choices }: ChatResponse): string => textsOf(choices[0]?.parts ?? []);

/** A text, messages, or the body of a chat completion request: as `input` may be. Undefined: it is none of these. */
function requestOf({ asked, record: { input } }: ReadItem, model: string): ChatRequest | undefined {
  if (asked !== undefined) return { ...asked, model, stream: false, n: undefined, user: undefined, extra: undefined };
  if (typeof input === "string")
    return { model, messages: [{ role: "user", parts: [{ type: "text", text: input }] }], stream: false };
  if (typeof input !== "object" || input === null) return undefined;
  const body = (Array.isArray(input) ? { messages: input } : input) as JsonObject;
  try {
    return { ...openAiChat.parseRequest({ ...body, model }), stream: false, n: undefined };
  } catch (error) {
    if (error instanceof WeirError) return undefined;
    throw error;
  }
}
