/**
 * Evaluators that ask somebody: a model by a rubric, embeddings, a webhook. Each content is asked about once under a version, and what was said is
 * stored before it counts: the same content gets the same judgment ever after, in whatever run. Fails closed: where nobody can be asked (no budget,
 * no connection), the run stops and can go on later; only what is wrong with the content itself makes it `unjudged`.
 */
import { WeirError } from "@weir/kernel";
import type {
  AskingDefinition,
  JudgeDefinition,
  SimilarityDefinition,
  WebhookDefinition,
} from "../domain/definition.ts";
import type { ReadItem } from "../domain/item.ts";
import { assessmentOf, unjudged } from "../domain/judging/judgment.ts";
import { judgeCalls, judgedTexts } from "../domain/judging/prompt.ts";
import { similarityOf } from "../domain/judging/similarity.ts";
import { contentName, judgmentOf } from "../domain/judging/verdict.ts";
import { webhookJudgment } from "../domain/judging/webhook-answer.ts";
import { notEvaluable } from "../domain/record-evaluators.ts";
import type { EvaluatorVersion } from "../domain/run.ts";
import type { Assessment } from "../domain/subject.ts";
import type { AskWebhook, JudgedContent, JudgmentStore, Models } from "../ports.ts";
import { someAtOnce } from "./at-once.ts";
import { patiently, type Wait } from "./patiently.ts";

export interface AskingDependencies {
  readonly judgments: JudgmentStore;
  readonly models: Models;
  readonly askWebhook: AskWebhook;
  /** A keyed hash, as hex. */
  readonly keyed: (name: string) => string;
  readonly wait: Wait;
  readonly nowMs: () => number;
}

type Texts = readonly (string | null)[];

interface Content {
  readonly content: string;
  readonly texts: Texts;
  readonly item: ReadItem;
}

/** How one kind asks. */
interface Kind {
  readonly textsOf: (item: ReadItem) => { readonly texts: Texts } | { readonly lacking: string };
  /** Contents of one call. */
  readonly together: number;
  ask(contents: readonly Content[], signal: AbortSignal): Promise<Omit<JudgedContent, "content">[]>;
}

const AT_ONCE = 8;

export function askingEvaluator(
  evaluator: EvaluatorVersion,
  definition: AskingDefinition,
  deps: AskingDependencies,
): (items: readonly ReadItem[], signal: AbortSignal) => Promise<Assessment[]> {
  const kind = kindOf(evaluator, definition, deps);
  return async (items, signal) => {
    const asked = items.map((item) => {
      const found = kind.textsOf(item);
      if ("lacking" in found) return found;
      const content = deps.keyed(contentName(evaluator.name, evaluator.version, found.texts));
      return { content, texts: found.texts, item };
    });
    const contents = new Map(asked.flatMap((one) => ("content" in one ? [[one.content, one] as const] : [])));
    const known = new Map(await deps.judgments.find(evaluator, [...contents.keys()]));
    const unknown = [...contents.values()].filter(({ content }) => !known.has(content));
    await someAtOnce(inGroups(unknown, kind.together), AT_ONCE, async (group) => {
      const said = await askAll(kind, group, signal);
      const judged = said.map((one, at) => ({ ...one, content: group[at]?.content ?? "" }));
      await deps.judgments.save(evaluator, judged, deps.nowMs());
    });
    // Read back: of two that asked at once, the first one's counts.
    const added = unknown.map(({ content }) => content);
    if (added.length > 0)
      for (const [content, judgment] of await deps.judgments.find(evaluator, added)) known.set(content, judgment);
    return asked.map((one) => {
      if ("lacking" in one) return notEvaluable(one.lacking);
      const judgment = known.get(one.content);
      if (judgment === undefined) throw new Error("a judgment that was stored is not there");
      return assessmentOf(judgment);
    });
  };
}

function kindOf(evaluator: EvaluatorVersion, definition: AskingDefinition, deps: AskingDependencies): Kind {
  switch (definition.kind) {
    case "judge":
      return judgeKind(evaluator, definition, deps);
    case "similarity":
      return similarityKind(evaluator, definition, deps);
    case "webhook":
      return webhookKind(evaluator, definition, deps);
  }
}

/** What a content itself is to blame for. */
const CONTENT_AT_FAULT: ReadonlySet<string> = new Set([
  "invalid_request",
  "unsupported",
  "body_too_large",
  "guardrail_blocked",
  "provider_rejected",
]);

export const isContentAtFault = (error: unknown): error is WeirError =>
  error instanceof WeirError && CONTENT_AT_FAULT.has(error.reason);

/** A call that was refused for what is in it is made once more for each content: one must not spoil the others. */
async function askAll(
  kind: Kind,
  group: readonly Content[],
  signal: AbortSignal,
): Promise<Omit<JudgedContent, "content">[]> {
  try {
    return await kind.ask(group, signal);
  } catch (error) {
    if (!isContentAtFault(error)) throw error;
    if (group.length === 1) return [{ judgment: unjudged(`refused:${error.reason}`), requests: [] }];
  }
  const each: Omit<JudgedContent, "content">[] = [];
  for (const one of group) each.push(...(await askAll(kind, [one], signal)));
  return each;
}

const purposeOf = ({ name, version }: EvaluatorVersion): string => `${name}@${version}`;

function judgeKind(
  evaluator: EvaluatorVersion,
  definition: JudgeDefinition,
  { models, wait }: AskingDependencies,
): Kind {
  return {
    textsOf: (item) => judgedTexts(definition, item),
    together: 1,
    async ask(contents, signal) {
      const [one] = contents;
      if (one === undefined) return [];
      const answers = await Promise.all(
        judgeCalls(definition, one.texts).map(({ name, request }) => {
          const call = (suffix: string) =>
            patiently(
              () =>
                models.chat(request, {
                  idempotencyKey: `eval-${one.content}-${name}${suffix}`,
                  purpose: purposeOf(evaluator),
                  signal,
                }),
              wait,
              signal,
            );
          return call("").catch((error: unknown) => {
            // It was answered, and nobody has the answer: it is paid for once more.
            if (error instanceof WeirError && error.reason === "answer_not_kept") return call("-again");
            throw error;
          });
        }),
      );
      const judgment = judgmentOf(
        definition,
        answers.map(({ response }) => response),
      );
      return [{ judgment, requests: answers.map(({ requestId }) => requestId) }];
    },
  };
}

const EMBEDDED_TOGETHER = 32;

function similarityKind(
  evaluator: EvaluatorVersion,
  definition: SimilarityDefinition,
  { models, wait, keyed }: AskingDependencies,
): Kind {
  const { model, dimensions } = definition;
  return {
    textsOf({ record: { answer, reference } }) {
      if (answer === undefined) return { lacking: "no-answer" };
      if (reference === undefined) return { lacking: "no-reference" };
      // Providers embed no empty text.
      return answer.trim() === "" || reference.trim() === ""
        ? { lacking: "empty-text" }
        : { texts: [answer, reference] };
    },
    together: EMBEDDED_TOGETHER,
    async ask(contents, signal) {
      const texts = contents.flatMap((content) => content.texts.map((text) => text ?? ""));
      const idempotencyKey = `eval-${keyed(contents.map(({ content }) => content).join())}`;
      const options = { idempotencyKey, purpose: purposeOf(evaluator), signal };
      const { vectors, requestId } = await patiently(
        () => models.embed(model, dimensions, texts, options),
        wait,
        signal,
      );
      return contents.map((_, at) => ({
        judgment: similarityOf(definition, vectors[2 * at] ?? [], vectors[2 * at + 1] ?? []),
        requests: [requestId],
      }));
    },
  };
}

function webhookKind(
  { name, version }: EvaluatorVersion,
  definition: WebhookDefinition,
  { askWebhook, wait }: AskingDependencies,
): Kind {
  return {
    textsOf: ({ record }) =>
      record.answer === undefined
        ? { lacking: "no-answer" }
        : { texts: [record.id, JSON.stringify(record.input), record.answer, record.reference ?? null] },
    together: 1,
    async ask(contents, signal) {
      const [one] = contents;
      if (one === undefined) return [];
      const { id, input, answer, reference } = one.item.record;
      const body = JSON.stringify({ evaluator: name, version, record: { id, input, answer, reference } });
      for (let attempt = 1; ; attempt++) {
        try {
          const said = await askWebhook(definition, `eval-${one.content}`, body, signal);
          return [{ judgment: webhookJudgment(definition, said), requests: [] }];
        } catch (error) {
          const again = error instanceof WeirError && error.reason === "provider_unreachable";
          if (!again || attempt >= definition.attempts || signal.aborted) throw error;
        }
        await wait(500 * 2 ** (attempt - 1), signal);
      }
    },
  };
}

function inGroups<T>(items: readonly T[], size: number): T[][] {
  const groups: T[][] = [];
  for (let at = 0; at < items.length; at += size) groups.push(items.slice(at, at + size));
  return groups;
}
