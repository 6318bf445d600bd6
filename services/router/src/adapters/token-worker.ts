/** The thread that counts tokens: vocabularies take a tenth of a second to load and tens of megabytes to keep, long texts take long. */
import { parentPort } from "node:worker_threads";
import { countablePieces, type Vocabulary } from "../domain/vocabulary.ts";

/** @see token-counter.ts */
export interface CountTask {
  readonly id: number;
  readonly vocabulary: Vocabulary;
  readonly texts: readonly string[];
}

export interface Counted {
  readonly id: number;
  readonly tokens: number;
}

type Count = (text: string) => number;

/** What looks like one of the model's own marks is text: that is how providers read what users write. */
const asText = { disallowedSpecial: new Set<string>() };

const LOADERS: Readonly<Record<Vocabulary, () => Promise<Count>>> = {
  o200k_base: async () => {
    const { countTokens } = await import("gpt-tokenizer/encoding/o200k_base");
    return (text) => countTokens(text, asText);
  },
  cl100k_base: async () => {
    const { countTokens } = await import("gpt-tokenizer/encoding/cl100k_base");
    return (text) => countTokens(text, asText);
  },
};
const loaded = new Map<Vocabulary, Promise<Count>>();

async function count({ id, vocabulary, texts }: CountTask): Promise<Counted> {
  let loading = loaded.get(vocabulary);
  if (loading === undefined) {
    loading = LOADERS[vocabulary]();
    loaded.set(vocabulary, loading);
  }
  const countText = await loading;
  let tokens = 0;
  for (const text of texts) for (const piece of countablePieces(text)) tokens += countText(piece);
  return { id, tokens };
}

const answer = async (task: CountTask): Promise<void> => parentPort?.postMessage(await count(task));

// A rejection ends the thread, which is how its owner learns of it.
parentPort?.on("message", (task: CountTask) => void answer(task));
