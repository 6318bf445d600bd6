import { expect, test } from "vitest";
import { InFlight } from "./in-flight.ts";

test("waits for the last request, and not for ever", async () => {
  const inFlight = new InFlight();
  await inFlight.none(60_000);
  inFlight.begin();
  inFlight.begin();
  let none = false;
  const waiting = inFlight.none(60_000).then(() => (none = true));
  inFlight.end();
  await Promise.resolve();
  expect(none).toBe(false);
  inFlight.end();
  await waiting;
  inFlight.begin();
  await inFlight.none(1);
});
