/** A changed weir.yaml counts without a restart; one that is wrong is refused, and the last good one serves on. */
import { renameSync, writeFileSync } from "node:fs";
import { COMPOSITIONS, type Simulator, startSimulator } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, FACES } from "../support/ask.ts";
import { type Cluster, startCluster } from "../support/processes.ts";

const chat = FACES[0] as (typeof FACES)[number];

describe.each(COMPOSITIONS)("%s", (composition) => {
  let cluster: Cluster;
  let simulator: Simulator;
  const configOf = (models: string): string => `
providers:
  p: { kind: openai-compatible, base_url: "${simulator.origin}/v1", api_key: "sk-simulated-provider-key" }
models:
  ${models}
`;
  const OLD = "m-old: { targets: [{ provider: p, model: old }] }";
  const NEW = "m-new: { targets: [{ provider: p, model: new }] }";
  beforeAll(async () => {
    simulator = await startSimulator();
    cluster = await startCluster(composition, { config: configOf(OLD) });
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await simulator?.[Symbol.asyncDispose]();
  });

  const front = () => cluster.fronts[0] as Cluster["fronts"][number];
  const write = (text: string): void => {
    writeFileSync(`${cluster.configFile}.new`, text);
    renameSync(`${cluster.configFile}.new`, cluster.configFile);
  };
  const status = async (model: string): Promise<number> => {
    const answer = await ask(front(), chat.path, chat.body(model, "hi"));
    await answer.text();
    return answer.status;
  };
  async function listed(): Promise<string[]> {
    const answer = await fetch(`${front().httpUrl}/v1/models`, { headers: { authorization: `Bearer ${front().key}` } });
    const { data } = (await answer.json()) as { data: { id: string }[] };
    return data.map(({ id }) => id).filter((id) => id.startsWith("m-"));
  }

  test("a model that is added is listed and served; a stream of one that is removed comes to its end", async () => {
    expect(await status("m-new")).toBe(404);
    simulator.script({ behaviour: { words: 150, trickleMs: 40 } });
    const streaming = await ask(front(), chat.path, chat.body("m-old", "hello", true));
    expect(streaming.status).toBe(200);
    write(configOf(NEW));
    await expect.poll(listed, { timeout: 20_000 }).toEqual(["m-new"]);
    expect(await status("m-new")).toBe(200);
    expect(await status("m-old")).toBe(404);
    const text = await streaming.text();
    expect(text).toContain("word149");
    expect(text).toMatch(chat.ending);
  }, 60_000);

  test("a wrong one is refused with what is wrong, and the last good one serves on, also after SIGHUP", async () => {
    write(configOf("m-new: { targets: [{ provider: nobody, model: x }] }"));
    const refusals = (): number =>
      cluster.routing.output().split("the changed configuration is refused; the last good one stays in force").length -
      1;
    await expect.poll(refusals, { timeout: 20_000 }).toBe(1);
    expect(cluster.routing.output()).toContain('there is no provider \\"nobody\\"');
    cluster.routing.hangUp();
    await expect.poll(refusals, { timeout: 20_000 }).toBe(2);
    expect(await status("m-new")).toBe(200);
    expect(await listed()).toEqual(["m-new"]);
    // Well-formed, but of a kind that the router does not have.
    write(`providers: { p: { kind: no-such-kind, base_url: "http://127.0.0.1:9" } }\n`);
    await expect.poll(refusals, { timeout: 20_000 }).toBe(3);
    expect(await status("m-new")).toBe(200);
    write(configOf(`${OLD}\n  ${NEW}`));
    await expect.poll(listed, { timeout: 20_000 }).toEqual(["m-old", "m-new"]);
    expect(await status("m-old")).toBe(200);
  }, 90_000);
});
