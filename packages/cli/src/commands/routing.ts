import { common, router } from "@weir/contracts";
import { dollarsOf } from "@weir/kernel";
import { type Command, type Flags, wholeNumber } from "../command.ts";
import { enumName, table, time } from "../output.ts";

const UNKNOWN = "unknown";
const abilities = (of: router.ModelCapabilities | undefined): string =>
  of === undefined
    ? ""
    : [
        of.tools === true ? "tools" : "",
        of.images === true ? "images" : "",
        of.audio === true ? "audio" : "",
        of.documents === true ? "documents" : "",
        of.structuredOutput === true ? "schema" : "",
        of.reasoning === true ? "reasoning" : "",
      ]
        .filter((word) => word !== "")
        .join(" ");
const price = (of: common.Price | undefined): string =>
  of === undefined ? UNKNOWN : `$${dollarsOf(of.inputNanosPerMtok)} / $${dollarsOf(of.outputNanosPerMtok)}`;
const tokens = (flags: Flags, name: string): number => Number(wholeNumber(`--${name}`, flags.text(name) ?? "0"));
const NOT_STATED = "not stated";
const PRICE_HEAD = "IN / OUT PER MILLION";

export const routingCommands: readonly Command[] = [
  {
    name: "models",
    usage: "",
    summary: "the names that clients use, and who serves them",
    async run({ connection, output }) {
      const { client, call } = connection();
      const found = await client(router.RouterService).listModels({}, call);
      output.message(router.ListModelsResponseSchema, found, ({ models }) =>
        table(
          ["NAME", "PROVIDER", "MODEL", "REGION", PRICE_HEAD, "WINDOW", "OUTPUT", "CAN"],
          models.flatMap(({ id, candidates }) =>
            candidates.map((of) => [
              id,
              of.provider,
              of.model,
              of.region,
              price(of.price),
              of.contextWindow || UNKNOWN,
              of.maxOutputTokens || UNKNOWN,
              abilities(of.capabilities),
            ]),
          ),
        ),
      );
    },
  },
  {
    name: "providers",
    usage: "",
    summary: "how the providers do, where they are, and what was agreed with them",
    async run({ connection, output }) {
      const { client, call } = connection();
      const found = await client(router.RouterService).providerHealth({}, call);
      output.message(router.ProviderHealthResponseSchema, found, ({ providers }) =>
        table(
          [
            "PROVIDER",
            "KIND",
            "SUCCEEDED",
            "FAILED",
            "IN FLIGHT",
            "LAST FAILURE (UTC)",
            "",
            "COOLS UNTIL",
            "REGION",
            "ORIGIN",
            "DPA",
            "RETENTION",
            "TRAINING",
          ],
          providers.map((of) => [
            of.provider,
            of.kind,
            of.succeeded,
            of.failed,
            of.inFlight,
            time(of.lastFailureMs),
            of.lastError === 0 ? "" : enumName(common.ErrorReasonSchema, of.lastError),
            time(of.coolingUntilMs),
            of.region,
            of.origin,
            of.terms?.dpa || NOT_STATED,
            of.terms?.retention || NOT_STATED,
            of.terms?.training || NOT_STATED,
          ]),
        ),
      );
    },
  },
  {
    name: "route explain",
    usage:
      "<model> [--provider P]… [--region R]… [--input-tokens N] [--output-tokens N] [--stream] [--conversation NAME]",
    summary: "who would serve a model, in which order, and why",
    words: { least: 1, most: 1 },
    options: {
      provider: { type: "string", multiple: true },
      region: { type: "string", multiple: true },
      "input-tokens": { type: "string" },
      "output-tokens": { type: "string" },
      stream: { type: "boolean" },
      conversation: { type: "string" },
    },
    async run({ connection, output, flags, args }) {
      const { client, call } = connection();
      const found = await client(router.RouterService).explainRoute(
        {
          model: args[0] ?? "",
          allowedProviders: flags.list("provider"),
          allowedRegions: flags.list("region"),
          inputTokens: tokens(flags, "input-tokens"),
          outputTokens: tokens(flags, "output-tokens"),
          stream: flags.on("stream"),
          conversation: flags.text("conversation") ?? "",
        },
        call,
      );
      output.message(
        router.ExplainRouteResponseSchema,
        found,
        ({ candidates, shadow }) =>
          `${table(
            ["", "PROVIDER", "MODEL", "REGION", PRICE_HEAD, "WEIGHT", "UNDER WAY", "LATENCY", "COST", "WHY"],
            candidates.map(({ candidate, eligible, reason, ...scores }, index) => [
              eligible ? `${index + 1}.` : "out",
              candidate?.provider ?? "",
              candidate?.model ?? "",
              candidate?.region ?? "",
              price(candidate?.price),
              scores.weight,
              scores.inFlight,
              scores.latencyMs === 0 ? "unseen" : `${Math.round(scores.latencyMs)} ms`,
              scores.costNanos === undefined ? "unknown" : `$${dollarsOf(scores.costNanos)}`,
              reason,
            ]),
          )}${shadow === undefined ? "" : shadowLine(shadow)}`,
      );
    },
  },
];

function shadowLine({ shadow, eligible, reason }: router.ShadowVerdict): string {
  if (shadow === undefined) return "";
  const { provider, model, keyId, maxConcurrent } = shadow;
  const bounds = `paid for by key ${keyId}, at most ${maxConcurrent} at a time for each ingress`;
  return `\nshadow ${provider}/${model}: ${eligible ? "" : "out: "}${reason}; ${bounds}\n`;
}
