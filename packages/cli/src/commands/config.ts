import { type FetchedSecrets, openConfig } from "@weir/config";
import type { Command } from "../command.ts";
import { unpricedTargets } from "../unpriced.ts";

export const configCommands: readonly Command[] = [
  {
    name: "config check",
    usage: "[file]",
    summary: "read weir.yaml and WEIR_… as a start would, and tell every problem",
    words: { least: 0, most: 1 },
    async run({ output, args, env }) {
      const [file] = args;
      let outside = 0;
      // A Vault's token is the services' own: here it is only seen where secrets would come from.
      const fetchSecrets = (references: readonly string[]): Promise<FetchedSecrets> => {
        outside = references.length;
        return Promise.resolve(new Map(references.map((reference) => [reference, "not fetched"])));
      };
      const { config } = await openConfig(file === undefined ? env : { ...env, WEIR_CONFIG: file }, { fetchSecrets });
      const count = (of: ReadonlyMap<string, unknown>, what: string): string =>
        `${of.size} ${what}${of.size === 1 ? "" : "s"}`;
      output.line(
        `ok: ${count(config.providers, "provider")}, ${count(config.models, "model")}, ${count(config.workspaces, "workspace")}`,
      );
      for (const line of await unpricedTargets(config, Date.now())) output.line(line);
      if (outside > 0)
        output.line(
          `not fetched: ${outside} secret${outside === 1 ? "" : "s"} that a Vault or AWS Secrets Manager keeps`,
        );
    },
  },
];
