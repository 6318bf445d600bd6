import { WeirError } from "@weir/kernel";
import { idOf, pageSize, pageToken } from "../domain/page.ts";
import type { Result } from "../domain/result.ts";
import type { Evaluator } from "../domain/subject.ts";
import type { ResultFilter, ResultReader } from "../ports.ts";

export interface ResultPage {
  readonly results: readonly Result[];
  /** "": there is no more. */
  readonly nextPageToken: string;
}

/** What can be asked of the results. All reject with WeirError overloaded while their store is away. */
export interface ResultBrowser {
  evaluators(): Promise<readonly Pick<Evaluator, "name" | "version" | "description">[]>;
  /** Newest first. @throws WeirError invalid_request for a request id that is no UUID, or a token that was not given out here */
  list(filter: ResultFilter, page: { readonly size: number; readonly token: string }): Promise<ResultPage>;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function resultBrowser(results: ResultReader): ResultBrowser {
  return {
    evaluators: () => results.evaluators(),
    async list(filter, page) {
      if (filter.requestId !== "" && !UUID.test(filter.requestId)) {
        throw new WeirError("invalid_request", "request_id is not a UUID.", { param: "request_id" });
      }
      // Postgres takes no NUL in a text, and nothing stored has one.
      if (`${filter.workspaceId}${filter.evaluator}`.includes("\u0000")) return { results: [], nextPageToken: "" };
      const limit = pageSize(page.size);
      const found = await results.list(filter, idOf(page.token), limit + 1);
      const shown = found.slice(0, limit);
      const last = shown.at(-1);
      return { results: shown, nextPageToken: found.length > limit && last !== undefined ? pageToken(last.id) : "" };
    },
  };
}
