import { setTimeout as sleep } from "node:timers/promises";
import { policy, router } from "@weir/contracts";
import { type Route, serveRoutes } from "../src/index.ts";

/** A process that serves until it is killed: `replica-server.ts <its name> [port] [host]`. Called "slow" it takes a second for each answer. */
const name = process.argv[2] ?? "";
const pause = (): Promise<void> => sleep(name === "slow" ? 1_000 : 0);
let ready = true;
process.on("message", (message) => {
  ready = message === "ready";
});

const routes = [
  {
    service: policy.PolicyService,
    implementation: {
      async settleBatch() {
        await pause();
        return {};
      },
    },
  },
  {
    service: router.RouterService,
    implementation: {
      listModels: () => ({ version: name }),
      async complete() {
        await pause();
        return { result: { dropped: [name] } };
      },
      async *streamComplete() {
        for (let index = 0; index < 3; index++) yield { message: { case: "frame", value: Buffer.from("x") } };
      },
    },
  },
] as unknown as Route[];

const server = await serveRoutes(routes, {
  listen: { host: process.argv[4] ?? "127.0.0.1", port: Number(process.argv[3] ?? 0) },
  health: { notReady: () => (ready ? undefined : "told so") },
});
process.send?.(server.port);
