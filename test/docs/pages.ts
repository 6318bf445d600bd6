import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** Every page for people, by its path from the repository's root. */
export function pages(): string[] {
  const found = ["README.md", "CONTRIBUTING.md", "SECURITY.md"];
  for (const folder of ["docs", "deploy", "services", "packages"]) {
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
      const path = relative(ROOT, join(entry.parentPath, entry.name));
      if (entry.isFile() && path.endsWith(".md") && !path.includes("node_modules/")) found.push(path);
    }
  }
  return found;
}

export interface CodeBlock {
  readonly language: string;
  /** What follows the language, as in "```sh first-call". */
  readonly mark: string;
  readonly code: string;
}

export const codeBlocks = (text: string): CodeBlock[] =>
  [...text.matchAll(/^```(\S*) *(\S*)\n(.*?)^```$/gms)].map(([, language = "", mark = "", code = ""]) => ({
    language,
    mark,
    code,
  }));

/** The cells of every table row whose first cell is one name in backticks. */
export const tableRows = (text: string): string[][] =>
  [...text.matchAll(/^\| (`.*) \|$/gm)].map(([, row = ""]) => row.split(" | ").map((cell) => cell.trim()));
