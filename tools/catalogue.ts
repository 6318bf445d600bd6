// `node tools/catalogue.ts`: renews packages/pricing/src/models.json, what models can do, from two published collections of models.dev
// (https://models.dev, MIT). Needs npm's registry and tar. What changed is seen in the file's diff: a model a line.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const OUT = resolve(import.meta.dirname, "../packages/pricing/src/models.json");

/** LangChain's profiles know most about a model, of these makers; named as in the price book. */
const PROFILES = [
  { maker: "openai", from: "@langchain/openai", file: "dist/chat_models/profiles.js" },
  { maker: "anthropic", from: "@langchain/anthropic", file: "dist/profiles.js" },
  { maker: "google", from: "@langchain/google-genai", file: "dist/profiles.js" },
] as const;
/** Pi's list is of models that call tools, of many; its makers by the price book's names. */
const LIST = { from: "@earendil-works/pi-ai", file: "dist/models.generated.js" } as const;
const MAKERS = {
  openai: "openai",
  anthropic: "anthropic",
  google: "google",
  "google-vertex": "google",
  "amazon-bedrock": "aws",
  mistral: "mistral",
  groq: "groq",
  deepseek: "deepseek",
  xai: "x-ai",
  together: "together",
  openrouter: "openrouter",
} as const;

type Facts = Record<string, number | boolean>;
type Profile = Record<string, number | boolean | undefined>;
interface Listed {
  readonly reasoning?: boolean;
  readonly input?: readonly string[];
  readonly contextWindow?: number;
  readonly maxTokens?: number;
}

const folder = mkdtempSync(join(tmpdir(), "catalogue-"));
const sources: string[] = [];
const makers = new Map<string, Map<string, Facts>>();

async function exported(name: string, file: string): Promise<Record<string, unknown>> {
  const run = (command: string, ...args: string[]): string =>
    execFileSync(command, args, { cwd: folder, encoding: "utf8" });
  const packed = run("npm", "pack", "--silent", name).trim().split("\n").at(-1) ?? "";
  run("tar", "xzf", packed, "--one-top-level");
  const unpacked = join(folder, packed.replace(/\.tgz$/, ""), "package");
  sources.push(packed.replace(/\.tgz$/, ""));
  return (await import(pathToFileURL(join(unpacked, file)).href)) as Record<string, unknown>;
}

function learn(maker: string, model: string, facts: Readonly<Record<string, number | boolean | undefined>>): void {
  const models = makers.get(maker) ?? new Map<string, Facts>();
  makers.set(maker, models);
  const known = models.get(model) ?? {};
  models.set(model, known);
  for (const [name, value] of Object.entries(facts)) if (value !== undefined && value !== 0) known[name] ??= value;
}

try {
  const { MODELS } = (await exported(LIST.from, LIST.file)) as { MODELS: Record<string, Record<string, Listed>> };
  for (const [name, maker] of Object.entries(MAKERS))
    for (const [model, { reasoning, input, contextWindow, maxTokens }] of Object.entries(MODELS[name] ?? {})) {
      const images = input?.includes("image");
      const facts = { contextWindow, maxOutput: maxTokens, tools: true, images, reasoning };
      learn(maker, model, facts);
      // Cohere has no list of its own here.
      if (maker === "openrouter" && model.startsWith("cohere/")) learn("cohere", model.slice("cohere/".length), facts);
    }
  for (const { maker, from, file } of PROFILES) {
    const { default: profiles } = (await exported(from, file)) as { default: Record<string, Profile> };
    for (const [model, profile] of Object.entries(profiles))
      learn(maker, model, {
        contextWindow: profile["maxInputTokens"],
        maxOutput: profile["maxOutputTokens"],
        tools: profile["toolCalling"],
        images: profile["imageInputs"],
        audio: profile["audioInputs"],
        documents: profile["pdfInputs"],
        // Where it is not stated, it is false there, also for models that have learned it since.
        structuredOutput: profile["structuredOutput"] === true ? true : undefined,
        reasoning: profile["reasoningOutput"],
      });
  }
} finally {
  rmSync(folder, { recursive: true });
}

const sorted = <T>(map: ReadonlyMap<string, T>): [string, T][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
const lines = sorted(makers).map(([maker, models]) => {
  const rows = sorted(models).map(([model, facts]) => `      ${JSON.stringify(model)}: ${JSON.stringify(facts)}`);
  return `    ${JSON.stringify(maker)}: {\n${rows.join(",\n")}\n    }`;
});
writeFileSync(OUT, `{\n  "sources": ${JSON.stringify(sources.sort())},\n  "makers": {\n${lines.join(",\n")}\n  }\n}\n`);
