import { createTelemetry } from "@weir/telemetry";
import { expect, test } from "vitest";
import { startRelayThread } from "./relay-thread.ts";

const threadOf = (code: string): URL => new URL(`data:text/javascript,${encodeURIComponent(code)}`);
const telemetryOf = () => {
  const lines: string[] = [];
  const telemetry = createTelemetry({
    service: "test",
    level: "info",
    env: {},
    processMetrics: false,
    destination: { write: (line) => void lines.push(line) },
  });
  return { telemetry, lines };
};

test("a thread that does not end when it is told to is ended", async () => {
  const { telemetry, lines } = telemetryOf();
  const thread = startRelayThread(telemetry, threadOf("setInterval(() => {}, 1000)"), 200);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await thread[Symbol.asyncDispose]();
  expect(lines.join("")).toContain("did not end in time");
});

test("a thread that ends by itself is not waited for longer; what it told is measured", async () => {
  const { telemetry, lines } = telemetryOf();
  const code = `
    import { parentPort } from "node:worker_threads";
    parentPort.postMessage({ lagBytes: 7, unconfirmed: 3 });
    parentPort.once("message", () => parentPort.close());`;
  const thread = startRelayThread(telemetry, threadOf(code), 60_000);
  const shown = async (): Promise<string> => await telemetry.renderMetrics();
  await expect.poll(shown).toMatch(/weir_relay_lag_bytes\S* 7/);
  expect(await shown()).toMatch(/weir_relay_unconfirmed\S* 3/);
  await thread[Symbol.asyncDispose]();
  expect(lines).toEqual([]);
});

test("a thread that dies is started again", async () => {
  const { telemetry, lines } = telemetryOf();
  const thread = startRelayThread(telemetry, threadOf(`throw new Error("dead")`), 200);
  await expect.poll(() => lines.filter((line) => line.includes("dead")).length, { timeout: 10_000 }).toBe(2);
  await thread[Symbol.asyncDispose]();
});
