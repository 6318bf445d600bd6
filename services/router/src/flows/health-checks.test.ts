import { systemClock } from "@weir/kernel";
import { expect, it } from "vitest";
import { availability, failed, healthy } from "../domain/health.ts";
import type { HealthCheck, RoutedTarget, RouterEvents } from "../ports.ts";
import { healthChecker } from "./health-checks.ts";

const silent: RouterEvents = {
  attempted: () => undefined,
  hedged: () => undefined,
  queued: () => undefined,
  breaker: () => undefined,
};
const INTERVAL_MS = 1_000;

function checked(answers: readonly boolean[]) {
  let nowMs = 1_000_000;
  const clock = { ...systemClock, nowMs: () => nowMs };
  const left = [...answers];
  const check: HealthCheck = {
    provider: "one",
    intervalMs: INTERVAL_MS,
    passes: async () => left.shift() ?? true,
    async [Symbol.asyncDispose]() {},
  };
  const of = (provider: string) => ({ provider, state: { health: healthy } }) as unknown as RoutedTarget;
  const targets = [of("one"), of("one"), of("two")];
  const run = healthChecker({ clock, shared: undefined, events: silent, targets: () => targets }, check);
  return {
    targets,
    now: () => nowMs,
    next: async (): Promise<string[]> => {
      await run();
      const states = targets.map(({ state }) => {
        const state_ = availability(state.health, nowMs);
        return typeof state_ === "string" ? state_ : "open";
      });
      nowMs += INTERVAL_MS;
      return states;
    },
  };
}

it("one failure is none, two in a row open the breakers of the provider's targets and no others", async () => {
  const { next } = checked([false, true, false, false, false, true]);
  expect(await next()).toEqual(["ready", "ready", "ready"]);
  expect(await next()).toEqual(["ready", "ready", "ready"]);
  expect(await next()).toEqual(["ready", "ready", "ready"]);
  expect(await next()).toEqual(["open", "open", "ready"]);
  expect(await next()).toEqual(["open", "open", "ready"]);
  expect(await next()).toEqual(["probe", "probe", "ready"]);
});

it("a success lets what requests found broken be probed early, and is no proof that it is well", async () => {
  const { next, targets, now } = checked([true]);
  const [target] = targets;
  if (target === undefined) throw new Error("no target");
  for (let failure = 0; failure < 5; failure++)
    target.state.health = failed(target.state.health, "provider_error", undefined, now());
  expect(availability(target.state.health, now())).toMatchObject({ waitMs: 5_000 });
  expect(await next()).toEqual(["probe", "ready", "ready"]);
  target.state.health = failed({ ...target.state.health, probing: true }, "provider_error", undefined, now());
  expect(availability(target.state.health, now())).toMatchObject({ waitMs: 10_000 });
});
