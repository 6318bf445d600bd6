import { setImmediate as turn } from "node:timers/promises";
import { NO_RULES } from "@weir/rules";
import { expect, it } from "vitest";
import type { Candidate } from "../domain/bound.ts";
import { grantOf } from "../domain/grant.ts";
import { testKey } from "../domain/test-key.ts";
import { InFlight } from "./in-flight.ts";
import type { Open, Opened } from "./open.ts";
import { type ShadowEnd, type ShadowPorts, Shadows } from "./shadows.ts";
import { incoming } from "./test-ports.ts";
import { type Incoming, newTrail } from "./trail.ts";

const payer = grantOf(testKey({ id: "payer", workspaceId: "w-payer" }));
const SHADOW = { provider: "p", model: "pm", share: 0.5, maxConcurrent: 2, keyId: "payer" };

function shadowing(some: Partial<ShadowPorts<never, never>> = {}) {
  const copies: Incoming<never>[] = [];
  const signals: AbortSignal[] = [];
  const ends: (readonly [string, ShadowEnd])[] = [];
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  let id = 0;
  const inFlight = new InFlight();
  const run: ShadowPorts<never, never>["complete"] = async (copy, trail, signal) => {
    copies.push(copy);
    signals.push(signal);
    await released;
    trail.outcome = "succeeded";
    return { kind: "none" };
  };
  const shadows = new Shadows<never, never>({
    models: {
      shadow: (model) => (model === "m" ? SHADOW : undefined),
      candidates: () => undefined,
      find: () => Promise.resolve([{ provider: "p", region: "eu" } as Candidate]),
    },
    keys: { byId: (asked) => (asked === "payer" ? payer : undefined), freshness: () => "live" },
    clock: { nowMs: () => 1_700_000_000_000, monotonicMs: () => 0 },
    random: () => 0,
    newRequestId: () => `copy-${++id}`,
    hasRoom: () => true,
    inFlight,
    complete: run,
    embed: run,
    stream: async (copy, trail, _sink, signal) => void (await run(copy, trail, signal)),
    ended: (model, end) => void ends.push([model, end]),
    defect: (error) => {
      throw error;
    },
    ...some,
  });
  const open = (asked: Incoming<never>): Opened<never> =>
    ({
      grant: asked.grant,
      inputBytes: Buffer.from("redacted"),
      subject: { workspaceId: asked.grant.key.workspaceId, endUser: "", keyId: asked.grant.key.id, redacted: false },
      shape: asked.shape,
      intent: { tags: {} },
      call: { model: asked.shape.model, input: { dialect: "openai-chat", body: Buffer.from("redacted") } },
    }) as unknown as Opened<never>;
  const around = shadows.around(((asked: Incoming<never>) => Promise.resolve(open(asked))) as unknown as Open, "chat");
  const ask = async (asked = incoming()): Promise<void> => {
    await around(asked, newTrail(asked.requestId, asked.route, 0), new AbortController().signal);
  };
  return { shadows, ask, copies, signals, ends, release, inFlight };
}

const settled = async (): Promise<void> => {
  for (let tick = 0; tick < 5; tick++) await turn();
};

it("copies what guardrails let through, as a request of its own that waits for nobody", async () => {
  const { ask, copies, ends, release } = shadowing();
  await ask({ ...incoming(), idempotencyKey: "once", clientRequestId: "theirs", runId: "run" });
  // The request that is copied was let in before.
  expect(copies).toEqual([]);
  await settled();
  const [copy] = copies;
  expect(copy).toMatchObject({
    requestId: "copy-1",
    shadowOf: "r",
    shape: { model: "p/pm" },
    idempotencyKey: "",
    clientRequestId: "",
    runId: "",
    waiting: { maxWaitMs: 0 },
  });
  expect(Buffer.from(copy?.inputBytes ?? []).toString()).toBe("redacted");
  expect(copy?.grant.key.id).toBe("payer");
  // Its texts are erased with those of the request.
  const { key } = incoming().grant;
  expect(copy?.subject).toMatchObject({ workspaceId: key.workspaceId, keyId: key.id });
  expect(ends).toEqual([]);
  release();
  await settled();
  expect(ends).toEqual([["m", "succeeded"]]);
});

it("lets the request that is copied go on where making the copy fails", async () => {
  const defects: unknown[] = [];
  const failure = new Error("no id");
  const { ask, copies } = shadowing({
    newRequestId: () => {
      throw failure;
    },
    defect: (error, requestId) => void defects.push([error, requestId]),
  });
  await ask();
  await settled();
  expect(copies).toEqual([]);
  expect(defects).toEqual([[failure, "r"]]);
});

it("copies its share, and no request of a model without a shadow", async () => {
  let draw = 0;
  const { ask, copies } = shadowing({ random: () => (draw += 0.25) });
  for (let request = 0; request < 3; request++) await ask();
  const other = incoming();
  await ask({ ...other, shape: { ...other.shape, model: "other" } });
  await settled();
  expect(copies).toHaveLength(1);
});

it("runs no more than it may at a time: what comes meanwhile is dropped and counted", async () => {
  const { ask, copies, ends, release } = shadowing();
  for (let request = 0; request < 4; request++) await ask();
  await settled();
  expect(copies).toHaveLength(2);
  expect(ends).toEqual([
    ["m", "dropped"],
    ["m", "dropped"],
  ]);
  release();
  await settled();
  await ask();
  await settled();
  expect(copies).toHaveLength(3);
});

it.each<[ShadowEnd, Partial<ShadowPorts<never, never>>]>([
  ["dropped", { hasRoom: () => false }],
  ["no_key", { keys: { byId: () => undefined, freshness: () => "live" } }],
  ["no_key", { keys: { byId: () => payer, freshness: () => "expired" } }],
  ["no_key", { keys: { byId: () => grantOf({ ...payer.key, expiresAtMs: 1 }), freshness: () => "live" } }],
])("says %s where no copy can be made", async (end, ports) => {
  const { ask, copies, ends } = shadowing(ports);
  await ask();
  await settled();
  expect(ends).toEqual([["m", end]]);
  expect(copies).toEqual([]);
});

it("goes nowhere where the caller's own requests may not go", async () => {
  const { ask, copies, ends } = shadowing();
  await ask(incoming({ rules: { ...NO_RULES, allowedRegions: ["us"] } }));
  await settled();
  expect(ends).toEqual([["m", "not_permitted"]]);
  expect(copies).toEqual([]);
});

it("ends its copies and makes no more when the instance stops", async () => {
  const { shadows, ask, copies, signals, inFlight, release } = shadowing();
  await ask();
  await settled();
  shadows.close();
  expect(signals[0]?.aborted).toBe(true);
  await ask();
  release();
  await inFlight.none(10_000);
  expect(copies).toHaveLength(1);
});
