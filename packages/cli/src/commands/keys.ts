import type { ParseArgsOptionsConfig } from "node:util";
import { durationMs } from "@weir/config";
import { policy } from "@weir/contracts";
import { choice, type Command, type Flags, required, UsageError } from "../command.ts";
import { enumName, printable, table, time } from "../output.ts";
import { RULE_OPTIONS, RULE_USAGE, rulesOf } from "../rules.ts";

const SCOPES = {
  inference: policy.Scope.INFERENCE,
  read: policy.Scope.READ,
  admin: policy.Scope.ADMIN,
  billing: policy.Scope.BILLING,
  "organization-admin": policy.Scope.ORGANIZATION_ADMIN,
};
const SCOPE_USAGE = `[--scope ${Object.keys(SCOPES).join("|")}]…`;

export const SCOPE_OPTION = { scope: { type: "string", multiple: true } } satisfies ParseArgsOptionsConfig;

export const scopesOf = (flags: Flags): policy.Scope[] =>
  flags.list("scope").map((scope) => choice("--scope", scope, SCOPES));
export const scopesText = (scopes: readonly policy.Scope[]): string =>
  scopes.map((scope) => enumName(policy.ScopeSchema, scope)).join(",");

const endOf = (key: policy.Key): string =>
  key.revokedAtMs === 0n ? time(key.expiresAtMs) : `revoked ${time(key.revokedAtMs)}`;

const keyTable = (keys: readonly policy.Key[]): string =>
  table(
    ["ID", "NAME", "PREFIX", "SCOPES", "CREATED", "LAST USED", "EXPIRES"],
    keys.map((key) => [
      key.id,
      key.name,
      `${key.prefix}…`,
      scopesText(key.scopes),
      time(key.createdAtMs),
      time(key.lastUsedAtMs),
      endOf(key),
    ]),
  );

const rowOf = ({ key }: { readonly key?: policy.Key | undefined }): string => keyTable(key === undefined ? [] : [key]);

function details({ key }: policy.GetKeyResponse): string {
  if (key === undefined) return "";
  const { rules } = key;
  const set = Object.entries(rules ?? {}).flatMap(([name, value]): [string, string][] => {
    if (name.startsWith("$") || value === undefined || value === 0 || value === false) return [];
    const text = Array.isArray(value) ? value.map(String).join(", ") : String(value);
    return text === "" ? [] : [[name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), text]];
  });
  return table(
    ["", ""],
    [
      ["id", key.id],
      ["name", key.name],
      ["workspace", key.workspaceId],
      ["project", key.projectId],
      ["scopes", scopesText(key.scopes)],
      ["created", time(key.createdAtMs)],
      ["expires", endOf(key)],
      ["last used", time(key.lastUsedAtMs)],
      ["prefix", `${key.prefix}…`],
      ...key.retiredTexts.map(({ prefix, expiresAtMs }) => ["works until", `${prefix}… ${time(expiresAtMs)}`]),
      ...(key.parentKeyId === "" ? [] : [["minted from", key.parentKeyId]]),
      ...(key.endUser === "" ? [] : [["end user", key.endUser]]),
      ...set,
    ],
  ).replace(/^\s*\n/, "");
}

const expiryOf = (expires: string): bigint => (expires === "never" ? 0n : BigInt(Date.now() + durationMs(expires)));

const create: Command = {
  name: "keys create",
  usage: `--name NAME [--workspace W] [--project P] [--expires 30d] ${SCOPE_USAGE} ${RULE_USAGE}`,
  summary: "make a key; it is shown once",
  options: {
    name: { type: "string" },
    workspace: { type: "string" },
    project: { type: "string" },
    expires: { type: "string" },
    ...SCOPE_OPTION,
    ...RULE_OPTIONS,
  },
  async run({ connection, output, flags }) {
    const { client, call } = connection();
    const made = await client(policy.PolicyAdminService).createKey(
      {
        name: required(flags, "name"),
        workspace: flags.text("workspace") ?? "",
        project: flags.text("project") ?? "",
        expiresAtMs: expiryOf(flags.text("expires") ?? "never"),
        scopes: scopesOf(flags),
        ...rulesOf(flags),
      },
      call,
    );
    output.note("This key is shown once and stored nowhere:");
    output.message(policy.CreateKeyResponseSchema, made, ({ secret }) => printable(secret));
  },
};

const list: Command = {
  name: "keys list",
  usage: "[--workspace W] [--revoked] [--short-lived]",
  summary: "keys, when they were last used and when they end",
  options: { workspace: { type: "string" }, revoked: { type: "boolean" }, "short-lived": { type: "boolean" } },
  async run({ connection, output, flags }) {
    const { client, call } = connection();
    const found = await client(policy.PolicyAdminService).listKeys(
      {
        workspace: flags.text("workspace") ?? "",
        includeRevoked: flags.on("revoked"),
        includeShortLived: flags.on("short-lived"),
      },
      call,
    );
    output.message(policy.ListKeysResponseSchema, found, ({ keys }) => keyTable(keys));
  },
};

const show: Command = {
  name: "keys show",
  usage: "<key id>",
  summary: "all that is known of a key",
  words: { least: 1, most: 1 },
  async run({ connection, output, args }) {
    const { client, call } = connection();
    const found = await client(policy.PolicyAdminService).getKey({ keyId: args[0] ?? "" }, call);
    output.message(policy.GetKeyResponseSchema, found, details);
  },
};

const update: Command = {
  name: "keys update",
  usage: `<key id> [--name NAME] [--expires 30d|never] ${SCOPE_USAGE} [--no-rules] ${RULE_USAGE}`,
  summary: "change what is given; scopes and rules are replaced whole",
  words: { least: 1, most: 1 },
  options: {
    name: { type: "string" },
    expires: { type: "string" },
    "no-rules": { type: "boolean" },
    ...SCOPE_OPTION,
    ...RULE_OPTIONS,
  },
  async run({ connection, output, flags, args }) {
    const expires = flags.text("expires");
    const rules = rulesOf(flags);
    if (flags.on("no-rules") && rules.rules !== undefined) throw new UsageError("--no-rules takes no rules beside it");
    const { client, call } = connection();
    const changed = await client(policy.PolicyAdminService).updateKey(
      {
        keyId: args[0] ?? "",
        name: flags.text("name") ?? "",
        ...(expires === undefined ? {} : { expiresAtMs: expiryOf(expires) }),
        scopes: scopesOf(flags),
        ...(flags.on("no-rules") ? { rules: {} } : rules),
      },
      call,
    );
    output.message(policy.UpdateKeyResponseSchema, changed, rowOf);
  },
};

const rotate: Command = {
  name: "keys rotate",
  usage: "<key id> [--overlap 24h]",
  summary: "give a key a new text, shown once; the old one works until the overlap is over (0s: it ends now)",
  words: { least: 1, most: 1 },
  options: { overlap: { type: "string" } },
  async run({ connection, output, flags, args }) {
    const overlapMs = BigInt(durationMs(flags.text("overlap") ?? "24h"));
    const { client, call } = connection();
    const rotated = await client(policy.PolicyAdminService).rotateKey({ keyId: args[0] ?? "", overlapMs }, call);
    const until = rotated.key?.retiredTexts.at(-1)?.expiresAtMs;
    output.note(
      until === undefined ? "The old text does not work any more." : `The old text works until ${time(until)}.`,
    );
    output.note("This key is shown once and stored nowhere:");
    output.message(policy.RotateKeyResponseSchema, rotated, ({ secret }) => printable(secret));
  },
};

const revoke: Command = {
  name: "keys revoke",
  usage: "<key id> [--now]",
  summary: "end a key and those minted from it; what they run goes on, with --now it ends, too",
  words: { least: 1, most: 1 },
  options: { now: { type: "boolean" } },
  async run({ connection, output, flags, args }) {
    const { client, call } = connection();
    const asked = { keyId: args[0] ?? "", endRequests: flags.on("now") };
    const gone = await client(policy.PolicyAdminService).revokeKey(asked, call);
    output.message(policy.RevokeKeyResponseSchema, gone, rowOf);
  },
};

export const keyCommands: readonly Command[] = [create, list, show, update, rotate, revoke];
