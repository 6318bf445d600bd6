import { expect, test } from "vitest";
import { grantOf } from "../domain/grant.ts";
import { testKey } from "../domain/test-key.ts";
import { InFlight } from "./in-flight.ts";
import { newTrail, type Trail } from "./trail.ts";

function running(inFlight: InFlight, keyId?: string): { readonly trail: Trail; readonly gone: AbortController } {
  const one = { trail: newTrail("r", "POST /", 0), gone: new AbortController() };
  if (keyId !== undefined) one.trail.grant = grantOf(testKey({ id: keyId }));
  inFlight.begin(one.trail, one.gone);
  return one;
}

test("waits for the last request, and not for ever", async () => {
  const inFlight = new InFlight();
  await inFlight.none(60_000);
  const [first, second] = [running(inFlight), running(inFlight)];
  let none = false;
  const waiting = inFlight.none(60_000).then(() => (none = true));
  inFlight.end(first.trail);
  await Promise.resolve();
  expect(none).toBe(false);
  inFlight.end(second.trail);
  await waiting;
  running(inFlight);
  await inFlight.none(1);
});

test("ends the requests of keys that were revoked with them, and no others", () => {
  const inFlight = new InFlight();
  const [stranger, kept, first, second, over] = [
    running(inFlight),
    running(inFlight, "kept"),
    running(inFlight, "revoked"),
    running(inFlight, "revoked"),
    running(inFlight, "revoked"),
  ];
  inFlight.end(over.trail);
  inFlight.endThoseOf(new Set(["revoked", "unheard of"]));
  expect([stranger, kept, first, second, over].map(({ gone }) => gone.signal.aborted)).toEqual([
    false,
    false,
    true,
    true,
    false,
  ]);
  expect(first.gone.signal.reason).toMatchObject({ reason: "key_revoked", status: 401 });
});
