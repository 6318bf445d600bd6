import { expect, test } from "vitest";
import { retryWhileAway } from "./retry.ts";

const away = Object.assign(new Error("away"), { code: "ECONNREFUSED" });

test("tries until the store is there, gives up at once for what is no outage, and ends by its signal", async () => {
  const stopping = new AbortController();
  let told = 0;
  const options = { signal: stopping.signal, onAway: () => void told++, longestWaitMs: 1 };
  let failures = 3;
  const task = (): Promise<string> => (failures-- > 0 ? Promise.reject(away) : Promise.resolve("done"));
  expect(await retryWhileAway(task, options)).toBe("done");
  expect(told).toBe(3);
  await expect(retryWhileAway(() => Promise.reject(new TypeError("wrong")), options)).rejects.toThrow("wrong");
  const waiting = retryWhileAway(() => Promise.reject(away), options);
  stopping.abort(new Error("the end"));
  await expect(waiting).rejects.toThrow();
});
