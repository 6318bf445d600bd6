import { type DestinationStream, type Logger, pino } from "pino";
import { scrubError, scrubText, scrubValue } from "./scrub.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";

/**
 * A JSON logger whose every line is scrubbed (see scrub.ts).
 * @param destination where lines go; whatever it is, it sees only scrubbed ones
 */
export function createLogger(service: string, level: LogLevel, destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      // An error inside an object came through logMethod and is plain by now.
      serializers: { err: (error: unknown) => (error instanceof Error ? scrubError(error) : error) },
      formatters: {
        level: (label) => ({ level: label }),
        bindings: (bindings) => scrubValue(bindings) as Record<string, unknown>,
      },
      hooks: {
        logMethod(args, method) {
          // A leading error stays: pino puts it under `err`, whose serializer scrubs it.
          const clean = args.map((arg: unknown) => (arg instanceof Error && arg === args[0] ? arg : scrubValue(arg)));
          Reflect.apply(method, this, clean);
        },
        streamWrite: scrubText,
      },
    },
    destination,
  );
}

/**
 * Standard output, written in blocks off the event loop's path and flushed when the process ends. What a SIGKILL takes with it is at
 * most the last 250 ms.
 */
export function standardOutput(): DestinationStream & { flushSync(): void } {
  return pino.destination({ dest: 1, sync: false, minLength: 4096, periodicFlush: 250 });
}
