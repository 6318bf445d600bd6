import { flatPrice, noFees, type Price, samePrice } from "@weir/pricing";
import { NO_RULES, type Rules } from "@weir/rules";
import type { JsonObject } from "@weir/dialects";
import { describe, expect, test } from "vitest";
import {
  boundOf,
  type Candidate,
  DEFAULT_OUTPUT_CAP,
  effectiveOutputCap,
  inputTokensFor,
  toolCallCap,
} from "./bound.ts";
import { type Grant, grantOf } from "./grant.ts";
import type { FacadeDialect, RequestShape } from "./shape.ts";
import { DEFAULT_TOOL_CALLS, toolUseOf } from "./tool-use.ts";
import { testKey } from "./test-key.ts";

const grant = (some: Partial<Rules> = {}, budget = true): Grant =>
  grantOf(testKey({ hasBudget: budget, rules: { ...NO_RULES, ...some } }));

const shape = (some: Partial<RequestShape> = {}): RequestShape => ({
  model: "m",
  stream: false,
  outputCap: undefined,
  capNames: [],
  choices: 1,
  textBytes: 1_000,
  media: { images: 0, audioBytes: 0 },
  unbounded: undefined,
  premium: undefined,
  tools: false,
  instructed: false,
  generates: true,
  endUser: "",
  ...some,
});

const price = (perMtok: bigint) => flatPrice({ inputNanosPerMtok: perMtok, outputNanosPerMtok: perMtok }, "test");
const candidate = (some: Partial<Candidate> = {}): Candidate => ({
  provider: "a",
  model: "m",
  region: "",
  plan: samePrice(price(1_000_000_000n)),
  countsTokens: false,
  contextWindow: 100_000,
  maxOutputTokens: 8_000,
  ...some,
});

const TERMS = { outputCap: 100, atMs: 1_000 };

test("the dearest permitted candidate counts", () => {
  const cheap = candidate();
  const dear = candidate({ provider: "b", plan: samePrice(price(9_000_000_000n)) });
  const both = boundOf(shape(), TERMS, [cheap, dear], grant());
  const one = boundOf(shape(), TERMS, [cheap, dear], grant({ allowedProviders: ["a"] }));
  expect(both.costNanos).toBe(one.costNanos * 9n);
});

test("what is dearer than the list price is refused where a budget has to bound it", () => {
  const premium = shape({ premium: "service_tier" });
  expect(() => boundOf(premium, TERMS, [candidate()], grant())).toThrow(
    expect.objectContaining({ reason: "price_unknown", param: "service_tier" }),
  );
  expect(boundOf(premium, TERMS, [candidate()], grant({}, false)).costNanos).toBeGreaterThan(0n);
});

test("a price that is not known refuses a budget's request and never counts as zero", () => {
  const unpriced = candidate({ plan: samePrice(undefined) });
  expect(() => boundOf(shape(), TERMS, [unpriced], grant())).toThrow(
    expect.objectContaining({ reason: "price_unknown" }),
  );
  expect(() => boundOf(shape(), TERMS, [candidate(), unpriced], grant())).toThrow(
    expect.objectContaining({ reason: "price_unknown" }),
  );
  expect(() => boundOf(shape(), TERMS, undefined, grant())).toThrow(
    expect.objectContaining({ reason: "price_unknown" }),
  );
  expect(boundOf(shape(), TERMS, [unpriced], grant({}, false)).costNanos).toBe(0n);
});

test("what cannot be bounded costs the whole window, and is refused where that is unknown", () => {
  const unbounded = shape({ unbounded: "file id" });
  expect(boundOf(unbounded, TERMS, [candidate()], grant()).inputTokens).toBe(100_000);
  expect(() => boundOf(unbounded, TERMS, [candidate({ contextWindow: 0 })], grant())).toThrow(
    expect.objectContaining({ reason: "price_unknown" }),
  );
});

test("several answers each cost their cap", () => {
  expect(boundOf(shape({ choices: 3 }), TERMS, [candidate()], grant()).outputTokens).toBe(300);
});

test("a cap: the client's, under the rules', else the model's own, so that a bound exists", () => {
  const models = [candidate()];
  expect(effectiveOutputCap(shape({ outputCap: 50 }), grant(), models)).toBe(50);
  expect(effectiveOutputCap(shape({ outputCap: 50 }), grant({ maxOutputTokens: 20 }), models)).toBe(20);
  expect(effectiveOutputCap(shape(), grant({ maxOutputTokens: 20 }), models)).toBe(20);
  expect(effectiveOutputCap(shape(), grant(), models)).toBe(8_000);
  expect(effectiveOutputCap(shape(), grant(), undefined)).toBe(DEFAULT_OUTPUT_CAP);
  expect(effectiveOutputCap(shape(), grant({}, false), models)).toBe(0);
});

describe("tools that the provider runs", () => {
  const fees = { ...noFees, webSearchNanos: 10_000_000n, fileSearchNanos: 2_500_000n, codeSessionNanos: 30_000_000n };
  const withFees = (tools: Price["tools"]): Candidate =>
    candidate({ plan: samePrice({ ...price(1_000_000_000n), tools }) });
  const asked = (body: JsonObject, dialect: FacadeDialect = "openai-responses"): RequestShape =>
    shape({ toolUse: toolUseOf(dialect, body) });
  const plain = boundOf(shape(), TERMS, [candidate()], grant()).costNanos;
  const feesOf = (one: RequestShape, tools: Price["tools"] = fees): bigint =>
    boundOf(one, TERMS, [withFees(tools)], grant()).costNanos - plain;
  const refused = expect.objectContaining({ reason: "price_unknown", param: "tools" }) as Error;

  test("cost their fee as often as they may be called", () => {
    expect(feesOf(asked({ tools: [{ type: "web_search" }, { type: "file_search" }], max_tool_calls: 3 }))).toBe(
      30_000_000n,
    );
    expect(
      feesOf(asked({ tools: [{ type: "code_interpreter", container: { type: "auto", memory_limit: "4g" } }] })),
    ).toBe(120_000_000n);
    expect(
      feesOf(
        asked({ tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 2 }] }, "anthropic-messages"),
      ),
    ).toBe(20_000_000n);
    expect(
      feesOf(asked({ tools: [{ googleSearch: {} }] }, "gemini-generate"), { ...fees, searchesPerRequest: true }),
    ).toBe(10_000_000n);
  });

  test("get a limit of calls where the body has a place for it, and are refused where nothing limits them", () => {
    const unlimited = asked({ tools: [{ type: "web_search" }] });
    expect(toolCallCap(unlimited, grant())).toBe(DEFAULT_TOOL_CALLS);
    expect(toolCallCap(unlimited, grant({}, false))).toBe(0);
    expect(feesOf(unlimited)).toBe(BigInt(DEFAULT_TOOL_CALLS) * 10_000_000n);
    const claude = asked({ tools: [{ type: "web_search_20250305", name: "web_search" }] }, "anthropic-messages");
    expect(() => feesOf(claude)).toThrow(refused);
    expect(feesOf(claude, { ...fees, maxCalls: 4 })).toBe(40_000_000n);
    expect(() => feesOf(asked({ tools: [{ googleSearch: {} }] }, "gemini-generate"))).toThrow(refused);
  });

  test("that a chat asks for without naming one cost a search", () => {
    const searching = asked({ web_search_options: {} }, "openai-chat");
    expect(feesOf(searching)).toBe(10_000_000n);
    expect(feesOf(searching, { ...fees, previewSearchNanos: 0n })).toBe(0n);
    expect(() => feesOf(searching, noFees)).toThrow(refused);
  });

  test("are refused where their fee is unknown, and stop no key without a budget", () => {
    for (const type of ["image_generation", "quantum_annealer"]) {
      const one = asked({ tools: [{ type }], max_tool_calls: 1 });
      expect(() => feesOf(one)).toThrow(refused);
      expect(boundOf(one, TERMS, [withFees(fees)], grant({}, false))).toBeDefined();
    }
  });

  test("of the caller's own cost nothing", () => {
    const own = {
      tools: [
        { type: "function", name: "f" },
        { type: "mcp", server_url: "u" },
        { type: "custom", name: "c" },
      ],
    };
    expect(toolUseOf("openai-responses", own)).toBeUndefined();
    expect(toolUseOf("openai-chat", { web_search_options: null })).toBeUndefined();
    expect(
      toolUseOf("anthropic-messages", {
        tools: [
          { name: "f", input_schema: {} },
          { type: "bash_20250124", name: "bash" },
        ],
      }),
    ).toBeUndefined();
    expect(
      toolUseOf("gemini-generate", { tools: [{ functionDeclarations: [] }, { codeExecution: {} }] }),
    ).toBeUndefined();
    expect(toolUseOf("openai-chat", { tools: [{ type: "function", function: { name: "f" } }] })).toBeUndefined();
  });

  test("are held for models that call them by themselves", () => {
    const byItself = { ...fees, otherNanos: 0n, maxCalls: 10, byItself: true };
    expect(feesOf(shape(), byItself)).toBe(130_000_000n);
  });
});

test("the price is that of the workspace and the time", () => {
  const dated = [
    { workspace: "w", fromMs: 500, toMs: 2_000, price: price(2_000_000_000n) },
    { workspace: "", fromMs: 0, toMs: 0, price: price(4_000_000_000n) },
  ];
  const of = (workspace: string, atMs: number): bigint =>
    boundOf(shape(), { outputCap: 100, atMs }, [candidate({ plan: { always: undefined, dated } })], {
      ...grant(),
      key: testKey({ hasBudget: true, workspace }),
    }).costNanos;
  expect(of("w", 499)).toBe(of("w", 1_000) * 2n);
  expect(of("w", 2_000)).toBe(of("other", 1_000));
});

test("tokens that were counted take the place of bytes", () => {
  const counted = new Map([["a/m", { tokens: 250, textTokens: 200 }]]);
  const other = candidate({ provider: "b" });
  expect(boundOf(shape(), { ...TERMS, counted }, [candidate()], grant()).inputTokens).toBe(250 + 64);
  expect(boundOf(shape(), { ...TERMS, counted }, [candidate(), other], grant()).inputTokens).toBe(1_000 + 64);
  expect(inputTokensFor(shape(), counted, [candidate()], grant())).toBe(213);
  expect(inputTokensFor(shape(), counted, [candidate(), other], grant())).toBe(250);
});

test("where the rules leave nobody who may serve it, that is said, and not that a price is missing", () => {
  const elsewhere = grant({ deniedRegions: ["cn"] });
  const terms = { outputCap: 10, atMs: 0, counted: undefined };
  const refused = expect.objectContaining({ reason: "model_not_allowed" });
  expect(() => boundOf(shape(), terms, [candidate({ region: "" }), candidate({ region: "cn" })], elsewhere)).toThrow(
    refused,
  );
  expect(boundOf(shape(), terms, [candidate({ region: "eu" })], elsewhere).outputTokens).toBe(10);
});
