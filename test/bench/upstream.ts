/**
 * The provider that every proxy of a bench stands before: answers any POST with a fixed completion (569 bytes), or with a stream of 50
 * events where the body asks for one. On node:net and with the answers made beforehand, so that it costs a fraction of any proxy.
 * Run: node upstream.ts <port>
 */
import { createServer, type Socket } from "node:net";

const COMPLETION = JSON.stringify({
  id: "chatcmpl-bench0000000000000000000",
  object: "chat.completion",
  created: 1_700_000_000,
  model: "gpt-4o-mini",
  choices: [
    {
      index: 0,
      message: {
        role: "assistant",
        content: `The weir holds the river back. ${"It lets through what it must. ".repeat(7)}`,
      },
      logprobs: null,
      finish_reason: "stop",
    },
  ],
  usage: { prompt_tokens: 120, completion_tokens: 60, total_tokens: 180 },
  system_fingerprint: "fp_bench",
});

const ANSWER = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(COMPLETION)}\r\n\r\n${COMPLETION}`,
);

export const STREAM_EVENTS = 50;

const chunkOf = (data: string): string => `${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`;
const event = (delta: object, finish: string | null, usage?: object): string =>
  `data: ${JSON.stringify({ id: "chatcmpl-bench0000000000000000000", object: "chat.completion.chunk", created: 1_700_000_000, model: "gpt-4o-mini", system_fingerprint: "fp_bench", choices: finish === "usage" ? [] : [{ index: 0, delta, logprobs: null, finish_reason: finish }], ...(usage === undefined ? {} : { usage }) })}\n\n`;

const STREAM_HEAD = Buffer.from(
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
);
const EVENT = Buffer.from(chunkOf(event({ content: " through" }, null)));
const STREAM_TAIL = Buffer.from(
  `${chunkOf(event({}, "stop"))}${chunkOf(event({}, "usage", { prompt_tokens: 120, completion_tokens: 50, total_tokens: 170 }))}${chunkOf("data: [DONE]\n\n")}0\r\n\r\n`,
);

const HEAD_END = Buffer.from("\r\n\r\n");

function stream(socket: Socket, done: () => void): void {
  socket.write(STREAM_HEAD);
  let sent = 0;
  // One write an event: what is measured is a proxy's work per event.
  const next = (): void => {
    if (socket.destroyed) return;
    socket.write(EVENT);
    sent += 1;
    if (sent < STREAM_EVENTS) setImmediate(next);
    else {
      socket.write(STREAM_TAIL);
      done();
    }
  };
  setImmediate(next);
}

function serve(socket: Socket): void {
  socket.setNoDelay(true);
  let buffered: Buffer = Buffer.alloc(0);
  let busy = false;
  const answer = (): void => {
    while (!busy) {
      const headEnd = buffered.indexOf(HEAD_END);
      if (headEnd < 0) return;
      const head = buffered.toString("latin1", 0, headEnd);
      const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      const end = headEnd + 4 + length;
      if (buffered.length < end) return;
      const body = buffered.subarray(headEnd + 4, end);
      buffered = buffered.subarray(end);
      if (body.includes('"stream":true')) {
        busy = true;
        stream(socket, () => {
          busy = false;
          answer();
        });
      } else socket.write(ANSWER);
    }
  };
  socket.on("data", (chunk: Buffer) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    answer();
  });
  socket.on("error", () => socket.destroy());
}

createServer(serve).listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => process.stdout.write("listening\n"));
