import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const COPIED = [
  "packages",
  "services",
  "tools",
  "tsconfig.json",
  "package.json",
  ".dependency-cruiser.mjs",
  ".oxlintrc.json",
];

/** Copies the sources into a temporary folder, where bad files can be planted beside them. */
export function plantedTree(files: Readonly<Record<string, string>>): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "weir-planted-"));
  for (const name of COPIED) {
    cpSync(join(ROOT, name), join(path, name), { recursive: true, verbatimSymlinks: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(path, "node_modules"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), `${text}\n`);
  }
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** What a tool of the workspace prints as JSON, whatever its exit code. */
export function runJson(tool: string, args: readonly string[], cwd: string): Promise<unknown> {
  return new Promise((resolvePromise, reject) => {
    const options = { cwd, maxBuffer: 256 * 2 ** 20, timeout: 90_000 };
    execFile(join(ROOT, "node_modules/.bin", tool), [...args], options, (error, stdout, stderr) => {
      try {
        resolvePromise(JSON.parse(stdout));
      } catch {
        reject(new Error(`${tool} printed no JSON: ${stderr || stdout}`, { cause: error }));
      }
    });
  });
}
