import type { ServiceImpl } from "@connectrpc/connect";
import { policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { inProcessPeers, route } from "@weir/mesh";
import { expect, test } from "vitest";
import { BatchedPolicy } from "./batched-policy.ts";

const refuse = (): never => {
  throw new WeirError("policy_unavailable", "away");
};

type Implementation = Partial<ServiceImpl<typeof policy.PolicyService>>;

function batched(
  settle: (request: policy.SettleBatchRequest) => { results: policy.SettlementResult[] },
  more: Implementation = {},
) {
  const routes = [
    route(policy.PolicyService, {
      settleBatch: settle,
      admitBatch: refuse,
      awaitAdmission: refuse,
      renewSlots: refuse,
      reportUse: refuse,
      extend: refuse,
      recover: refuse,
      // oxlint-disable-next-line require-yield
      async *watch() {
        await Promise.resolve();
        refuse();
      },
      ...more,
    }),
  ];
  const through: number[] = [];
  const admissions = new BatchedPolicy(inProcessPeers(routes).client(policy.PolicyService), "owner", {
    onError: () => undefined,
    onDropped: () => undefined,
    onSettledThrough: (outcomeNumber) => through.push(outcomeNumber),
  });
  return { admissions, through };
}

const charge = (requestId: string) => [
  { requestId, attempt: 1, keyId: "k", charge: { kind: "void" as const, notCalled: false } },
];
const settledAll = ({ settlements }: policy.SettleBatchRequest) => ({
  results: settlements.map(() => policy.SettlementResult.SETTLED),
});
const bound = { costNanos: 1n, inputTokens: 1, outputTokens: 1 };
const admission = {
  requestId: "r2",
  keyId: "k",
  model: "m",
  bound,
  endUser: "",
  clientIp: "",
  tags: {},
  runId: "",
  callText: "",
  maxWaitMs: undefined,
  priority: 3,
};
const never = new AbortController().signal;

test("at its end it has told how far outcomes are settled: a clean stop leaves nothing to recover", async () => {
  const { admissions, through } = batched(({ settlements }) => ({
    results: settlements.map(() => policy.SettlementResult.SETTLED),
  }));
  for (const number of [3, 5, 9]) admissions.settle(charge(`r${number}`), number);
  admissions.settle([], 11);
  await admissions[Symbol.asyncDispose]();
  expect(through.at(-1)).toBe(11);
  expect(admissions.pending).toBe(0);
});

test("a settlement goes before the next admission, or by itself when none comes", async () => {
  const steps: string[] = [];
  const { admissions } = batched(
    ({ settlements }) => {
      steps.push(`settle ${settlements.map(({ requestId }) => requestId).join(" ")}`);
      return { results: settlements.map(() => policy.SettlementResult.SETTLED) };
    },
    {
      admitBatch: () => {
        steps.push("admit");
        return refuse();
      },
    },
  );
  admissions.settle(charge("r1"), 1);
  await expect(admissions.admit(admission, never)).rejects.toMatchObject({ reason: "policy_unavailable" });
  expect(steps.slice(0, 2)).toEqual(["settle r1", "admit"]);
  // What the failed admission may have taken is given back without another request's help.
  await expect.poll(() => steps.at(-1)).toBe("settle r2");
  await admissions[Symbol.asyncDispose]();
});

test("what policy did not take is not told as settled, and is said to be pending", async () => {
  const { admissions, through } = batched(refuse);
  admissions.settle([], 2);
  admissions.settle(charge("r3"), 3);
  admissions.settle(charge("given back"), 0);
  await admissions[Symbol.asyncDispose]();
  expect(through.at(-1)).toBe(2);
  expect(admissions.pending).toBe(2);
});

const waiting = { verdicts: [{ verdict: { case: "waiting" as const, value: { maxWaitMs: 5_000 } } }] };

test("whose turn is not yet waits in a call of its own, and others are not held up", async () => {
  const served = Promise.withResolvers<void>();
  const { admissions } = batched(settledAll, {
    admitBatch: ({ admissions: asked }) => ({
      verdicts: asked.map(({ requestId }) =>
        requestId === "r2"
          ? (waiting.verdicts[0] as object)
          : { verdict: { case: "admitted" as const, value: { held: true } } },
      ),
    }),
    async awaitAdmission({ owner, admission: asked }) {
      expect([owner, asked?.requestId, asked?.priority]).toEqual(["owner", "r2", 3]);
      await served.promise;
      return { verdict: { verdict: { case: "admitted", value: { held: false } } } };
    },
  });
  const [slow, quick] = [
    admissions.admit(admission, never),
    admissions.admit({ ...admission, requestId: "r3" }, never),
  ];
  await expect(quick).resolves.toMatchObject({ admitted: true, held: true });
  served.resolve();
  await expect(slow).resolves.toMatchObject({ admitted: true, held: false });
  await admissions[Symbol.asyncDispose]();
});

test("a client that goes away while it waits ends its call, and what may have been taken for it is given back", async () => {
  const given: policy.Settlement[] = [];
  const left = Promise.withResolvers<void>();
  const { admissions } = batched(
    (request) => {
      given.push(...request.settlements);
      return settledAll(request);
    },
    {
      admitBatch: () => waiting,
      async awaitAdmission(_request, { signal }) {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        left.resolve();
        return refuse();
      },
    },
  );
  const gone = new AbortController();
  const asked = admissions.admit(admission, gone.signal);
  setTimeout(() => gone.abort(), 20);
  await expect(asked).rejects.toMatchObject({ reason: "client_closed" });
  await left.promise;
  await admissions[Symbol.asyncDispose]();
  expect(given).toMatchObject([{ requestId: "r2", attempt: 1, outcome: { case: "void", value: { notCalled: true } } }]);
});

test("a refusal that may be held nevertheless is given back; one that says no is not", async () => {
  const settled: string[] = [];
  const settle = (request: policy.SettleBatchRequest) => {
    for (const { requestId, outcome } of request.settlements) settled.push(`${requestId} ${String(outcome.case)}`);
    return settledAll(request);
  };
  const refusal = (mayBeHeld: boolean) => ({
    verdict: { case: "refused" as const, value: { mayBeHeld } },
  });
  const { admissions } = batched(settle, {
    admitBatch: ({ admissions: asked }) => ({
      verdicts: asked.map(({ requestId }) => refusal(requestId === "unsure")),
    }),
  });
  const ask = (requestId: string) => admissions.admit({ ...admission, requestId }, never);
  expect(await Promise.all([ask("unsure"), ask("refused")])).toMatchObject([{ admitted: false }, { admitted: false }]);
  await admissions[Symbol.asyncDispose]();
  expect(settled).toEqual(["unsure void"]);
});
