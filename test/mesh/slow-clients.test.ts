/** Clients that send slowly, or much at once, take no room and no time from others. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, FACES } from "../support/ask.ts";
import { talk } from "../support/raw-http.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const CHAT = "/v1/chat/completions";
const MAX_BODY = 65_536;
const MAX_BUFFERED = 131_072;

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  beforeAll(async () => {
    whole = await bootWhole(composition, {
      env: {
        WEIR_HTTP_MAX_BODY_BYTES: String(MAX_BODY),
        WEIR_HTTP_MAX_BUFFERED_BYTES: String(MAX_BUFFERED),
        WEIR_HTTP_REQUEST_TIMEOUT: "3s",
      },
    });
  });
  afterAll(() => whole?.[Symbol.asyncDispose]());

  const head = (length: number): string =>
    `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${whole.weir.key}\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
  const small = async (): Promise<number> =>
    (await ask(whole.weir, CHAT, { model: "m-echo", messages: [{ role: "user", content: "hi" }] })).status;

  const held = async (): Promise<number> => {
    const metrics = await (await fetch(`${whole.weir.httpUrl}/metrics`)).text();
    return Number(/^weir_buffered_bytes\S* (\d+)/m.exec(metrics)?.[1]);
  };

  async function opened(text: string): Promise<Socket> {
    const { hostname, port } = new URL(whole.weir.httpUrl);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined);
    await once(socket, "connect");
    socket.write(text);
    return socket;
  }

  test.each(FACES)(
    "$name: bodies that come slowly fill the room; who has none is told before it sends one",
    async (face) => {
      await expect.poll(held, { timeout: 10_000 }).toBe(0);
      const slow = await Promise.all(Array.from({ length: 3 }, () => opened(head(41_000) + " ".repeat(40_000))));
      await expect.poll(held, { timeout: 2_000, interval: 20 }).toBe(120_000);
      const large = face.body("m-echo", "x".repeat(30_000));
      const refused = async (): Promise<number> => {
        const answer = await ask(whole.weir, face.path, large);
        const text = await answer.text();
        if (answer.status !== 200) {
          expect(answer.status, text).toBe(503);
          expect(text).toContain("overloaded");
          expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
        }
        return answer.status;
      };
      await expect.poll(refused, { timeout: 2_000, interval: 20 }).toBe(503);
      const told = await talk(whole.weir.httpUrl, [head(30_000)]);
      expect(told.statuses).toEqual([503]);
      // There is room for what is small, and soon for all again: head and body have one time.
      expect(await small()).toBe(200);
      await expect.poll(refused, { timeout: 20_000 }).toBe(200);
      for (const socket of slow) socket.destroy();
    },
  );

  test("heads and bodies that come byte by byte end with 408, and nobody waits for them", async () => {
    const dripping = await Promise.all(
      Array.from({ length: 40 }, (_, index) => opened(index % 2 === 0 ? `POST ${CHAT} HTTP/1.1\r\nx: ` : head(1_000))),
    );
    const heard = dripping.map(() => "");
    for (const [index, socket] of dripping.entries())
      socket.on("data", (chunk: Buffer) => (heard[index] += chunk.toString("latin1")));
    for (let turn = 0; turn < 200 && heard.some((text) => text === ""); turn++) {
      for (const socket of dripping) if (!socket.destroyed) socket.write("y");
      if (turn % 10 === 0) expect(await small()).toBe(200);
      await sleep(50);
    }
    for (const text of heard) expect(text).toMatch(/^HTTP\/1\.1 408 .*request_timeout/s);
    for (const socket of dripping) socket.destroy();
  });
});
