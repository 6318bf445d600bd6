import { startRedis } from "@weir/testkit";
import { expect, test } from "vitest";
import { isUnavailable, openRedis } from "../src/index.ts";

test("commands fail at once while Redis is away, in time while it hangs, and work again by themselves", async () => {
  await using server = await startRedis();
  const errors: Error[] = [];
  const redis = openRedis(server.url, {
    connectionName: "test",
    commandTimeoutMs: 100,
    onError: (error) => errors.push(error),
  });
  const failure = (): Promise<unknown> =>
    redis.get("a").then(
      () => undefined,
      (error: unknown) => error,
    );
  const works = (): Promise<boolean> =>
    redis.set("a", "1").then(
      () => true,
      () => false,
    );
  try {
    await expect.poll(works, { timeout: 10_000 }).toBe(true);

    await server.pause();
    const beforeMs = performance.now();
    expect(isUnavailable(await failure())).toBe(true);
    expect(performance.now() - beforeMs).toBeLessThan(2_000);
    await server.resume();
    await expect.poll(works, { timeout: 15_000 }).toBe(true);

    await server.kill();
    await expect.poll(() => redis.status, { timeout: 10_000 }).not.toBe("ready");
    expect((await Promise.all(Array.from({ length: 100 }, failure))).every(isUnavailable)).toBe(true);
    await expect.poll(() => errors.length, { timeout: 10_000 }).toBeGreaterThan(0);
    await server.restart();
    await expect.poll(works, { timeout: 15_000 }).toBe(true);
  } finally {
    redis.disconnect();
  }
});
