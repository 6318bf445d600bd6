import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

/** The wire formats of the recordings. */
export type Api =
  | "openai-chat"
  | "openai-responses"
  | "anthropic-messages"
  | "gemini-generate"
  | "mistral-chat"
  | "bedrock-converse";

/** A request to a provider and what it answered: recorded by others, or made by hand in the documented format. */
export interface Exchange {
  readonly name: string;
  readonly api: Api;
  /** The kind of provider that speaks it. */
  readonly kind: "openai" | "groq" | "openrouter" | "mistral" | "anthropic" | "gemini" | "bedrock";
  /** With the query its client sent: "?beta=true". */
  readonly query: string;
  /** The body as its client sent it, without the names that Google has in its path. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly stream: boolean;
  readonly answer: Buffer;
  /** The status that an error inside of a 200 would have had. */
  readonly means?: number;
  /** The status that clients get in place of it, where it is not the usual one (see shownStatus). */
  readonly shows?: number;
}

/** What the names of recordings begin with. */
const PREFIXES: readonly (readonly [prefix: string, api: Api, kind: Exchange["kind"]])[] = [
  ["anthropic-messages", "anthropic-messages", "anthropic"],
  ["gemini-", "gemini-generate", "gemini"],
  ["openai-responses", "openai-responses", "openai"],
  ["openai-chat", "openai-chat", "openai"],
  ["groq-chat", "openai-chat", "groq"],
  ["mistral-chat", "mistral-chat", "mistral"],
  ["bedrock-converse", "bedrock-converse", "bedrock"],
  ["openrouter-chat", "openai-chat", "openrouter"],
];

/** Not part of the project: WEIR_FIXTURES names their folder, or they lie beside it. */
export const recordingsFolder =
  process.env["WEIR_FIXTURES"] ?? fileURLToPath(new URL("../../../shared/fixtures", import.meta.url));

interface Recorded {
  readonly uri: string;
  readonly body: Record<string, unknown>;
  readonly response_status: number;
  readonly response_headers?: Record<string, string>;
  readonly response_file: string;
}

export function recordings(): Exchange[] {
  if (!existsSync(recordingsFolder)) return [];
  return readdirSync(recordingsFolder)
    .filter((file) => file.endsWith(".request.json"))
    .sort()
    .flatMap((file) => {
      const found = PREFIXES.find(([prefix]) => file.startsWith(prefix));
      if (found === undefined) return [];
      const [, api, kind] = found;
      const recorded = JSON.parse(readFileSync(join(recordingsFolder, file), "utf8")) as Recorded;
      return [
        {
          name: file.slice(0, -".request.json".length),
          api,
          kind,
          query: new URL(recorded.uri).search,
          request: recorded.body,
          status: recorded.response_status,
          headers: { "content-type": "application/json", ...recorded.response_headers },
          stream: /\.(?:sse|bin)$/.test(recorded.response_file),
          answer: readFileSync(join(recordingsFolder, recorded.response_file)),
        },
      ];
    });
}
