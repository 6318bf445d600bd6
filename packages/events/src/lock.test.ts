import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scratch } from "../test/support.ts";
import { tryLock } from "./lock.ts";

describe("the lock on a folder", () => {
  it("is held by one, and free when that one lets go", async () => {
    const folder = scratch();
    const first = await tryLock(folder);
    expect(first).toBeDefined();
    expect(await tryLock(folder)).toBeUndefined();
    first?.release();
    const second = await tryLock(folder);
    expect(second).toBeDefined();
    second?.release();
  });

  it("goes to one of many who find it free at once, over and over", async () => {
    const folder = scratch();
    for (let round = 0; round < 20; round += 1) {
      const taken = (await Promise.all(Array.from({ length: 16 }, () => tryLock(folder)))).filter(
        (lock) => lock !== undefined,
      );
      expect(taken).toHaveLength(1);
      taken[0]?.release();
    }
  });

  it("works where the path is longer than a socket's address may be", async () => {
    const folder = join(scratch(), "long".repeat(30), "long".repeat(30));
    mkdirSync(folder, { recursive: true });
    const held = await tryLock(folder);
    expect(held).toBeDefined();
    expect(await tryLock(folder)).toBeUndefined();
    held?.release();
  });

  it("is taken away by the kernel when its process is killed", async () => {
    const folder = scratch();
    const script = `import { tryLock } from ${JSON.stringify(join(import.meta.dirname, "lock.ts"))};
      console.log((await tryLock(process.argv[1])) === undefined ? "no" : "held"); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script, folder]);
    const said = await new Promise<string>((resolve) =>
      child.stdout.once("data", (data: Buffer) => resolve(String(data))),
    );
    expect(said.trim()).toBe("held");
    expect(await tryLock(folder)).toBeUndefined();
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    const held = await tryLock(folder);
    expect(held).toBeDefined();
    held?.release();
  });
});
