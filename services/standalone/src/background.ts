import { parentPort, workerData } from "node:worker_threads";
import { createAudit } from "@weir/audit";
import { audit } from "@weir/contracts";
import { createEvaluation } from "@weir/evaluation";
import { jetStreamBus, memoryBus, producerKey, startRelay, watchRelay } from "@weir/events";
import { Secret } from "@weir/kernel";
import { inProcessPeers } from "@weir/mesh";
import { createGauge, createTelemetry } from "@weir/telemetry";
import { openDeadLetters } from "./dead-letters.ts";
import type { BackgroundData, FromBackground, ToBackground } from "./background-messages.ts";

const LAST_CHANCE_MS = 3_000;

/**
 * The thread behind the requests: it ships the spool's records, stores them in the audit log and evaluates them. On an event loop of its
 * own, so that a request never waits for it; what it has not done when the process dies is still in the spool.
 */
if (parentPort === null) throw new Error("background.ts runs as a worker thread");
const port = parentPort;
const say = (message: FromBackground): void => port.postMessage(message);
const { config: given, payloadKeys, database, spoolDirectory, natsUrl, level } = workerData as BackgroundData;
const config = { ...given, audit: { ...given.audit, payloadKeys: payloadKeys.map((key) => new Secret(key)) } };

await using running = new AsyncDisposableStack();
const telemetry = running.use(
  createTelemetry({
    service: "weir",
    level,
    env: {},
    processMetrics: false,
    destination: { write: (line) => say({ type: "line", line }) },
  }),
);
const bus = running.use(
  natsUrl === undefined ? memoryBus({ consumers: ["audit", "evaluation"] }) : jetStreamBus({ url: natsUrl }),
);
const log = running.use(await createAudit({ config, telemetry, database, bus, natsUrl }));
const deadLetters = running.use(openDeadLetters(natsUrl, config.dataDir));
const evaluation = running.use(await createEvaluation({ config, telemetry, database, bus, deadLetters }));
await Promise.all([log.start(), evaluation.start()]);
const peers = inProcessPeers(log.routes);
const relay = running.use(
  startRelay({
    directory: spoolDirectory,
    key: producerKey(spoolDirectory),
    bus,
    watermarks: async (producers) => {
      const { marks } = await peers.client(audit.ProducerService).getWatermarks({ producers });
      return marks.map(({ producer, contiguous }) => ({ producer, contiguous: Number(contiguous) }));
    },
  }),
);
createGauge(
  telemetry.metrics,
  "weir_relay_lag_bytes",
  "Bytes in the spool that the bus does not have yet.",
  () => relay.lagBytes,
);
createGauge(
  telemetry.metrics,
  "weir_relay_unconfirmed",
  "Frames the bus has and the log has not confirmed.",
  () => relay.unconfirmed,
);
running.use(
  watchRelay(relay, ({ error, ...waiting }) => {
    if (error === undefined) telemetry.log.info(waiting, "records are shipped again");
    else telemetry.log.warn({ err: error, ...waiting }, "records are not shipped; they wait in the spool");
  }),
);
say({ type: "started" });

await new Promise<void>((resolve) => {
  port.on("message", (message: ToBackground) => {
    if (message.type === "stop") return resolve();
    telemetry.metrics.getMetricsAsJSON().then(
      (metrics) => say({ type: "metrics", id: message.id, metrics }),
      (error: unknown) => telemetry.log.warn({ err: error }, "metrics of the background thread could not be read"),
    );
  });
});
// What is not shipped by then is on disk, and shipped by the next start.
await relay.flush(LAST_CHANCE_MS);
await running.disposeAsync();
port.close();
