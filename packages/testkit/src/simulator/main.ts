/** The simulator as a process of its own: node main.ts --port 9000. Prints its origin when it listens. */
import { parseArgs } from "node:util";
import { startSimulator } from "./simulator.ts";

const { values } = parseArgs({ options: { port: { type: "string", default: "0" } } });
const simulator = await startSimulator({ port: Number(values.port) });
process.stdout.write(`${simulator.origin}\n`);
const stop = (): void => void simulator[Symbol.asyncDispose]();
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
