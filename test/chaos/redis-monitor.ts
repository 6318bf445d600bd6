import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";

/**
 * Tells of everything that a Redis is asked, with Redis's time (seconds.micros) and the words as MONITOR writes them, escapes and all. On a socket
 * of its own: a client library that is not yet in its monitor mode dies of a line that comes too early.
 */
export async function redisMonitor(
  url: string,
  seen: (time: string, words: readonly string[]) => void,
): Promise<Disposable> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  socket.write("MONITOR\r\n");
  const lines = createInterface({ input: socket });
  lines.on("line", (line) => {
    const [, time, words] = /^\+(\d+\.\d+) \[[^\]]*\] "(.*)"$/.exec(line) ?? [];
    if (time !== undefined && words !== undefined) seen(time, words.split('" "'));
  });
  await once(lines, "line");
  return {
    [Symbol.dispose]() {
      lines.close();
      socket.destroy();
    },
  };
}
