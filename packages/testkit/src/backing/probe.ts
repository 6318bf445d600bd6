import { connect } from "node:net";

/** Connects, says `greeting`, and resolves when the answer holds `expected`. */
export function probeText(port: number, greeting: string, expected: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let answer = "";
    socket.setTimeout(2_000, () => socket.destroy(new Error(`port ${port} does not answer`)));
    socket.once("connect", () => void (greeting !== "" && socket.write(greeting)));
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString();
      if (!answer.includes(expected)) return;
      resolve();
      socket.destroy();
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`port ${port} closed before it was ready`)));
  });
}
