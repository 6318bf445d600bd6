import { bootWeir } from "@weir/testkit";
import { expect, test } from "vitest";

const pidOf = (output: string, service: string): number =>
  Number(new RegExp(`${service} pid (\\d+)`).exec(output)?.[1]);
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const SERVICES = ["audit", "evaluation", "policy", "router", "ingress"];

test("`pnpm mesh` drains at a signal and leaves nothing behind", { timeout: 120_000 }, async () => {
  await using weir = await bootWeir("mesh");
  const pids = SERVICES.map((service) => pidOf(weir.output(), service));
  expect(pids.every(isAlive)).toBe(true);
  expect(await weir.stop()).toBe(0);
  expect(pids.filter(isAlive)).toEqual([]);
});

test("when a service dies, the others are stopped and the exit code says so", { timeout: 120_000 }, async () => {
  await using weir = await bootWeir("mesh");
  const pids = SERVICES.map((service) => pidOf(weir.output(), service));
  process.kill(pidOf(weir.output(), "router"), "SIGKILL");
  await expect
    .poll(() => weir.output(), { timeout: 30_000 })
    .toMatch(/router \(pid \d+\) ended with a signal; stopping the others/);
  await expect.poll(() => pids.filter(isAlive), { timeout: 60_000 }).toEqual([]);
  expect(await weir.stop()).toBe(1);
});

test("when `pnpm mesh` itself is killed, its services end with it", { timeout: 120_000 }, async () => {
  await using weir = await bootWeir("mesh");
  const pids = SERVICES.map((service) => pidOf(weir.output(), service));
  process.kill(weir.pid, "SIGKILL");
  await expect.poll(() => pids.filter(isAlive), { timeout: 20_000 }).toEqual([]);
});
