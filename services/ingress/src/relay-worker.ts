/** The thread that ships this ingress's spool to NATS and forgets what the audit service confirms. Ends when it is told to. */
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort } from "node:worker_threads";
import { loadConfig } from "@weir/config";
import { audit } from "@weir/contracts";
import { jetStreamBus, startRelay } from "@weir/events";
import { networkPeers } from "@weir/mesh";
import { peerAddresses } from "./config.ts";
import { spoolDirectory } from "./spool-directory.ts";

/** What is not shipped by then is on disk, and shipped by the next start. */
const LAST_CHANCE_MS = 3_000;

const config = loadConfig(process.env, { providerSecrets: false });
if (config.natsUrl === undefined) throw new Error("ingress needs NATS to ship its records: set WEIR_NATS_URL");

const peers = networkPeers({ addresses: peerAddresses(config), token: config.meshToken });
const log = peers.client(audit.AuditService);
const bus = jetStreamBus({ url: config.natsUrl.reveal() });
const relay = startRelay({
  directory: spoolDirectory(config.dataDir),
  bus,
  watermarks: async (producers) => {
    const { marks } = await log.watermark({ producers }, { timeoutMs: 5_000 });
    return marks.map(({ producer, contiguous }) => ({ producer, contiguous: Number(contiguous) }));
  },
});

async function stop(): Promise<void> {
  for (const end = Date.now() + LAST_CHANCE_MS; relay.lagBytes > 0 && Date.now() < end; await sleep(20)) relay.nudge();
  await relay[Symbol.asyncDispose]();
  await bus[Symbol.asyncDispose]();
  await peers[Symbol.asyncDispose]();
  parentPort?.close();
}

parentPort?.once("message", () => {
  stop().catch((error: unknown) => {
    throw error;
  });
});
