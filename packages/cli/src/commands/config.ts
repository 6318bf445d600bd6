import { loadConfig } from "@weir/config";
import type { Command } from "../command.ts";

export const configCommands: readonly Command[] = [
  {
    name: "config check",
    usage: "[file]",
    summary: "read weir.yaml and WEIR_… as a start would, and tell every problem",
    words: { least: 0, most: 1 },
    async run({ output, args, env }) {
      const [file] = args;
      const config = loadConfig(file === undefined ? env : { ...env, WEIR_CONFIG: file });
      const count = (of: ReadonlyMap<string, unknown>, what: string): string =>
        `${of.size} ${what}${of.size === 1 ? "" : "s"}`;
      output.line(
        `ok: ${count(config.providers, "provider")}, ${count(config.models, "model")}, ${count(config.workspaces, "workspace")}`,
      );
    },
  },
];
