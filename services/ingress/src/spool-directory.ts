import { join } from "node:path";

/** Below the data folder. The relay reads what the spool writes there. */
export const spoolDirectory = (dataDir: string): string => join(dataDir, "spool");
