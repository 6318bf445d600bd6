import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WeirError } from "@weir/kernel";
import { flatPrice, samePrice } from "@weir/pricing";
import { candidates, type Choice } from "./candidates.ts";
import { healthy } from "./health.ts";
import { OutcomeRate } from "./outcome-rate.ts";
import { UNSEEN } from "./peak-ewma.ts";
import { type AliasConfig, ownerOf, routesOf } from "./route-table.ts";
import type { Strategy } from "./strategy.ts";
import type { Target } from "./target.ts";

const anybody: Choice = {
  draws: [0, 0],
  allowedProviders: [],
  deniedProviders: [],
  allowedRegions: [],
  deniedRegions: [],
  inputBound: 0,
  outputCap: 0,
  stream: false,
  conversation: "",
  nowMs: 0,
  returning: 0,
  canary: 0,
  healthMs: 0,
};

function targetOf(provider: string, model: string, more: Partial<Target> = {}): Target {
  return {
    provider,
    kind: provider,
    model,
    account: 0,
    region: provider === "a" ? "eu" : "us",
    price: undefined,
    plan: samePrice(undefined),
    priceBook: "",
    vocabulary: undefined,
    contextWindow: undefined,
    maxOutput: undefined,
    slowMs: undefined,
    capabilities: {},
    state: { health: healthy, inFlight: 0, outcomes: new OutcomeRate(), whole: UNSEEN, firstContent: UNSEEN },
    ...more,
  };
}

function aliasOf(name: string, strategy: Strategy, targets: [string, number][], fallbacks: string[] = []): AliasConfig {
  return {
    name,
    strategies: [strategy],
    targets: targets.map(([provider, weight]) => ({ provider, model: "m", weight })),
    fallbacks,
    rules: [],
    canary: undefined,
    cacheMs: 0,
    price: undefined,
    contextWindow: undefined,
    maxOutput: undefined,
  };
}

const tableOf = (...aliases: AliasConfig[]) =>
  routesOf(new Map(aliases.map((alias) => [alias.name, alias])), (provider, model) => [targetOf(provider, model)]);

const routeOf = (name: string, ...aliases: AliasConfig[]) => {
  const route = tableOf(...aliases).get(name);
  if (route === undefined) throw new Error(`no route ${name}`);
  return route;
};

const names = (targets: readonly Target[]): string => targets.map(({ provider }) => provider).join("");

describe("the order of candidates", () => {
  it("is that of the configuration by default, fallbacks last", () => {
    const fast = aliasOf(
      "fast",
      "priority",
      [
        ["a", 1],
        ["b", 1],
      ],
      ["slow"],
    );
    expect(names(candidates(routeOf("fast", fast, aliasOf("slow", "priority", [["c", 1]])), 0, anybody))).toBe("abc");
  });

  it("passes over aliases that were there already, so that cycles end", () => {
    const x = aliasOf("x", "priority", [["a", 1]], ["y", "z"]);
    const y = aliasOf("y", "priority", [["b", 1]], ["x", "z", "nobody"]);
    const z = aliasOf("z", "priority", [["c", 1]], ["z", "y"]);
    expect(names(candidates(routeOf("x", x, y, z), 0, anybody))).toBe("abc");
    expect(names(candidates(routeOf("z", x, y, z), 0, anybody))).toBe("cba");
  });

  it("turns by one with each call, round robin", () => {
    const route = routeOf(
      "r",
      aliasOf("r", "round-robin", [
        ["a", 1],
        ["b", 1],
        ["c", 1],
      ]),
    );
    expect([0, 1, 2, 3].map((turn) => names(candidates(route, turn, anybody)))).toEqual(["abc", "bca", "cab", "abc"]);
  });

  it("follows the weights, in the first place and in those after it", () => {
    const route = routeOf(
      "w",
      aliasOf("w", "weighted", [
        ["a", 70],
        ["b", 20],
        ["c", 10],
        ["d", 0],
      ]),
    );
    const counts = new Map<string, number>();
    const draws = 20_000;
    for (let index = 0; index < draws; index += 1) {
      const order = names(candidates(route, 0, { ...anybody, draws: [(index + 0.5) / draws, 0] }));
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    const share = (order: string): number => (counts.get(order) ?? 0) / draws;
    expect(share("abcd")).toBeCloseTo(0.7 * (2 / 3), 2);
    expect(share("acbd")).toBeCloseTo(0.7 * (1 / 3), 2);
    expect(share("cabd")).toBeCloseTo(0.1 * (7 / 9), 2);
    expect([...counts.keys()].every((order) => order.endsWith("d"))).toBe(true);
  });

  it("is a permutation, whatever the draw and the weights", () => {
    const weights = fc.array(fc.nat(5), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(weights, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (list, draw) => {
        const route = routeOf(
          "w",
          aliasOf(
            "w",
            "weighted",
            list.map((weight, index) => [`${index}`, weight]),
          ),
        );
        const order = candidates(route, 0, { ...anybody, draws: [draw, 0] });
        expect(new Set(order).size).toBe(list.length);
      }),
    );
  });

  it("puts the cheapest first and unknown prices last", () => {
    const prices = new Map([
      ["a", undefined],
      ["b", 9_000_000n],
      ["c", 2_000_000n],
    ]);
    const alias = aliasOf("p", "cost", [
      ["a", 1],
      ["b", 1],
      ["c", 1],
    ]);
    const routes = routesOf(new Map([["p", alias]]), (provider, model) => {
      const rate = prices.get(provider);
      return [
        targetOf(provider, model, {
          price: rate === undefined ? undefined : flatPrice({ inputNanosPerMtok: rate }, "test"),
        }),
      ];
    });
    const route = routes.get("p");
    expect(route === undefined ? "" : names(candidates(route, 0, anybody))).toBe("cba");
  });

  it("puts the least busy, or those that the input fits into first", () => {
    const state = (inFlight: number) => ({
      health: healthy,
      inFlight,
      outcomes: new OutcomeRate(),
      whole: UNSEEN,
      firstContent: UNSEEN,
    });
    const made: Record<string, Target> = {
      a: targetOf("a", "m", { state: state(3), contextWindow: 1000 }),
      b: targetOf("b", "m", { state: state(1), contextWindow: 9000 }),
      c: targetOf("c", "m", { state: state(2) }),
    };
    const by = (strategy: Strategy, choice = anybody): string => {
      const alias = aliasOf("s", strategy, [
        ["a", 1],
        ["b", 1],
        ["c", 1],
      ]);
      const route = routesOf(new Map([["s", alias]]), (provider) => [made[provider] ?? targetOf(provider, "m")]).get(
        "s",
      );
      return route === undefined ? "" : names(candidates(route, 0, choice));
    };
    expect(by("least-busy")).toBe("bca");
    expect(by("capability", { ...anybody, inputBound: 5000 })).toBe("bca");
  });
});

describe("who may serve", () => {
  const route = routeOf(
    "m",
    aliasOf("m", "priority", [
      ["a", 1],
      ["b", 1],
    ]),
  );

  it("is limited by provider and region", () => {
    expect(names(candidates(route, 0, { ...anybody, allowedProviders: ["b"] }))).toBe("b");
    expect(names(candidates(route, 0, { ...anybody, allowedRegions: ["eu"] }))).toBe("a");
    expect(names(candidates(route, 0, { ...anybody, deniedProviders: ["a*"] }))).toBe("b");
    expect(names(candidates(route, 0, { ...anybody, deniedRegions: ["eu"] }))).toBe("b");
  });

  it("is an error when it is nobody", () => {
    const nobody = () => candidates(route, 0, { ...anybody, allowedProviders: ["b"], allowedRegions: ["eu"] });
    expect(nobody).toThrow(expect.objectContaining({ reason: "model_not_allowed" }));
  });
});

describe("a name that is no alias", () => {
  const providers = [
    { name: "main", kind: "openai" },
    { name: "claude", kind: "anthropic" },
    { name: "local", kind: "openai-compatible" },
    { name: "echo", kind: "echo" },
  ];

  it("belongs to the provider it names", () => {
    expect(ownerOf("local/llama-3.3/70b", providers)).toEqual({ provider: "local", model: "llama-3.3/70b" });
  });

  it("belongs to its maker by how it begins", () => {
    expect(ownerOf("gpt-4o-mini", providers).provider).toBe("main");
    expect(ownerOf("o3-mini", providers).provider).toBe("main");
    expect(ownerOf("text-embedding-3-small", providers).provider).toBe("main");
    expect(ownerOf("claude-haiku-4-5", providers).provider).toBe("claude");
  });

  it("is echo's only when asked for by name, or when there is nobody else", () => {
    expect(ownerOf("echo", providers)).toEqual({ provider: "echo", model: "echo" });
    expect(ownerOf("whatever", [{ name: "echo", kind: "echo" }])).toEqual({ provider: "echo", model: "whatever" });
    expect(() => ownerOf("whatever", providers)).toThrow(WeirError);
    expect(() => ownerOf("gemini-2.5-pro", providers)).toThrow(expect.objectContaining({ reason: "model_not_found" }));
    expect(() => ownerOf("local/", providers)).toThrow(WeirError);
  });
});
