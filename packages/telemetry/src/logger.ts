import { type DestinationStream, type Logger, pino } from "pino";
import { scrubError, scrubText, scrubValue } from "./scrub.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";

/** pino's. */
const WARN = 40;

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
        logMethod(args, method, level) {
          // What is told of in trouble may be anybody's text; lines of every day have ids, numbers and names.
          const personal = level >= WARN;
          const clean = args.map((arg: unknown) => scrubValue(arg, personal));
          const [first] = args as unknown[];
          // As pino has it: an error stands under `err`, and its message is the line's where there is none.
          if (first instanceof Error) {
            const err = scrubError(first);
            clean[0] = { err };
            if (args.length === 1) clean.push(err["message"]);
          }
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
