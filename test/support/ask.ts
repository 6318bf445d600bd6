import type { BootedWeir } from "@weir/testkit";

export interface Ask {
  /** Default: the bootstrap key. "": none. */
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** POSTs to the facade as an app would. A text goes as it is, anything else as JSON. */
export function ask(
  weir: Pick<BootedWeir, "httpUrl" | "key">,
  path: string,
  body: string | object,
  { key = weir.key, headers = {}, signal }: Ask = {},
): Promise<Response> {
  return fetch(weir.httpUrl + path, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(key === "" ? {} : { authorization: `Bearer ${key}` }),
      ...headers,
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** The dialects a client can speak: where, with what, and how each of them ends a stream and tells of an error in it. */
export interface Face {
  readonly name: "chat" | "responses" | "messages";
  readonly path: string;
  readonly body: (model: string, text: string, stream?: boolean) => Record<string, unknown>;
  /** What only a whole stream has at its end. */
  readonly ending: RegExp;
  /** What a stream that failed in its middle ends with. */
  readonly brokenOff: RegExp;
  /** All text of a whole answer. */
  readonly textOf: (answer: string) => string;
}

interface Answers {
  readonly choices?: { readonly message: { readonly content: string } }[];
  readonly output?: { readonly content?: { readonly text: string }[] }[];
  readonly content?: { readonly text?: string }[];
}

const answerOf = (text: string): Answers => JSON.parse(text) as Answers;

export const FACES: readonly Face[] = [
  {
    name: "chat",
    path: "/v1/chat/completions",
    body: (model, text, stream = false) => ({ model, stream, messages: [{ role: "user", content: text }] }),
    ending: /data: \[DONE\]\s*$/,
    brokenOff: /data: \{"error":\{[^\n]*\}\s*$/,
    textOf: (answer) => answerOf(answer).choices?.[0]?.message.content ?? "",
  },
  {
    name: "responses",
    path: "/v1/responses",
    body: (model, text, stream = false) => ({ model, stream, input: text }),
    ending: /event: response\.completed\ndata: [^\n]*\s*$/,
    brokenOff: /event: (error|response\.failed)\ndata: [^\n]*\s*$/,
    textOf: (answer) =>
      (answerOf(answer).output ?? []).flatMap(({ content = [] }) => content.map(({ text }) => text)).join(""),
  },
  {
    name: "messages",
    path: "/v1/messages",
    body: (model, text, stream = false) => ({
      model,
      stream,
      max_tokens: 1000,
      messages: [{ role: "user", content: text }],
    }),
    ending: /event: message_stop\ndata: [^\n]*\s*$/,
    brokenOff: /event: error\ndata: [^\n]*\s*$/,
    textOf: (answer) => (answerOf(answer).content ?? []).map(({ text = "" }) => text).join(""),
  },
];
