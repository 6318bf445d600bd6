/**
 * Every exchange with a real provider, replayed by a server that cuts its bytes anywhere, through the whole of Weir to clients of every
 * dialect; what they are told is compared with a decoding of the recorded bytes that knows nothing of ours. Then the same with
 * exchanges made by hand in the providers' documented formats, for what nobody recorded.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { audit, common } from "@weir/contracts";
import { type BootedWeir, bootWeir } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask } from "../support/ask.ts";
import { type Operator, operatorOf } from "../support/operator.ts";
import { decode, type Decoded } from "./decode/index.ts";
import { type Exchange, recordings, recordingsFolder } from "./exchange.ts";
import { FACES, type RecordedFace, shownStatus, tellable } from "./faces.ts";
import { handmade, requests } from "./handmade/index.ts";
import { functionsIn, saidIn } from "./requests.ts";
import { type Received, type ReplayServer, startReplayServer } from "./replay-server.ts";

const recorded = recordings();

interface Case {
  readonly exchange: Exchange;
  readonly face: RecordedFace;
  /** The client's name for the model, and the provider's. */
  readonly alias: string;
  readonly model: string;
  readonly provider: string;
  readonly own: boolean;
}

const cases: Case[] = [...recorded, ...handmade, ...requests].flatMap((exchange, index) =>
  FACES.filter(({ api }) => api === exchange.api || exchange.api !== "openai-responses").map((face) => {
    // OpenAI itself is asked for responses in its own dialect; others answer chat completions there, too.
    const elsewhere = exchange.kind === "openai" && exchange.api === "openai-chat" && face.name === "responses";
    const name = `${index}-${face.name}`;
    return {
      exchange,
      face,
      alias: `as-${name}`,
      model: `model-${name}`,
      provider: elsewhere ? "compatible" : exchange.kind,
      own: face.api === exchange.api,
    };
  }),
);
const casesOf = (exchanges: readonly Exchange[], own: boolean): [string, Case][] =>
  cases
    .filter((one) => one.own === own && exchanges.includes(one.exchange))
    .map((one) => [`${one.exchange.name} at ${one.face.path}`, one]);

/** A request on its way to a provider that speaks another dialect. */
interface Crossing {
  readonly exchange: Exchange;
  readonly face: RecordedFace;
  readonly alias: string;
  readonly model: string;
  readonly provider: keyof typeof ANSWERS;
  /** What is answered. */
  readonly answer: Exchange;
}

const ANSWERS = {
  compatible: "groq",
  anthropic: "anthropic",
  gemini: "gemini",
  mistral: "mistral",
  bedrock: "bedrock",
} as const;
const PROVIDERS = Object.keys(ANSWERS) as (keyof typeof ANSWERS)[];
/** Mistral's clients are OpenAI's. */
const spokenBy = ({ api }: Exchange): Exchange["api"] => (api === "mistral-chat" ? "openai-chat" : api);
const crossings: Crossing[] = [...recorded, ...requests].flatMap((exchange, index) =>
  FACES.filter(({ api }) => api === spokenBy(exchange)).flatMap((face) =>
    PROVIDERS.flatMap((provider) => {
      const answer = handmade.find(
        ({ kind, stream, status }) => kind === ANSWERS[provider] && stream === exchange.stream && status === 200,
      );
      if (answer === undefined || answer.api === spokenBy(exchange)) return [];
      const name = `${index}-over-${provider}`;
      return [{ exchange, face, provider, alias: `as-${name}`, model: `model-${name}`, answer }];
    }),
  ),
);
const crossingsOf = (exchanges: readonly Exchange[]): [string, Crossing][] =>
  crossings
    .filter((one) => exchanges.includes(one.exchange))
    .map((one) => [`${one.exchange.name} for ${one.provider}`, one]);

const KINDS = { compatible: "openai-compatible", groq: "groq", openrouter: "openrouter", mistral: "mistral" };
const config = (origin: string): string => `
providers:
  openai: { kind: openai, base_url: "${origin}/v1", api_key: "env:TEST_PROVIDER_KEY" }
  anthropic: { kind: anthropic, base_url: "${origin}/v1", api_key: "env:TEST_PROVIDER_KEY" }
  gemini: { kind: gemini, base_url: "${origin}/v1beta", api_key: "env:TEST_PROVIDER_KEY" }
  bedrock: { kind: bedrock, base_url: "${origin}", region: eu-central-1, api_key: "env:TEST_PROVIDER_KEY" }
${Object.entries(KINDS)
  .map(([name, kind]) => `  ${name}: { kind: ${kind}, base_url: "${origin}/v1", api_key: "env:TEST_PROVIDER_KEY" }`)
  .join("\n")}
models:
${[...cases, ...crossings].map(({ alias, provider, model }) => `  ${alias}: { targets: [{ provider: ${provider}, model: ${model} }] }`).join("\n")}
`;

/** What no provider knows, in spellings that a decoder and an encoder would not keep. */
const UNKNOWN = String.raw`"x_unknown" : {"a": 1.10, "big":12345678901234567890,"b":[ null,1E2 ],"c":"\u00e9\/\u2028é"}`;

describe("replayed", () => {
  let replay: ReplayServer;
  let weir: BootedWeir;
  let operator: Operator;
  /** What was told to clients so far. */
  const answered: [Exchange, Decoded, Response][] = [];
  beforeAll(async () => {
    replay = await startReplayServer();
    for (const { model, exchange } of cases) replay.replay(model, exchange);
    for (const { model, answer } of crossings) replay.replay(model, answer);
    weir = await bootWeir("standalone", {
      config: config(replay.origin),
      env: { TEST_PROVIDER_KEY: "sk-replayed-provider-key" },
    });
    operator = operatorOf(weir);
  });
  afterAll(async () => {
    await weir?.[Symbol.asyncDispose]();
    await replay?.[Symbol.asyncDispose]();
  });

  async function passes({ exchange, face, alias, model }: Case): Promise<void> {
    const plain = JSON.stringify({ ...exchange.request, model: alias }, undefined, 1);
    const sent = `${plain.slice(0, -2)},\n ${UNKNOWN}\n}`;
    const answer = await ask(weir, face.path + exchange.query, sent, {
      headers: { "anthropic-version": "2023-06-01" },
    });
    const got = Buffer.from(await answer.arrayBuffer()).toString();
    const [request] = replay.received(model);
    expectSentOn(exchange, sent.replace(alias, model), request);
    const expected = decode(exchange.api, exchange.stream, exchange.answer);
    if (isRefusal(exchange, expected)) {
      const { shows, means } = exchange;
      if (shownStatus(exchange, true) !== (means ?? exchange.status) || (exchange.stream && face.name === "responses"))
        expectError(got, answer.status, expected, exchange, face);
      else if (shows === undefined) {
        expect(answer.status, got).toBe(means ?? exchange.status);
        expectOwnWords(got, exchange);
      }
    } else {
      expect(answer.status, got).toBe(exchange.status);
      expect(got).toBe(withoutUnaskedUsage(exchange).toString());
    }
    answered.push([exchange, expected, answer]);
  }

  async function isTold({ exchange, face, alias }: Case): Promise<void> {
    const answer = await ask(weir, face.path, face.ask(alias, exchange.stream));
    const got = Buffer.from(await answer.arrayBuffer()).toString();
    const expected = decode(exchange.api, exchange.stream, exchange.answer);
    if (isRefusal(exchange, expected)) expectError(got, answer.status, expected, exchange, face);
    else {
      expect(answer.status, got).toBe(200);
      const { error, callIds, usage, ...seen } = decode(face.api, exchange.stream, got);
      const { usage: counted, ...told } = tellable(expected, face);
      expect(seen).toEqual(told);
      if (counted !== undefined && expected.error === undefined) expect(usage).toEqual(counted);
      expect(new Set(callIds).size).toBe(expected.calls.length);
      expect(callIds).not.toContain("");
      if (expected.error === undefined) expect(error === undefined || expected.finish === "error").toBe(true);
      else expect(error?.message).toContain(expected.error.message);
    }
    answered.push([exchange, expected, answer]);
  }

  async function arrives({ exchange, face, alias, model, answer }: Crossing): Promise<void> {
    const got = await ask(weir, face.path + exchange.query, { ...exchange.request, model: alias });
    const text = await got.text();
    expect(got.status, text).toBe(200);
    expect(decode(face.api, answer.stream, text).text).toBe(decode(answer.api, answer.stream, answer.answer).text);
    const arrived = replay.received(model)[0]?.body.toString() ?? "";
    for (const said of [...saidIn(exchange.request), ...functionsIn(exchange.request)])
      expect(arrived).toContain(JSON.stringify(said).slice(1, -1));
  }

  /** The provider's bytes, but for names of Weir's account with it. */
  function expectOwnWords(got: string, { stream, answer }: Exchange): void {
    const said = answer.toString();
    const event = said.split("\n").find((line) => line.includes('"error"')) ?? "";
    expect(got).toBe(
      (stream ? event.replace("data: ", "").trim() : said).replace(/(?:org-|user_)[\w-]{8,}/, "[hidden]"),
    );
  }

  function expectError(got: string, status: number, expected: Decoded, exchange: Exchange, face: RecordedFace): void {
    const shown = shownStatus(exchange, false);
    expect(status, got).toBe(shown);
    const body = JSON.parse(got) as { error: { message: string } };
    const original = exchange.means ?? exchange.status;
    // What a provider says of Weir's own account is not told.
    if (shown < 500 && shown !== 429) expect(body.error.message).toContain(expected.error?.message);
    expect(body.error.message.length).toBeGreaterThan(0);
    expect(decode(face.api, false, got).error?.code).toMatch(/./);
    const recordedClass = face.sdkError(shown === 429 || shown >= 500 ? shown : original, {});
    if (exchange.shows === undefined) expect(face.sdkError(status, body)).toBe(recordedClass);
  }

  async function isLogged([exchange, expected, answer]: (typeof answered)[number]): Promise<void> {
    const outcome = await outcomeOf(answer.headers.get("x-weir-request-id") ?? "");
    const failed = expected.error !== undefined && (expected.finish === undefined || isRefusal(exchange, expected));
    expect(outcome.kind, exchange.name).toBe(failed ? audit.OutcomeKind.FAILED : audit.OutcomeKind.SUCCEEDED);
    expect(outcome.status).toBe(answer.status);
    if (failed) return expect(outcome.error, exchange.name).not.toBe(common.ErrorReason.UNSPECIFIED);
    const finish = common.FinishReason[outcome.result?.finishReason ?? 0];
    expect(finish?.toLowerCase().replaceAll("_", "-"), exchange.name).toBe(expected.finish);
    const { usage } = outcome.result ?? {};
    if (expected.usage === undefined) return;
    expect({ ...usage }, exchange.name).toMatchObject({
      inputTokens: expected.usage.input,
      outputTokens: expected.usage.output,
      cachedInputTokens: expected.usage.cached,
      reasoningTokens: expected.usage.reasoning,
      estimated: false,
    });
  }

  async function outcomeOf(requestId: string): Promise<audit.Outcome> {
    for (const end = Date.now() + 20_000; Date.now() < end; await sleep(20)) {
      const found = await operator.audit.get({ requestId }).then(
        ({ entries }) => entries.map(({ record }) => record).find((record) => record.case === "outcome"),
        // The log is behind the answers by what the relay needs.
        (error: unknown) => {
          if (!(error instanceof ConnectError && error.code === Code.NotFound)) throw error;
        },
      );
      if (found !== undefined) return found.value;
    }
    throw new Error(`no outcome of ${requestId} was recorded`);
  }

  describe.skipIf(recorded.length === 0)(
    `recordings${recorded.length === 0 ? ` (skipped: there are none in ${recordingsFolder}; WEIR_FIXTURES names another folder)` : ""}`,
    () => {
      test("there are some", () => expect(recorded).not.toEqual([]));
      test.each(casesOf(recorded, true))("%s: the same bytes go both ways", (_name, one) => passes(one));
      test.each(casesOf(recorded, false))("%s: the same is told in another dialect", (_name, one) => isTold(one));
      test.each(crossingsOf(recorded))("the request of %s arrives in its dialect", (_name, one) => arrives(one));
    },
  );
  describe("made by hand", () => {
    test.each(casesOf(handmade, true))("%s: the same bytes go both ways", (_name, one) => passes(one));
    test.each(casesOf(handmade, false))("%s: the same is told in another dialect", (_name, one) => isTold(one));
    test.each(casesOf(requests, true))("%s: the same bytes go both ways", (_name, one) => passes(one));
    test.each(crossingsOf(requests))("the request of %s arrives in its dialect", (_name, one) => arrives(one));
  });
  test("names of members with escapes, as older encoders write them, are understood and written plainly", async () => {
    const [, one] = casesOf(handmade, true)[0] ?? [];
    if (one === undefined) throw new Error("there is no case");
    const sent = String.raw`{"model":"${one.alias}","messages":[{"role":"user","content":"\u00f6"}],"x":{"gr\u00f6\u00dfe":1.0,"a\/b":2}}`;
    expect((await ask(weir, one.face.path, sent)).status).toBe(200);
    const plain = sent
      .replace(one.alias, one.model)
      .replace(String.raw`gr\u00f6\u00dfe`, "größe")
      .replace(String.raw`a\/b`, "a/b");
    expect(replay.received(one.model).at(-1)?.body.toString()).toBe(plain);
  });
  test("the log has the same usage and finish reasons", async () => {
    expect(answered.length).toBeGreaterThan(handmade.length);
    for (const one of answered) await isLogged(one);
  });
});

/** No answer began: it is an HTTP error, also where the provider said it inside of a 200. */
const isRefusal = ({ status }: Exchange, { error, text, thinking, calls, finish }: Decoded): boolean =>
  status >= 400 ||
  (error !== undefined && (finish === undefined || finish === "error") && text + thinking === "" && calls.length === 0);

function expectSentOn(exchange: Exchange, sent: string, request: Received | undefined): void {
  const got = request?.body.toString() ?? "";
  const asked = JSON.stringify(exchange.request["stream_options"] ?? "").includes('"include_usage":true');
  const untouched = !exchange.stream || exchange.api !== "openai-chat" || asked;
  expect(untouched ? got : got.replace(',"stream_options":{"include_usage":true}', "")).toBe(sent);
  if (!untouched) expect(JSON.parse(got)).toHaveProperty("stream_options", { include_usage: true });
  expect(request?.headers).toContain("sk-replayed-provider-key");
}

/** The event that only tells usage, where its client did not ask for it. */
function withoutUnaskedUsage({ api, stream, request, answer }: Exchange): Buffer {
  const asked = JSON.stringify(request["stream_options"] ?? "").includes('"include_usage":true');
  if (!stream || api !== "openai-chat" || asked) return answer;
  const kept = answer
    .toString()
    .split(/(?<=\n\n)/)
    .filter((event) => !(event.includes('"choices":[]') && event.includes('"usage":{')));
  return Buffer.from(kept.join(""));
}
