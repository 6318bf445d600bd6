import type { ListenAddress } from "@weir/config";
import { StartError } from "./data-folder.ts";

/** Says of a port that cannot be had which one it is and how to choose another. */
export async function explainListen<T>(
  variable: string,
  { host, port }: ListenAddress,
  listen: () => Promise<T>,
): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const why = {
      EADDRINUSE: "is in use by another process",
      EACCES: "may not be used by this user",
      EADDRNOTAVAIL: "is no address of this machine",
    }[String(code)];
    if (why === undefined) throw error;
    throw new StartError(`${host}:${port} ${why}. Set ${variable} to another address.`, { cause: error });
  }
}
