/**
 * The same exchanges through the dialects alone, where every pair of them can be had (OpenAI's responses, too, which the facade asks for
 * in their own dialect only) and streams can be cut in many ways.
 */
import { type Dialect, dialects, type ProviderDialect, providerDialects, SseParser } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import { describe, expect, test } from "vitest";
import { decode, type Decoded } from "./decode/index.ts";
import { type Exchange, recordings } from "./exchange.ts";
import { FACES, type RecordedFace, tellable } from "./faces.ts";
import { handmade } from "./handmade/index.ts";
import { seeded } from "./replay-server.ts";

const answers = [...recordings(), ...handmade].filter(({ status }) => status < 300);
const pairs = answers.flatMap((exchange) =>
  FACES.map((face): [string, Exchange, RecordedFace] => [`${exchange.name} to ${face.name}`, exchange, face]),
);
const REQUEST_ID = "0199c0de-0000-7000-8000-000000000001";

const faceOf = ({ api }: RecordedFace): Dialect => dialects[api as keyof typeof dialects];

const contextOf = (face: RecordedFace, stream: boolean) => ({
  request: faceOf(face).parseRequest(face.ask("m", stream) as Parameters<Dialect["parseRequest"]>[0]),
  requestId: REQUEST_ID,
  nowS: 1_700_000_000,
});

function translated(from: ProviderDialect, to: Dialect, answer: Buffer, face: RecordedFace): string {
  const response = from.parseResponse(JSON.parse(answer.toString()) as Parameters<Dialect["parseResponse"]>[0]);
  return JSON.stringify(to.renderResponse(response, contextOf(face, false)).body);
}

/** @param next how many bytes come at once */
function streamed(from: ProviderDialect, to: Dialect, answer: Buffer, face: RecordedFace, next: () => number): string {
  const frames = from.frames?.() ?? new SseParser();
  const parser = from.streamParser();
  const renderer = to.streamRenderer(contextOf(face, true));
  let text = "";
  try {
    for (let at = 0; at < answer.length; ) {
      const size = next();
      // A copy: a socket's buffer may be used again.
      for (const event of frames.push(Buffer.from(answer.subarray(at, at + size))))
        for (const one of parser.push(event)) text += renderer.push(one);
      at += size;
    }
    for (const event of frames.end()) for (const one of parser.push(event)) text += renderer.push(one);
    for (const one of parser.end()) text += renderer.push(one);
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    return text + to.renderStreamError(error, REQUEST_ID);
  }
  const { preface, terminal } = renderer.end();
  return text + preface + terminal;
}

/** What a client of a face is told, less what an error and ids are called in each dialect. */
function heard(decoded: Decoded, told: ReturnType<typeof tellable>): object {
  const { error, callIds, usage, ...seen } = decoded;
  expect(new Set(callIds).size).toBe(told.calls.length);
  return { ...seen, usage: told.usage === undefined || error !== undefined ? told.usage : usage };
}

describe("whole answers", () => {
  test.each(pairs.filter(([, { stream }]) => !stream))("%s", (_name, { api, answer }, face) => {
    const expected = decode(api, false, answer);
    if (expected.error !== undefined) {
      expect(() => translated(providerDialects[api], faceOf(face), answer, face)).toThrow(expected.error.message);
      return;
    }
    const told = tellable(expected, face);
    const text = translated(providerDialects[api], faceOf(face), answer, face);
    expect(heard(decode(face.api, false, text), told)).toEqual(told);
  });
});

describe("streams", () => {
  test.each(pairs.filter(([, { stream }]) => stream))("%s, cut anywhere", (_name, { api, answer }, face) => {
    const expected = decode(api, true, answer);
    const told = tellable(expected, face);
    const random = seeded(answer.length);
    const cuts = [() => 1, () => 2, () => 13, () => answer.length, () => 1 + Math.floor(random() * 200)];
    for (const next of cuts) {
      const seen = decode(face.api, true, streamed(providerDialects[api], faceOf(face), answer, face, next));
      expect(heard(seen, told)).toEqual(told);
      if (expected.error !== undefined) expect(seen.error?.message).toContain(expected.error.message);
      else expect(seen.error === undefined || expected.finish === "error").toBe(true);
    }
  });
});
