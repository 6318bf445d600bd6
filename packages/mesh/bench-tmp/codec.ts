import { create, toBinary, fromBinary } from "@bufbuild/protobuf";
import { router, policy, common } from "@weir/contracts";
import { compileCodec } from "../src/codec.ts";
const complete = create(router.CompleteRequestSchema, {
  call: {
    requestId: "0190b0b0-0000-7000-8000-000000000001",
    model: "fast",
    input: { case: "raw", value: { dialect: 1, body: new Uint8Array(700) } },
    headers: [{ name: "anthropic-beta", value: "x" }],
    outputCap: 4096,
    holdOwner: "ingress-1/0/abcdef",
    inputBound: 300,
  },
});
const response = create(router.CompleteResponseSchema, {
  result: {
    served: { provider: "openai", model: "gpt-4o-mini", region: "us", attempt: 1 },
    usage: { inputTokens: 10, outputTokens: 20 },
    finishReason: 1,
    attempts: [
      {
        attempt: 1,
        provider: "openai",
        model: "gpt-4o-mini",
        region: "us",
        status: 200,
        usage: { inputTokens: 10, outputTokens: 20 },
        costNanos: 12345n,
        billing: 1,
        durationUs: 12345,
      },
    ],
    providerUs: 12345,
    costNanos: 12345n,
    priceVersion: "genai-prices@0.1.8",
  },
  output: { case: "raw", value: { status: 200, contentType: "application/json", body: new Uint8Array(569) } },
});
const frame = create(router.StreamCompleteResponseSchema, { message: { case: "frame", value: new Uint8Array(220) } });
const admit = create(policy.AdmitBatchRequestSchema, {
  owner: "ingress-1/0/abcdef",
  admissions: Array.from({ length: 10 }, () => ({
    requestId: "0190b0b0-0000-7000-8000-000000000001",
    keyId: "0190b0b0-0000-7000-8000-000000000002",
    model: "fast",
    bound: { costNanos: 1234567n, tokens: 5000n },
    inputTokens: 300,
    outputTokens: 4096,
    endUser: "u",
    clientIp: "10.0.0.1",
    tags: { team: "x" },
  })),
});
const time = (name: string, f: () => unknown) => {
  for (let i = 0; i < 20000; i++) f();
  let best = 1e9;
  for (let r = 0; r < 5; r++) {
    const t = performance.now();
    for (let i = 0; i < 20000; i++) f();
    best = Math.min(best, (performance.now() - t) / 20);
  }
  console.log(name.padEnd(28), best.toFixed(3), "us");
};
for (const [name, schema, message] of [
  ["complete", router.CompleteRequestSchema, complete],
  ["response", router.CompleteResponseSchema, response],
  ["frame", router.StreamCompleteResponseSchema, frame],
  ["admit10", policy.AdmitBatchRequestSchema, admit],
] as const) {
  const s = schema as typeof router.CompleteRequestSchema,
    m = message as typeof complete;
  const bytes = toBinary(s, m);
  const c = compileCodec(s);
  time(`${name} es write`, () => toBinary(s, m));
  time(`${name} es read`, () => fromBinary(s, bytes));
  time(`${name} own write`, () => c.encode(m));
  time(`${name} own read`, () => c.decode(bytes));
}
