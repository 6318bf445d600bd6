import { durationMs } from "@weir/config";
import { policy } from "@weir/contracts";
import { type Command, required, UsageError } from "../command.ts";
import { table } from "../output.ts";
import { RULE_OPTIONS, RULE_USAGE, rulesOf } from "../rules.ts";
import { SCOPE_OPTION, scopesOf, scopesText } from "./keys.ts";

const issuerTable = (issuers: readonly policy.Issuer[]): string =>
  table(
    ["ID", "NAME", "URL", "AUDIENCES", "CLAIMS", "END USER", "TTL", "SCOPES", "KEY"],
    issuers.map((issuer) => [
      issuer.id,
      issuer.name,
      issuer.url,
      issuer.audiences.join(","),
      Object.entries(issuer.requiredClaims)
        .map(([name, value]) => `${name}=${value}`)
        .join(",") || "–",
      issuer.endUserClaim || "–",
      `${issuer.ttlMs / 60_000n}m`,
      scopesText(issuer.scopes),
      issuer.keyId,
    ]),
  );

function claimOf(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1) throw new UsageError("--claim is written name=value");
  return [text.slice(0, at), text.slice(at + 1)];
}

const put: Command = {
  name: "issuers put",
  usage: `<name> --url U --audience A… [--claim name=value]… [--end-user-claim C] [--ttl 1h] [--jwks-url U] [--algorithm A]… [--workspace W] [--project P] [--scope inference|read]… ${RULE_USAGE}`,
  summary:
    "trust an OpenID Connect issuer: its tokens are good for short-lived keys; the same name again replaces its terms",
  words: { least: 1, most: 1 },
  options: {
    url: { type: "string" },
    audience: { type: "string", multiple: true },
    claim: { type: "string", multiple: true },
    "end-user-claim": { type: "string" },
    ttl: { type: "string" },
    "jwks-url": { type: "string" },
    algorithm: { type: "string", multiple: true },
    workspace: { type: "string" },
    project: { type: "string" },
    ...SCOPE_OPTION,
    ...RULE_OPTIONS,
  },
  async run({ connection, output, flags, args }) {
    const ttl = flags.text("ttl");
    const audiences = flags.list("audience");
    if (audiences.length === 0) throw new UsageError("--audience is missing");
    const { client, call } = connection();
    const made = await client(policy.PolicyAdminService).putIssuer(
      {
        name: args[0] ?? "",
        workspace: flags.text("workspace") ?? "",
        project: flags.text("project") ?? "",
        url: required(flags, "url"),
        jwksUrl: flags.text("jwks-url") ?? "",
        audiences,
        algorithms: flags.list("algorithm"),
        requiredClaims: Object.fromEntries(flags.list("claim").map(claimOf)),
        endUserClaim: flags.text("end-user-claim") ?? "",
        ttlMs: ttl === undefined ? 0n : BigInt(durationMs(ttl)),
        scopes: scopesOf(flags),
        ...rulesOf(flags),
      },
      call,
    );
    output.message(policy.PutIssuerResponseSchema, made, ({ issuer }) =>
      issuerTable(issuer === undefined ? [] : [issuer]),
    );
  },
};

const list: Command = {
  name: "issuers list",
  usage: "[--workspace W]",
  summary: "issuers whose tokens are trusted",
  options: { workspace: { type: "string" } },
  async run({ connection, output, flags }) {
    const { client, call } = connection();
    const workspace = flags.text("workspace") ?? "";
    const found = await client(policy.PolicyAdminService).listIssuers({ workspace }, call);
    output.message(policy.ListIssuersResponseSchema, found, ({ issuers }) => issuerTable(issuers));
  },
};

const remove: Command = {
  name: "issuers delete",
  usage: "<issuer id> [--now]",
  summary: "trust it no longer; its keys end, with --now what they run ends, too",
  words: { least: 1, most: 1 },
  options: { now: { type: "boolean" } },
  async run({ connection, output, flags, args }) {
    const { client, call } = connection();
    const asked = { issuerId: args[0] ?? "", endRequests: flags.on("now") };
    const gone = await client(policy.PolicyAdminService).deleteIssuer(asked, call);
    output.message(policy.DeleteIssuerResponseSchema, gone, () => "deleted");
  },
};

export const issuerCommands: readonly Command[] = [put, list, remove];
