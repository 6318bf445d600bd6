import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { leaving } from "./leaving.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function left(answer: () => Promise<boolean>) {
  const client = new AbortController();
  const asked: number[] = [];
  const stream = leaving(client.signal, (timeoutMs) => {
    asked.push(timeoutMs);
    return answer();
  });
  return { client, asked, stream };
}

test("a stream is ended where it runs, and has time to tell its account", async () => {
  const { client, asked, stream } = left(() => Promise.resolve(true));
  expect(asked).toEqual([]);
  client.abort("gone");
  await vi.advanceTimersByTimeAsync(1_900);
  expect(asked).toHaveLength(1);
  expect(stream.signal.aborted).toBe(false);
  stream.done();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(stream.signal.aborted).toBe(false);
});

test("it is cut where it tells nothing for too long", async () => {
  const { client, stream } = left(() => Promise.resolve(true));
  client.abort("gone");
  await vi.advanceTimersByTimeAsync(2_100);
  expect(stream.signal.aborted).toBe(true);
  expect(stream.signal.reason).toBe("gone");
});

test.each([
  ["it does not run there", () => Promise.resolve(false)],
  ["nobody can be asked", () => Promise.reject(new Error("away"))],
])("it is cut at once where %s", async (_why, answer) => {
  const { client, stream } = left(answer);
  client.abort("gone");
  await vi.advanceTimersByTimeAsync(0);
  expect(stream.signal.aborted).toBe(true);
});

test("it is cut within its time where nobody answers", async () => {
  const { client, stream } = left(() => new Promise(() => undefined));
  client.abort("gone");
  await vi.advanceTimersByTimeAsync(101);
  expect(stream.signal.aborted).toBe(true);
});

test("nothing is asked of a stream that is over", async () => {
  const { client, asked, stream } = left(() => Promise.resolve(true));
  stream.done();
  client.abort("gone");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(asked).toEqual([]);
  expect(stream.signal.aborted).toBe(false);
});
