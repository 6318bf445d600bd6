import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { evaluation } from "@weir/contracts";
import type { DeadLetter } from "../domain/dead-letter.ts";
import type { Retried } from "../flows/dead-letters.ts";
import type { Handling } from "./routes.ts";

type Implementation = ServiceImpl<typeof evaluation.EvaluationService>;

export const deadLetterHandlers = ({
  letters,
  requireAdmin,
}: Handling): Pick<Implementation, "listDeadLetters" | "getDeadLetter" | "retryDeadLetters" | "dropDeadLetters"> => ({
  async listDeadLetters({ pageSize: size, pageToken: token }, context) {
    requireAdmin(context.requestHeader);
    const page = await letters.list({ size, token });
    return { letters: page.letters.map(letterToWire), nextPageToken: page.nextPageToken };
  },
  async getDeadLetter({ id }, context) {
    requireAdmin(context.requestHeader);
    const { letter, records } = await letters.show(id);
    return {
      letter: letterToWire(letter),
      records: records.map(({ number, digest, ...record }) => ({ ...record, number: BigInt(number), sha256: digest })),
    };
  },
  async retryDeadLetters({ ids }, context) {
    requireAdmin(context.requestHeader);
    const retried = await letters.retry(ids);
    return { letters: retried.map(({ id, result, reason }) => ({ id, result: RESULTS[result], reason })) };
  },
  async dropDeadLetters({ ids }, context) {
    requireAdmin(context.requestHeader);
    return { dropped: await letters.drop(ids) };
  },
});

const RESULTS: Readonly<Record<Retried["result"], evaluation.RetryResult>> = {
  done: evaluation.RetryResult.DONE,
  failed: evaluation.RetryResult.FAILED,
  gone: evaluation.RetryResult.GONE,
};

const letterToWire = ({
  first,
  last,
  atMs,
  data: _data,
  ...letter
}: DeadLetter): MessageInitShape<typeof evaluation.DeadLetterSchema> => ({
  ...letter,
  firstNumber: BigInt(first),
  lastNumber: BigInt(last),
  atMs: BigInt(atMs),
});
