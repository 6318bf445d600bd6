import { join } from "node:path";
import { type DeadLetters, jetStreamDeadLetters, sqliteDeadLetters } from "@weir/events";

/** Where the bus is, there its dead letters are; else in the data folder, where both threads have them open. */
export const openDeadLetters = (natsUrl: string | undefined, dataDir: string): DeadLetters =>
  natsUrl === undefined ? sqliteDeadLetters(join(dataDir, "dead-letters.db")) : jetStreamDeadLetters({ url: natsUrl });
