import type pg from "pg";
import type { RunStore, StoredAnswer } from "../ports.ts";
import { keyOf } from "./postgres-datasets.ts";
import { rowsOf } from "./postgres-rows.ts";
import type { TextKeys } from "./sealed-texts.ts";

type AnswerStore = Pick<RunStore, "answers" | "saveAnswer" | "forgetAnswers" | "replays" | "generated">;

/** What replays' models answered, sealed under their dataset's key: they go with it. */
export function postgresAnswers(pool: pg.Pool, keys: TextKeys): AnswerStore {
  const rows = rowsOf(pool);
  const name = (run: string, ordinal: number): string => `answer ${run} ${ordinal}`;
  return {
    async answers({ id, upload }, first, count) {
      const found = await rows<AnswerRow>(ANSWERS, [id, first, count]);
      const answers = new Map<number, StoredAnswer>();
      if (found.length === 0) return answers;
      const key = await keyOf(rows, keys, upload);
      for (const { ordinal, sealed, failure, request } of found) {
        const text = sealed === null ? undefined : key.open(sealed, name(id, ordinal));
        answers.set(ordinal, { text, failure: failure ?? undefined, request });
      }
      return answers;
    },
    async saveAnswer({ id, upload }, ordinal, { text, failure, request }) {
      const key = await keyOf(rows, keys, upload);
      const sealed = text === undefined ? null : key.seal(text, name(id, ordinal));
      // One that comes while the dataset is erased lies under a key that is gone.
      await rows(SAVE, [id, ordinal, sealed, failure ?? null, request]);
    },
    async forgetAnswers(upload, ordinals) {
      await rows(FORGET, [upload, ordinals]);
    },
    replays: () => rows<{ id: string; upload: string }>(REPLAYS, []),
    generated: ({ id, upload }, ordinal) =>
      rows<{ ordinal: number; line: string }>(GENERATED, [id, upload, ordinal, PAGE]),
  };
}

const PAGE = 200;

interface AnswerRow {
  readonly ordinal: number;
  readonly sealed: Buffer | null;
  readonly failure: string | null;
  readonly request: string;
}

const ANSWERS = `
  select ordinal, sealed, failure, request from run_answer
  where run = $1 and ordinal >= $2 and ordinal < $2::int + $3::int order by ordinal`;

const SAVE = `
  insert into run_answer (run, ordinal, sealed, failure, request) values ($1, $2, $3, $4, $5) on conflict do nothing`;

const FORGET = `
  delete from run_answer a using run r, dataset d
  where d.upload = $1 and r.dataset = d.digest and a.run = r.id and a.ordinal = any($2::int[])`;

const REPLAYS = `
  select r.id, d.upload from run r join dataset d on d.digest = r.dataset join upload u on u.id = d.upload
  where r.candidate is not null and u.source = 2 order by r.id`;

const GENERATED = `
  select a.ordinal, d.text as line from run_answer a join dataset_record d on d.upload = $2 and d.ordinal = a.ordinal
  where a.run = $1 and a.ordinal >= $3 order by a.ordinal limit $4`;
