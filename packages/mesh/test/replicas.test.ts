import { type ChildProcess, fork } from "node:child_process";
import net from "node:net";
import { once } from "node:events";
import { Code, ConnectError } from "@connectrpc/connect";
import { policy, router } from "@weir/contracts";
import { afterEach, expect, test } from "vitest";
import { networkPeers } from "../src/index.ts";

const open: (() => unknown)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

interface Process {
  readonly address: string;
  readonly child: ChildProcess;
}

/** A server in a process of its own, so that it can be killed and stopped. Answers with `name`. */
async function start(name: string): Promise<Process> {
  const child = fork(new URL("./replica-server.ts", import.meta.url), [name], { execArgv: [] });
  open.push(() => child.kill("SIGKILL"));
  const [port] = (await once(child, "message")) as [number];
  return { address: `http://127.0.0.1:${port}`, child };
}

const die = async ({ child }: Process): Promise<void> => {
  child.kill("SIGKILL");
  await once(child, "exit");
};

function clients(...replicas: Process[]) {
  const peers = networkPeers({ addresses: () => replicas.map(({ address }) => address) });
  open.push(() => peers[Symbol.asyncDispose]());
  return { policy: peers.client(policy.PolicyService), router: peers.client(router.RouterService) };
}

const codeOf = (error: unknown): Code | undefined => (error instanceof ConnectError ? error.code : undefined);
const ids = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

test("calls are spread over the replicas", async () => {
  const { router: client } = clients(await start("a"), await start("b"));
  const names = await Promise.all(ids(20).map(async () => (await client.listModels({})).version));
  expect(names.filter((name) => name === "a")).toHaveLength(10);
  expect(names.filter((name) => name === "b")).toHaveLength(10);
});

test("of two replicas one is killed: no call fails, also none that may not be repeated", async () => {
  const [a, b] = [await start("a"), await start("b")];
  const { router: client } = clients(a, b);
  for (const _ of ids(4)) await client.listModels({});
  await die(a);
  for (const _ of ids(20)) expect((await client.complete({ call: { requestId: "x" } })).result?.dropped).toEqual(["b"]);
  for (const _ of ids(20)) expect((await client.listModels({})).version).toBe("b");
  const frames: number[] = [];
  for await (const message of client.streamComplete({})) frames.push(message.message.case === "frame" ? 1 : 0);
  expect(frames).toEqual([1, 1, 1]);
});

test("what may be repeated survives the death of its replica under way; what may not fails, and is made once", async () => {
  const [a, b] = [await start("slow"), await start("slow")];
  const { policy: client, router: other } = clients(a, b);
  // Two each: least calls first.
  const settled = ids(4).map(() => client.settleBatch({ owner: "o" }));
  const completed = ids(4).map(() =>
    other.complete({}).then(
      () => "answered",
      (error: unknown) => Code[codeOf(error) ?? 0],
    ),
  );
  await new Promise((resolve) => setTimeout(resolve, 300));
  await die(a);
  await Promise.all(settled);
  const answers = await Promise.all(completed);
  expect(answers.filter((answer) => answer === "answered")).toHaveLength(2);
  expect(answers.filter((answer) => answer === "Unavailable")).toHaveLength(2);
});

test("a replica that hangs is found silent: calls that may be repeated go to another, new ones do not go there", async () => {
  const [a, b] = [await start("a"), await start("b")];
  const { router: client } = clients(a, b);
  for (const _ of ids(4)) await client.listModels({});
  a.child.kill("SIGSTOP");
  const names = await Promise.all(ids(8).map(async () => (await client.listModels({}, { timeoutMs: 30_000 })).version));
  expect(new Set(names)).toEqual(new Set(["b"]));
  for (const _ of ids(8)) expect((await client.listModels({}, { timeoutMs: 30_000 })).version).toBe("b");
  a.child.kill("SIGCONT");
  await expect.poll(async () => (await client.listModels({})).version, { timeout: 20_000 }).toBe("a");
});

test("a replica that is not ready is asked only when no other is", async () => {
  const [a, b] = [await start("a"), await start("b")];
  const { router: client } = clients(a, b);
  a.child.send("unready");
  const twenty = async (): Promise<Set<string>> =>
    new Set(await Promise.all(ids(20).map(async () => (await client.listModels({})).version)));
  await expect.poll(twenty, { timeout: 20_000 }).toEqual(new Set(["b"]));
  b.child.send("unready");
  await expect.poll(twenty, { timeout: 20_000 }).toEqual(new Set(["a", "b"]));
  a.child.send("ready");
  await expect.poll(twenty, { timeout: 20_000 }).toEqual(new Set(["a"]));
});

test("with all of them gone a call is unavailable at once, and works when one is back", async () => {
  const [a, b] = [await start("a"), await start("b")];
  const { router: client } = clients(a, b);
  await die(a);
  await die(b);
  const failed = await client.listModels({}).catch((error: unknown) => error);
  expect(codeOf(failed)).toBe(Code.Unavailable);
  const back = fork(new URL("./replica-server.ts", import.meta.url), ["back", new URL(b.address).port], {
    execArgv: [],
  });
  open.push(() => back.kill("SIGKILL"));
  await once(back, "message");
  expect((await client.listModels({})).version).toBe("back");
});

test("a deadline holds over all tries together, and cancelling ends them", async () => {
  // They take connections and never answer.
  const sockets = new Set<net.Socket>();
  const mute = async (): Promise<Process> => {
    const server = net.createServer((socket) => void sockets.add(socket.on("error", () => undefined)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    open.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return { address: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`, child: undefined as never };
  };
  const { router: client } = clients(await mute(), await mute());
  const late = await client.listModels({}, { timeoutMs: 300 }).catch((error: unknown) => error);
  expect(codeOf(late)).toBe(Code.DeadlineExceeded);
  const leave = new AbortController();
  const left = client.listModels({}, { signal: leave.signal }).catch((error: unknown) => error);
  leave.abort();
  expect(codeOf(await left)).toBe(Code.Canceled);
});
