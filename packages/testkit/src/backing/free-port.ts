import { once } from "node:events";
import { createServer } from "node:net";

// Below the range that the kernel hands to outgoing connections (32768 up): a killed server must find its port free again.
const FIRST = 20_000;
const LAST = 32_000;

/** A TCP port of 127.0.0.1 that nobody listens on right now. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    const server = createServer();
    server.listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch {
      continue; // taken
    }
    server.close();
    await once(server, "close");
    return port;
  }
  throw new Error(`found no free port between ${FIRST} and ${LAST}`);
}
