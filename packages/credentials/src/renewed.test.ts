import { describe, expect, it } from "vitest";
import { Renewed } from "./renewed.ts";

function rig(lifeMs = 3_600_000) {
  let nowMs = 1_000_000;
  let made = 0;
  const failing: { error: Error | undefined } = { error: undefined };
  const renewed = new Renewed(
    async () => {
      if (failing.error !== undefined) throw failing.error;
      made += 1;
      return { value: `token-${made}`, expiresAtMs: nowMs + lifeMs };
    },
    () => nowMs,
  );
  const settle = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { renewed, failing, settle, advance: (ms: number) => (nowMs += ms), made: () => made };
}

describe("a renewed token", () => {
  it("is fetched once, however many wait for it, and is then at hand", async () => {
    const { renewed, made } = rig();
    expect(await Promise.all([renewed.get(), renewed.get(), renewed.get()])).toEqual(["token-1", "token-1", "token-1"]);
    expect(renewed.get()).toBe("token-1");
    expect(made()).toBe(1);
  });

  it("is renewed before it expires, and nobody waits for that", async () => {
    const { renewed, advance, settle } = rig();
    await renewed.get();
    advance(3_600_000 - 5 * 60_000 - 1);
    expect(renewed.get()).toBe("token-1");
    await settle();
    expect(renewed.get()).toBe("token-1");
    advance(1);
    expect(renewed.get()).toBe("token-1");
    await settle();
    expect(renewed.get()).toBe("token-2");
  });

  it("of a short life is renewed in the last fifth of it", async () => {
    const { renewed, advance, settle, made } = rig(60_000);
    await renewed.get();
    advance(47_999);
    void renewed.get();
    await settle();
    expect(made()).toBe(1);
    advance(1);
    void renewed.get();
    await settle();
    expect(made()).toBe(2);
  });

  it("without a date that can be read is good for minutes only", async () => {
    const { renewed, advance } = rig(Number.NaN);
    await renewed.get();
    expect(renewed.get()).toBe("token-1");
    advance(5 * 60_000);
    expect(await renewed.get()).toBe("token-2");
  });

  it("that cannot be renewed serves until it expires, asked for again now and then", async () => {
    const { renewed, failing, advance, settle } = rig();
    await renewed.get();
    failing.error = new Error("away");
    advance(3_400_000);
    expect(renewed.get()).toBe("token-1");
    await settle();
    failing.error = undefined;
    expect(renewed.get()).toBe("token-1");
    await settle();
    expect(renewed.get()).toBe("token-1");
    advance(10_000);
    void renewed.get();
    await settle();
    expect(renewed.get()).toBe("token-2");
  });

  it("that expired, or was refused, fails those who wait, and the next try is a new one", async () => {
    const { renewed, failing, advance } = rig();
    failing.error = new Error("away");
    await expect(Promise.resolve(renewed.get())).rejects.toThrow("away");
    failing.error = undefined;
    expect(await renewed.get()).toBe("token-1");
    renewed.drop();
    expect(renewed.get()).toBe("token-1");
    advance(10_000);
    renewed.drop();
    expect(await renewed.get()).toBe("token-2");
    advance(3_600_000);
    expect(await renewed.get()).toBe("token-3");
  });
});
