/** The thread that ships this ingress's spool to NATS and forgets what the audit service confirms. */
import { loadConfig } from "@weir/config";
import { audit } from "@weir/contracts";
import { jetStreamBus, startRelay } from "@weir/events";
import { networkPeers } from "@weir/mesh";
import { peerAddresses } from "./config.ts";
import { spoolDirectory } from "./service.ts";

const config = loadConfig(process.env);
if (config.natsUrl === undefined) throw new Error("ingress needs NATS to ship its records: set WEIR_NATS_URL");

const log = networkPeers({ addresses: peerAddresses(config), token: config.meshToken }).client(audit.AuditService);
startRelay({
  directory: spoolDirectory(config.dataDir),
  bus: jetStreamBus({ url: config.natsUrl.reveal() }),
  watermarks: async (producers) => {
    const { marks } = await log.watermark({ producers }, { timeoutMs: 5_000 });
    return marks.map(({ producer, contiguous }) => ({ producer, contiguous: Number(contiguous) }));
  },
});
