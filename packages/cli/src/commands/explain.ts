import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client, ConnectError } from "@connectrpc/connect";
import { common, policy, router } from "@weir/contracts";
import { dollarsOf } from "@weir/kernel";
import { costBoundOf, priceAt, type PricePlan } from "@weir/pricing";
import { tagOf } from "@weir/rules";
import { type Command, type Flags, required, UsageError, wholeNumber } from "../command.ts";
import { enumName, table, time } from "../output.ts";
import { rulesOfWire, rulesText } from "../wire-rules.ts";

function askedOf(flags: Flags) {
  const tags = flags.list("tag").map((text): [string, string] => {
    const tag = tagOf(text);
    if (tag === undefined) throw new UsageError("--tag is written name=value");
    return [tag.name, tag.value];
  });
  const tokens = (name: string): number => Number(wholeNumber(`--${name}`, flags.text(name) ?? "0"));
  return {
    keyId: required(flags, "key"),
    model: required(flags, "model"),
    tags: Object.fromEntries(tags),
    endUser: flags.text("end-user") ?? "",
    clientIp: flags.text("ip") ?? "",
    runId: flags.text("run") ?? "",
    stream: flags.on("stream"),
    tools: flags.on("tools"),
    inputTokens: tokens("input-tokens"),
    outputTokens: tokens("output-tokens"),
  };
}

/** What the ingress caps an answer at where nobody else does. */
const DEFAULT_OUTPUT_CAP = 4_096;

/** As the ingress has it: what is asked for under the rules' cap, else that, else the model's own. */
function outputCap(asked: number, ruled: number, models: readonly router.Candidate[]): number {
  if (asked > 0) return ruled === 0 ? asked : Math.min(asked, ruled);
  if (ruled > 0) return ruled;
  const largest = Math.max(0, ...models.map(({ maxOutputTokens, contextWindow }) => maxOutputTokens || contextWindow));
  return largest === 0 ? DEFAULT_OUTPUT_CAP : largest;
}

const planOf = ({ price, prices }: router.Candidate): PricePlan => ({
  always: price,
  dated: prices.map(({ workspace, fromMs, toMs, price: of }) => ({
    workspace,
    fromMs: Number(fromMs),
    toMs: Number(toMs),
    price: of,
  })),
});

function candidateOf(
  model: router.Candidate,
  workspace: string,
  inputTokens: number,
  outputTokens: number,
): MessageInitShape<typeof policy.ExplainCandidateSchema> {
  const price = priceAt(planOf(model), workspace, Date.now());
  const { provider, region } = model;
  const tokens = { inputTokens, outputTokens: Math.min(outputTokens, model.maxOutputTokens || outputTokens) };
  const bound = price && {
    costNanos: costBoundOf(tokens, price),
    tokens: BigInt(tokens.inputTokens + tokens.outputTokens),
  };
  return { provider, region, model: model.model, ...(bound === undefined ? {} : { bound }) };
}

/** Who may serve the model; none where the router does not know it, or is served elsewhere. */
async function modelsOf(routing: Client<typeof router.RouterService>, model: string, call: CallOptions) {
  try {
    const { candidates } = await routing.explainRoute({ model }, call);
    return candidates.flatMap(({ candidate }) => candidate ?? []);
  } catch (error) {
    if (error instanceof ConnectError) return [];
    throw error;
  }
}

const isUsd = (rule: string): boolean => / usd( per |$)/.test(rule);
const amount = (rule: string, value: bigint): string => (isUsd(rule) ? `$${dollarsOf(value)}` : String(value));

function text(found: policy.ExplainResponse): string {
  const { refused, levels, candidates, limits, budgets, hold } = found;
  const parts = [
    refused === undefined
      ? `admitted: ${found.key}`
      : `refused by ${refused.rule}: ${refused.error?.message ?? ""} (${enumName(common.ErrorReasonSchema, refused.error?.reason ?? 0).replaceAll("-", "_")})`,
    table(
      ["LEVEL", "SAYS", "RULES"],
      levels.map(({ level, refusedBy, rules }) => [
        level,
        refusedBy === "" ? "lets in" : `refuses: ${refusedBy}`,
        rulesText(rulesOfWire(rules)).join("; "),
      ]),
    ),
    table(
      ["PROVIDER", "MODEL", "REGION", "MAY SERVE IT", "AT MOST"],
      candidates.map(({ candidate, allowed, reason }) => [
        candidate?.provider ?? "",
        candidate?.model ?? "",
        candidate?.region ?? "",
        allowed ? "yes" : `no: ${reason}`,
        candidate?.bound === undefined ? "unknown" : `$${dollarsOf(candidate.bound.costNanos)}`,
      ]),
    ),
    table(
      ["LIMIT", "TAKES", "LEFT", "OF", "FULL IN", ""],
      limits.map(({ limit, takes, state, refuses }) => [
        limit,
        takes,
        state?.remaining ?? 0n,
        state?.limit ?? 0n,
        `${Math.ceil(Number(state?.resetMs ?? 0n) / 1000)}s`,
        refuses ? "refuses" : "",
      ]),
    ),
    table(
      ["BUDGET", "TAKES", "LEFT", "OF", "UNTIL (UTC)", ""],
      budgets.map(({ budget, takes, state, refuses }) => [
        `${budget}${state?.hard === true ? "" : " (soft)"}`,
        amount(budget, takes),
        amount(budget, state === undefined ? 0n : state.limit - state.spent - state.held),
        amount(budget, state?.limit ?? 0n),
        time(state?.periodEndMs ?? 0n),
        refuses ? "refuses" : state?.closed === true ? "closed" : "",
      ]),
    ),
    hold === undefined ? "nothing would be held" : `would hold $${dollarsOf(hold.costNanos)}, ${hold.tokens} tokens`,
  ];
  return parts.join("\n\n");
}

export const explainCommands: readonly Command[] = [
  {
    name: "explain",
    usage:
      "--key ID --model M [--tag name=value]… [--end-user U] [--ip A] [--run R] [--stream] [--tools] [--input-tokens N] [--output-tokens N]",
    summary: "why a request would be admitted or refused, what is left of each limit and budget, what it would hold",
    options: {
      key: { type: "string" },
      model: { type: "string" },
      tag: { type: "string", multiple: true },
      "end-user": { type: "string" },
      run: { type: "string" },
      ip: { type: "string" },
      stream: { type: "boolean" },
      tools: { type: "boolean" },
      "input-tokens": { type: "string" },
      "output-tokens": { type: "string" },
    },
    async run({ connection, output, flags }) {
      const asked = askedOf(flags);
      const { client, call } = connection();
      const admin = client(policy.PolicyAdminService);
      const models = await modelsOf(client(router.RouterService), asked.model, call);
      const { rules, workspace } = await admin.explain(asked, call);
      const outputTokens = outputCap(asked.outputTokens, rules?.maxOutputTokens ?? 0, models);
      const candidates = models.map((model) => candidateOf(model, workspace, asked.inputTokens, outputTokens));
      const found = await admin.explain({ ...asked, outputTokens, candidates }, call);
      output.message(policy.ExplainResponseSchema, found, text);
    },
  },
];
