import { existsSync, readFileSync } from "node:fs";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import pg from "pg";
import { expect, test } from "vitest";
import { startNats, startPostgres, startRedis } from "../src/index.ts";

async function rows(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url, query_timeout: 1_500 });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

test("Postgres keeps what it committed over a kill, and databases are apart", async () => {
  await using postgres = await startPostgres();
  const database = await postgres.freshDatabase();
  await rows(database, "create table kept (x int)");
  await rows(database, "insert into kept values (7)");
  await postgres.kill();
  await expect(rows(database, "select 1")).rejects.toThrow();
  await postgres.restart();
  expect(await rows(database, "select x from kept")).toEqual([{ x: 7 }]);
  await expect(rows(postgres.url, "select x from kept")).rejects.toThrow(/does not exist/);
});

test("a paused Postgres answers nothing on open connections, then goes on", async () => {
  await using postgres = await startPostgres();
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await postgres.pause();
  const answer = client.query("select 1 as one");
  expect(await Promise.race([answer, sleep(300, "silence")])).toBe("silence");
  await postgres.resume();
  expect((await answer).rows).toEqual([{ one: 1 }]);
  await client.end();
});

test("Redis keeps its port over a restart, and its data where that was asked for", async () => {
  await using lasting = await startRedis({ durable: true });
  await using fleeting = await startRedis();
  for (const [server, expected] of [
    [lasting, "kept"],
    [fleeting, null],
  ] as const) {
    const client = new Redis(server.url);
    client.on("error", () => undefined);
    await client.set("key", "kept");
    await server.kill();
    await server.restart();
    expect(await client.get("key")).toBe(expected);
    client.disconnect();
  }
});

test("NATS has JetStream, and its messages outlive a kill", async () => {
  await using nats = await startNats();
  const before = await connectNats({ servers: nats.url, reconnect: false });
  await (await jetstreamManager(before)).streams.add({ name: "S", subjects: ["s"] });
  await jetstream(before).publish("s", "hello");
  await nats.kill();
  await before.closed();
  await nats.restart();
  const after = await connectNats({ servers: nats.url });
  expect((await (await jetstreamManager(after)).streams.info("S")).state.messages).toBe(1);
  await after.close();
});

test("servers end with the process that started them, even when that is killed", async () => {
  const script = `const { startRedis } = await import(${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)});
    const redis = await startRedis(); console.log(redis.port); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const client = new Redis(Number(line.toString()), { retryStrategy: null });
  client.on("error", () => undefined);
  const info = await client.info("server");
  const pid = /process_id:(\d+)/.exec(info)?.[1] ?? "";
  child.kill("SIGKILL");
  await expect
    .poll(() => existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/status`, "utf8").includes("State:\tZ"), {
      timeout: 10_000,
    })
    .toBe(false);
  client.disconnect();
});

test("where the machine has no server and cannot get one, the error says how", async () => {
  const source = new URL("../src/backing/source.ts", import.meta.url).href;
  const script = `process.getuid = () => 1000; const { startFrom } = await import(${JSON.stringify(source)});
    await startFrom({ name: "Thing", debianPackage: "thing-server", find: async () => undefined }).catch((e) => console.log(e.message));`;
  const environment = { ...process.env };
  delete environment["DOCKER_HOST"];
  const output = await new Promise<string>((resolve) =>
    execFile(process.execPath, ["--input-type=module", "-e", script], { env: environment }, (_error, stdout) =>
      resolve(stdout),
    ),
  );
  if (existsSync("/var/run/docker.sock")) return;
  expect(output).toMatch(/Thing is not on this machine.*apt-get install thing-server/);
});
