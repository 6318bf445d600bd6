import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  answerEssence,
  anyRequest,
  contextOf,
  eventsOf,
  eventsThrough,
  except,
  names,
  pairs,
  requestEssence,
  requestThrough,
  responseOf,
  responseThrough,
} from "../test/translation-kit.ts";
import { chatRequest, json, maybe, readable, text, thinking, toolName, wildObject, word } from "../test/arbitraries.ts";
import type { ChatRequest, ChatResponse, FinishReason, Part } from "./core.ts";
import { dialects } from "./dialects.ts";

/** What is neither said nor lost: top_p of 1, a choice among no tools, the cap that Anthropic must have, a budget on top of it. */
const plain = (request: ChatRequest, excused: Partial<ReturnType<typeof requestEssence>>) => {
  const essence = { ...excused };
  if (request.maxOutputTokens === undefined) delete essence.maxOutputTokens;
  if (request.topP === 1) delete essence.topP;
  if (request.tools === undefined) delete essence.toolChoice;
  return essence;
};

describe.each(names)("%s", (name) => {
  const dialect = dialects[name];

  it("writes requests that it reads as they were, but for what it named as dropped", () => {
    fc.assert(
      fc.property(chatRequest, (request) => {
        const { value, dropped } = requestThrough(dialect, request);
        expect(plain(request, except(requestEssence(value), dropped))).toEqual(
          plain(request, except(requestEssence(request), dropped)),
        );
        // What it reads of its own, it writes without loss.
        const again = requestThrough(dialect, value);
        expect(again.dropped).toEqual([]);
        expect(requestEssence(again.value)).toEqual(requestEssence(value));
      }),
      { numRuns: 150 },
    );
  });
});

const finish: fc.Arbitrary<FinishReason> = fc.constantFrom("stop", "length", "content-filter");
const answer: fc.Arbitrary<ChatResponse> = fc
  .record({
    think: maybe(thinking),
    say: fc.array(text, { maxLength: 2 }),
    calls: fc.array(fc.record({ name: toolName, given: json }), { maxLength: 3 }),
    finish,
    usage: maybe(fc.tuple(fc.nat(1000), fc.nat(1000), fc.nat(1000), fc.nat(1000))),
  })
  .map(({ think, say, calls, finish: reason, usage }) => {
    const parts: Part[] = [
      ...(think === undefined ? [] : [think]),
      ...say,
      ...calls.map(({ name, given }, at): Part => ({ type: "tool-call", id: `c${at}`, name, arguments: given })),
    ];
    const response: ChatResponse = {
      id: "answer_1",
      model: "m",
      createdS: 1_700_000_000,
      choices: [{ index: 0, parts, finishReason: calls.length > 0 ? "tool-calls" : reason }],
    };
    if (usage !== undefined) {
      const [fresh, cached, said, thought] = usage;
      response.usage = {
        inputTokens: fresh + cached,
        outputTokens: said + thought,
        cachedInputTokens: cached,
        cacheWriteTokens: 0,
        reasoningTokens: thought,
        estimated: false,
      };
    }
    return response;
  });
const none = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, reasoningTokens: 0 };
/** Anthropic always shows usage, zeros where there is none. */
const essenceOf = (response: ChatResponse) => {
  const essence = answerEssence(response);
  return { ...essence, usage: essence.usage ?? none };
};

describe.each(pairs)("an answer of %s for %s", (from, to) => {
  it("says the same, whole and streamed, cut anywhere", () => {
    fc.assert(
      fc.property(answer, fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9 }), (response, cut, piece) => {
        const expected = essenceOf(response);
        const whole = responseThrough(dialects[from], response).value;
        expect(essenceOf(responseThrough(dialects[to], whole).value)).toEqual(expected);
        const events = eventsThrough(dialects[from], eventsOf(response, piece), cut).value;
        const streamed = eventsThrough(dialects[to], events, cut).value;
        expect(essenceOf(responseOf(streamed))).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });
});

describe.each(names)("%s, given anything", (name) => {
  const dialect = dialects[name];
  const list = {
    "openai-chat": "messages",
    "openai-responses": "input",
    "anthropic-messages": "messages",
    "gemini-generate": "contents",
  }[name];

  it("reads a request or says what is wrong with it; and writes what it read", () => {
    fc.assert(
      fc.property(wildObject, fc.array(wildObject, { minLength: 1, maxLength: 3 }), (body, items) => {
        readable(
          () => {
            const request = dialect.parseRequest({ ...body, model: "m", [list]: items });
            for (const other of names) dialects[other].renderRequest(request);
          },
          "invalid_request",
          "unsupported",
        );
      }),
      { numRuns: 400 },
    );
  });

  it("reads an answer or says that it cannot be read", () => {
    fc.assert(
      fc.property(wildObject, fc.array(wildObject, { maxLength: 3 }), (body, items) => {
        dialect.inspectResponse(body);
        for (const member of ["choices", "output", "content", "candidates"])
          readable(() => {
            const response = dialect.parseResponse({ ...body, [member]: items });
            for (const other of names) dialects[other].renderResponse(response, contextOf(anyRequest));
            // An answer may hold the provider's own error in place of content.
          });
      }),
      { numRuns: 200 },
    );
  });

  it("reads a stream's events, its errors included, or says that they cannot be read", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.oneof(word, fc.constant("")), wildObject, fc.boolean()), { maxLength: 8 }),
        (events) => {
          const parser = dialect.streamParser();
          const watcher = dialect.streamWatcher({ hideUsage: true });
          readable(() => {
            for (const [event, body, typed] of events)
              parser.push({ event, data: JSON.stringify(typed ? { ...body, type: event } : body) });
            parser.end();
          });
          for (const [event, body, typed] of events)
            watcher.push(
              Buffer.from(`event: ${event}\ndata: ${JSON.stringify(typed ? { ...body, type: event } : body)}\n\n`),
            );
          watcher.end();
        },
      ),
      { numRuns: 400 },
    );
  });

  it("reads any error, in the classes of the catalogue, and writes it for every client", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529),
        wildObject,
        (status, body) => {
          for (const given of [undefined, body, { error: body }]) {
            const { error } = dialect.parseError(status, given, () => undefined);
            expect(error.reason).toMatch(/^provider_/);
            for (const other of names) {
              dialects[other].renderError(error, "r");
              dialects[other].renderStreamError(error, "r");
            }
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
