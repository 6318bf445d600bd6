/** The thread that ships this ingress's spool to NATS and forgets what the audit service confirms. Ends when it is told to. */
import { parentPort } from "node:worker_threads";
import { openConfig } from "@weir/config";
import { audit } from "@weir/contracts";
import { remoteSecrets } from "@weir/credentials";
import { jetStreamBus, producerKey, startRelay, watchRelay } from "@weir/events";
import { networkPeers } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { peerAddresses } from "./config.ts";
import type { RelayState } from "./relay-thread.ts";
import { spoolDirectory } from "./spool-directory.ts";

/** What is not shipped by then is on disk, and shipped by the next start. */
const LAST_CHANCE_MS = 3_000;

const { config } = await openConfig(process.env, { providerSecrets: false, fetchSecrets: remoteSecrets(process.env) });
if (config.natsUrl === undefined) throw new Error("ingress needs NATS to ship its records: set WEIR_NATS_URL");

const telemetry = createTelemetry({
  service: "weir-ingress",
  level: config.log.level,
  env: {},
  processMetrics: false,
});
const peers = networkPeers({ addresses: peerAddresses(config), token: config.meshToken });
const log = peers.client(audit.ProducerService);
const bus = jetStreamBus({ url: config.natsUrl.reveal() });
const directory = spoolDirectory(config.dataDir);
const relay = startRelay({
  directory,
  key: producerKey(directory),
  bus,
  watermarks: async (producers) => {
    const { marks } = await log.getWatermarks({ producers }, { timeoutMs: 5_000 });
    return marks.map(({ producer, contiguous }) => ({ producer, contiguous: Number(contiguous) }));
  },
});

// Records wait on disk meanwhile.
const watch = watchRelay(relay, ({ error, ...waiting }) => {
  if (error === undefined) telemetry.log.info(waiting, "records are shipped again");
  else telemetry.log.warn({ err: error, ...waiting }, "records are not shipped; they wait in the spool");
});

const TELL_EVERY_MS = 1_000;
const telling = setInterval(() => {
  const state: RelayState = { lagBytes: relay.lagBytes, unconfirmed: relay.unconfirmed };
  parentPort?.postMessage(state);
}, TELL_EVERY_MS);

async function stop(): Promise<void> {
  clearInterval(telling);
  await relay.flush(LAST_CHANCE_MS);
  watch[Symbol.dispose]();
  await relay[Symbol.asyncDispose]();
  await bus[Symbol.asyncDispose]();
  await peers[Symbol.asyncDispose]();
  await telemetry[Symbol.asyncDispose]();
  parentPort?.close();
}

parentPort?.once("message", () => {
  stop().catch((error: unknown) => {
    throw error;
  });
});
