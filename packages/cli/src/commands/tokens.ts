import { readFileSync } from "node:fs";
import type { ParseArgsOptionsConfig } from "node:util";
import { durationMs } from "@weir/config";
import { policy } from "@weir/contracts";
import { nanosOfDollars } from "@weir/kernel";
import { type Command, type Flags, required, UsageError, wholeNumber } from "../command.ts";
import { type Output, printable, time } from "../output.ts";
import { RULE_OPTIONS, RULE_USAGE, rulesOf } from "../rules.ts";
import { SCOPE_OPTION, scopesOf } from "./keys.ts";

const TERM_OPTIONS = {
  ttl: { type: "string" },
  usd: { type: "string" },
  tokens: { type: "string" },
  requests: { type: "string" },
  ...SCOPE_OPTION,
  ...RULE_OPTIONS,
} satisfies ParseArgsOptionsConfig;
const TERM_USAGE = `[--ttl 1h] [--usd 0.5] [--tokens N] [--requests N] [--scope inference|read]… ${RULE_USAGE}`;

function termsOf(flags: Flags) {
  const [ttl, usd, tokens, requests] = [
    flags.text("ttl"),
    flags.text("usd"),
    flags.text("tokens"),
    flags.text("requests"),
  ];
  return {
    ttlMs: ttl === undefined ? 0n : BigInt(durationMs(ttl)),
    scopes: scopesOf(flags),
    ...rulesOf(flags),
    ...(usd === undefined ? {} : { budgetNanoUsd: nanosOfDollars(usd) }),
    ...(tokens === undefined ? {} : { budgetTokens: wholeNumber("--tokens", tokens) }),
    ...(requests === undefined ? {} : { budgetRequests: wholeNumber("--requests", requests) }),
  };
}

function tell(output: Output, key: policy.ShortLivedKey | undefined): void {
  if (key === undefined) return;
  output.note(`This key is shown once and works until ${time(key.expiresAtMs)}:`);
  output.message(policy.ShortLivedKeySchema, key, ({ secret }) => printable(secret));
}

const mint: Command = {
  name: "keys mint",
  usage: `[--name NAME] [--end-user U] ${TERM_USAGE}`,
  summary: "make a short-lived key from the one in WEIR_KEY; it may no more than that and ends with it",
  options: { name: { type: "string" }, "end-user": { type: "string" }, ...TERM_OPTIONS },
  async run({ connection, output, flags, env }) {
    const parent = env["WEIR_KEY"] ?? "";
    if (parent === "") throw new UsageError("WEIR_KEY must hold the key to mint from");
    const { client, call } = connection();
    const { key } = await client(policy.TokenService).mintKey(
      { name: flags.text("name") ?? "", endUser: flags.text("end-user") ?? "", terms: termsOf(flags) },
      { ...call, headers: { authorization: `Bearer ${parent}` } },
    );
    tell(output, key);
  },
};

const exchange: Command = {
  name: "keys exchange",
  usage: `--token-file FILE [--issuer ID] ${TERM_USAGE}`,
  summary: "make a short-lived key for a token of a trusted issuer (see issuers); FILE may be - for standard input",
  options: { "token-file": { type: "string" }, issuer: { type: "string" }, ...TERM_OPTIONS },
  async run({ connection, output, flags }) {
    const file = required(flags, "token-file");
    const token = readFileSync(file === "-" ? 0 : file, "utf8").trim();
    const { client, call } = connection();
    const asked = { token, issuerId: flags.text("issuer") ?? "", terms: termsOf(flags) };
    const { key } = await client(policy.TokenService).exchangeToken(asked, { ...call, headers: {} });
    tell(output, key);
  },
};

export const tokenCommands: readonly Command[] = [mint, exchange];
