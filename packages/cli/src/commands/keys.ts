import { policy } from "@weir/contracts";
import { durationMs } from "@weir/config";
import { choice, type Command, required } from "../command.ts";
import { enumName, printable, table, time } from "../output.ts";
import { RULE_OPTIONS, RULE_USAGE, rulesOf } from "../rules.ts";

const SCOPES = { inference: policy.Scope.INFERENCE, read: policy.Scope.READ, admin: policy.Scope.ADMIN };

const keyRow = (key: policy.Key): string[] => [
  key.id,
  key.name,
  `${key.prefix}…`,
  key.scopes.map((scope) => enumName(policy.ScopeSchema, scope)).join(","),
  time(key.createdAtMs),
  time(key.expiresAtMs),
  key.revokedAtMs === 0n ? "" : `revoked ${time(key.revokedAtMs)}`,
];
const KEY_HEAD = ["ID", "NAME", "PREFIX", "SCOPES", "CREATED", "EXPIRES", ""];

export const keyCommands: readonly Command[] = [
  {
    name: "keys create",
    usage: `--name NAME [--workspace W] [--project P] [--expires 30d] [--scope inference|read|admin]… ${RULE_USAGE}`,
    summary: "make a key; it is shown once",
    options: {
      name: { type: "string" },
      workspace: { type: "string" },
      project: { type: "string" },
      expires: { type: "string" },
      scope: { type: "string", multiple: true },
      ...RULE_OPTIONS,
    },
    async run({ connection, output, flags }) {
      const expires = flags.text("expires");
      const { client, call } = connection();
      const made = await client(policy.PolicyAdminService).createKey(
        {
          name: required(flags, "name"),
          workspace: flags.text("workspace") ?? "",
          project: flags.text("project") ?? "",
          expiresAtMs: expires === undefined ? 0n : BigInt(Date.now() + durationMs(expires)),
          scopes: flags.list("scope").map((scope) => choice("--scope", scope, SCOPES)),
          ...rulesOf(flags),
        },
        call,
      );
      output.note("This key is shown once and stored nowhere:");
      output.message(policy.CreateKeyResponseSchema, made, ({ secret }) => printable(secret));
    },
  },
  {
    name: "keys list",
    usage: "[--workspace W] [--revoked]",
    summary: "keys and when they end",
    options: { workspace: { type: "string" }, revoked: { type: "boolean" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const found = await client(policy.PolicyAdminService).listKeys(
        { workspace: flags.text("workspace") ?? "", includeRevoked: flags.on("revoked") },
        call,
      );
      output.message(policy.ListKeysResponseSchema, found, ({ keys }) => table(KEY_HEAD, keys.map(keyRow)));
    },
  },
  {
    name: "keys revoke",
    usage: "<key id>",
    summary: "end a key now; instances that cannot reach policy follow within a minute",
    words: { least: 1, most: 1 },
    async run({ connection, output, args }) {
      const { client, call } = connection();
      const gone = await client(policy.PolicyAdminService).revokeKey({ keyId: args[0] ?? "" }, call);
      output.message(policy.RevokeKeyResponseSchema, gone, ({ key }) =>
        table(KEY_HEAD, key === undefined ? [] : [keyRow(key)]),
      );
    },
  },
];
