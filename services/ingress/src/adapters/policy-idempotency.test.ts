/** Policy sees hashes and ciphertext; what it cannot be asked about does not run. */
import { policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { inProcessPeers, route } from "@weir/mesh";
import { expect, test } from "vitest";
import { AnswerCipher } from "./answer-cipher.ts";
import { PolicyIdempotency } from "./policy-idempotency.ts";

const SERVED = { provider: "p", model: "m", region: "eu", attempt: 2 };
const asked = {
  key: "my key",
  keyId: "00000000-0000-4000-8000-000000000001",
  workspaceId: "00000000-0000-4000-8000-000000000002",
  requestId: "00000000-0000-4000-8000-000000000003",
  route: "POST /v1/chat/completions",
  body: Buffer.from('{"secret":"words"}'),
};

/** A store of one entry. */
function store(failure?: WeirError) {
  const seen: Uint8Array[] = [];
  let entry: { fingerprint: Uint8Array; answer: Uint8Array<ArrayBuffer> | undefined } | undefined;
  const released: string[] = [];
  const routes = [
    route(policy.IdempotencyService, {
      beginIdempotent({ name, fingerprint, requestId }) {
        if (failure !== undefined) throw failure;
        seen.push(name, fingerprint);
        if (entry === undefined) {
          entry = { fingerprint, answer: undefined };
          return { found: { case: "begun", value: { leaseMs: 15_000 } } };
        }
        if (!Buffer.from(entry.fingerprint).equals(fingerprint))
          return { found: { case: "mismatch", value: { requestId } } };
        if (entry.answer === undefined) return { found: { case: "running", value: { requestId, retryAfterMs: 1000 } } };
        return { found: { case: "answered", value: { requestId: asked.requestId, answer: entry.answer } } };
      },
      renewIdempotent: () => ({}),
      finishIdempotent({ answer }) {
        seen.push(answer);
        if (entry !== undefined) entry.answer = new Uint8Array(answer);
        return { kept: true };
      },
      releaseIdempotent({ claim }) {
        released.push(claim?.requestId ?? "");
        entry = undefined;
        return {};
      },
    }),
  ];
  const errors: unknown[] = [];
  const of = (root: string) =>
    new PolicyIdempotency(
      inProcessPeers(routes).client(policy.IdempotencyService),
      new AnswerCipher(Buffer.from(root)),
      (error) => errors.push(error),
    );
  return { of, seen, released, errors };
}

async function begun(requests: PolicyIdempotency) {
  const found = await requests.begin(asked);
  if (found.state !== "begun") throw new Error(`it is ${found.state}`);
  return found.request;
}

test("a whole answer comes back as it was, and policy can read none of it", async () => {
  const { of, seen } = store();
  using requests = of("root");
  const request = await begun(requests);
  const output = {
    kind: "raw",
    status: 200,
    contentType: "application/json",
    body: Buffer.from('{"a":"answer"}'),
  } as const;
  request.answer(output);
  await request.finish(SERVED, ["x"]);
  const found = await requests.begin(asked);
  expect(found).toMatchObject({ state: "answered", answer: { served: SERVED, dropped: ["x"] } });
  const content = found.state === "answered" ? found.answer.content : undefined;
  expect(
    content?.kind === "whole" && content.output.kind === "raw" && Buffer.from(content.output.body).toString(),
  ).toBe('{"a":"answer"}');
  const shown = seen.map((bytes) => Buffer.from(bytes).toString("latin1")).join();
  for (const text of ["my key", "words", "answer"]) expect(shown).not.toContain(text);
});

test("a stream comes back frame by frame", async () => {
  const { of } = store();
  using requests = of("root");
  const request = await begun(requests);
  const frame = Buffer.from("data: 1\n\n");
  request.frame(frame);
  // What was handed over may be used again by its owner.
  frame.fill(0);
  request.frame(Buffer.from("data: [DONE]\n\n"));
  await request.finish(SERVED, []);
  const found = await requests.begin(asked);
  const content = found.state === "answered" ? found.answer.content : undefined;
  expect(content?.kind === "frames" && content.frames.map((one) => Buffer.from(one).toString())).toEqual([
    "data: 1\n\n",
    "data: [DONE]\n\n",
  ]);
});

test("too large: not kept, and said so; another root secret: not readable; another body or route: another request", async () => {
  const { of } = store();
  using requests = of("root");
  const request = await begun(requests);
  for (let at = 0; at < 5; at += 1) request.frame(Buffer.alloc(1024 * 1024));
  await request.finish(SERVED, []);
  expect(await requests.begin(asked)).toMatchObject({ state: "not-kept" });
  const { of: ofOther } = store();
  using writer = ofOther("root");
  const kept = await begun(writer);
  kept.frame(Buffer.from("x"));
  await kept.finish(SERVED, []);
  using reader = ofOther("another root");
  expect(await reader.begin(asked)).toEqual({ state: "unreadable", requestId: asked.requestId });
  expect((await writer.begin({ ...asked, body: Buffer.from("{}") })).state).toBe("mismatch");
  expect((await writer.begin({ ...asked, route: "POST /v1/messages" })).state).toBe("mismatch");
});

test("released: it may run again; policy away: it does not run", async () => {
  const { of, released } = store();
  using requests = of("root");
  await (await begun(requests)).release();
  expect(released).toEqual([asked.requestId]);
  await begun(requests);
  expect((await requests.begin(asked)).state).toBe("running");
  const { of: ofAway, errors } = store(new WeirError("policy_unavailable", "The database is away."));
  using away = ofAway("root");
  await expect(away.begin(asked)).rejects.toMatchObject({ reason: "policy_unavailable", retryAfterMs: 1000 });
  expect(errors).toHaveLength(1);
});
