import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { ConfigError } from "@weir/config";
import { catalogue, WeirError } from "@weir/kernel";
import { fromConnectError } from "@weir/mesh";
import { type Command, type Flags, UsageError } from "./command.ts";
import { auditCommands } from "./commands/audit.ts";
import { auditProofCommands } from "./commands/audit-proof.ts";
import { auditRetentionCommands } from "./commands/audit-retention.ts";
import { applyCommands } from "./commands/apply.ts";
import { budgetCommands } from "./commands/budgets.ts";
import { configCommands } from "./commands/config.ts";
import { deadLetterCommands } from "./commands/dead-letters.ts";
import { erasureCommands } from "./commands/erasures.ts";
import { evaluationCommands } from "./commands/evaluations.ts";
import { evaluationDataCommands } from "./commands/eval-data.ts";
import { explainCommands } from "./commands/explain.ts";
import { issuerCommands } from "./commands/issuers.ts";
import { keyCommands } from "./commands/keys.ts";
import { ledgerCommands, webhookCommands } from "./commands/ledger.ts";
import { limitCommands } from "./commands/limits.ts";
import { priceCommands } from "./commands/prices.ts";
import { replayCommands } from "./commands/replays.ts";
import { routingCommands } from "./commands/routing.ts";
import { ruleCommands } from "./commands/rules.ts";
import { runCommands } from "./commands/runs.ts";
import { tokenCommands } from "./commands/tokens.ts";
import { workspaceCommands } from "./commands/workspaces.ts";
import { addressOf, connect, type Connection } from "./connection.ts";
import { createOutput } from "./output.ts";

const COMMANDS: readonly Command[] = [
  ...keyCommands,
  ...tokenCommands,
  ...issuerCommands,
  ...applyCommands,
  ...explainCommands,
  ...workspaceCommands,
  ...ruleCommands,
  ...budgetCommands,
  ...ledgerCommands,
  ...webhookCommands,
  ...limitCommands,
  ...auditCommands,
  ...auditProofCommands,
  ...erasureCommands,
  ...auditRetentionCommands,
  ...routingCommands,
  ...priceCommands,
  ...evaluationCommands,
  ...runCommands,
  ...evaluationDataCommands,
  ...replayCommands,
  ...deadLetterCommands,
  ...configCommands,
];

/** Of every command. */
const GLOBAL = {
  json: { type: "boolean" },
  rpc: { type: "string" },
  help: { type: "boolean", short: "h" },
} satisfies ParseArgsOptionsConfig;

export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** @returns the exit code: 0 done, 1 refused or failed, 2 typed wrongly */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [leading, words] = leadingFlags(argv);
  const command = commandOf(words);
  if (command === undefined) {
    const asked = words.length === 0 || argv.some((word) => word === "--help" || word === "-h" || word === "help");
    (asked ? terminal.out : terminal.err)(overview(words[0]));
    return asked ? 0 : 2;
  }
  try {
    const own = words.slice(command.name.split(" ").length);
    return await runCommand(command, [...leading, ...own], terminal);
  } catch (error) {
    const [code, message] = explain(error, command);
    terminal.err(`weir: ${message}\n`);
    return code;
  }
}

/** Flags of every command may also stand before it: `weir --rpc URL keys list`. */
function leadingFlags(argv: readonly string[]): [leading: readonly string[], words: readonly string[]] {
  let at = 0;
  while (at < argv.length) {
    const word = argv[at] ?? "";
    const [, name, value] = /^--([a-z]+)(=.*)?$/.exec(word) ?? (word === "-h" ? ["", "help"] : []);
    if (name === undefined || !Object.hasOwn(GLOBAL, name)) break;
    at += name === "rpc" && value === undefined ? 2 : 1;
  }
  return [argv.slice(0, at), argv.slice(at)];
}

function commandOf(argv: readonly string[]): Command | undefined {
  return COMMANDS.find(({ name }) => name.split(" ").every((word, index) => argv[index] === word));
}

async function runCommand(command: Command, args: readonly string[], { env, out }: Terminal): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { ...GLOBAL, ...command.options },
    allowPositionals: true,
    strict: true,
  });
  const flags = flagsOf(values);
  if (flags.on("help")) {
    out(`${usageOf(command)}\n\n${command.summary}\n\nAlways: [--json] [--rpc http://host:port]\n`);
    return 0;
  }
  const { least, most } = command.words ?? { least: 0, most: 0 };
  if (positionals.length < least || positionals.length > most) throw new UsageError(`usage: ${usageOf(command)}`);
  let connection: Connection | undefined;
  try {
    await command.run({
      connection: () => (connection ??= connect(env, flags.text("rpc"))),
      output: createOutput(out, flags.on("json")),
      flags,
      args: positionals,
      env,
    });
    return 0;
  } catch (error) {
    // No detail of ours: it did not come from Weir.
    if (!(error instanceof ConnectError) || error.code !== Code.Unavailable || error.details.length > 0) throw error;
    const address = addressOf(env, flags.text("rpc"));
    throw new Error(`cannot reach Weir at ${address} (${error.rawMessage}). Does it run? WEIR_RPC says where.`, {
      cause: error,
    });
  } finally {
    await connection?.[Symbol.asyncDispose]();
  }
}

const usageOf = (command: Command): string => `weir ${command.name} ${command.usage}`.trimEnd();

function flagsOf(values: Readonly<Record<string, unknown>>): Flags {
  return {
    text(name) {
      const value = values[name];
      return typeof value === "string" ? value : undefined;
    },
    list(name) {
      const value = values[name];
      return Array.isArray(value) ? value.map(String) : [];
    },
    on: (name) => values[name] === true,
  };
}

function overview(group: string | undefined): string {
  const own = COMMANDS.filter(({ name }) => name.split(" ")[0] === group);
  const shown = own.length > 0 ? own : COMMANDS;
  const width = Math.max(...shown.map(({ name }) => name.length));
  return [
    "weir <command> [flags]",
    "",
    ...shown.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "`weir <command> --help` says more. WEIR_RPC (http://127.0.0.1:8081) says where Weir is, WEIR_ADMIN_TOKEN who asks;",
    "on a standalone's own machine the token is read from its data folder (WEIR_DATA_DIR, else ./.weir).",
    "",
  ].join("\n");
}

function explain(error: unknown, command: Command): [code: number, message: string] {
  if (error instanceof UsageError || (error instanceof RangeError && !(error instanceof ConfigError)))
    return [2, error.message];
  if (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS")) {
    return [2, `${error.message}\nusage: ${usageOf(command)}`];
  }
  if (error instanceof ConfigError) return [1, error.message];
  if (error instanceof ConnectError || error instanceof WeirError) {
    const { reason, message } = error instanceof WeirError ? error : fromConnectError(error);
    return [1, `${message}\n${catalogue[reason].advice} (${reason})`];
  }
  return [1, error instanceof Error ? error.message : String(error)];
}
