import { ConfigError, followConfig, openConfig } from "@weir/config";
import { remoteSecrets } from "@weir/credentials";
import { ROUTER_SETTINGS } from "@weir/router";
import { createTelemetry, standardOutput } from "@weir/telemetry";
import { banner } from "./banner.ts";
import { StartError } from "./data-folder.ts";
import { startStandalone } from "./service.ts";
import { stopSignal } from "./stop-signal.ts";

try {
  const load = { fetchSecrets: remoteSecrets(process.env) };
  const opened = await openConfig(process.env, load);
  const { config } = opened;
  const output = standardOutput();
  await using telemetry = createTelemetry({
    service: "weir",
    level: config.log.level,
    env: process.env,
    destination: output,
  });
  await using weir = await startStandalone({ config, telemetry, writeLine: (line) => output.write(line) });
  // Not a log line: for people, and apart from the log so that the key is not kept with it.
  process.stderr.write(banner(config, { ...weir, newKey: weir.bootstrapSecret }));
  await using _following = followConfig(opened, {
    env: process.env,
    load,
    log: telemetry.log,
    reloads: ROUTER_SETTINGS,
    apply: (next) => weir.reload(next),
  });
  const signal = await stopSignal();
  telemetry.log.info({ signal }, "shutting down");
} catch (error) {
  if (!(error instanceof ConfigError || error instanceof StartError)) throw error;
  process.stderr.write(`weir: ${error.message}\n`);
  process.exit(1); // a part that failed to start may have left something that still runs
}
