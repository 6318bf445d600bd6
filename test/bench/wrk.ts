/**
 * wrk as the load generator of the saturated mode, where it is installed: it costs a third of load.ts, which shares its core with the provider
 * and what Weir does beside the request, and so decides how fast anything can look. Its answers are checked all the same, each one.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadOptions, LoadResult } from "./load.ts";

const BINARY = ["/usr/bin/wrk", "/usr/local/bin/wrk", "/opt/homebrew/bin/wrk"].find((path) => existsSync(path));

export const hasWrk = BINARY !== undefined;

/** JSON's escapes of printable ASCII are Lua's, too. */
const lua = (text: string): string => JSON.stringify(text);

const scriptOf = ({ headers, body, endsWith }: LoadOptions): string => `
wrk.method = "POST"
wrk.body = ${lua(body)}
wrk.headers["content-type"] = "application/json"
${Object.entries(headers)
  .map(([name, value]) => `wrk.headers[${lua(name)}] = ${lua(value)}`)
  .join("\n")}
local ending = ${lua(endsWith)}
local threads = {}
failed = 0
example = ""
function setup(thread) table.insert(threads, thread) end
function response(status, headers, body)
  if status ~= 200 or body:sub(-#ending) ~= ending then
    failed = failed + 1
    example = status .. " " .. body:sub(1, 200)
  end
end
function done(summary, latency)
  local bad, example = 0, ""
  for _, thread in ipairs(threads) do
    bad = bad + thread:get("failed")
    if thread:get("example") ~= "" then example = thread:get("example") end
  end
  local errors = summary.errors
  io.stderr:write(string.format("%d %d %f %f %f %d %d %s\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), latency.max, bad, errors.connect + errors.read + errors.write + errors.timeout, example))
end
`;

/** Each of `connections` sends when it was answered. */
export async function wrk(options: LoadOptions, core: string): Promise<LoadResult> {
  if (BINARY === undefined) throw new Error("wrk is not installed");
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-wrk-"));
  try {
    const script = join(folder, "script.lua");
    writeFileSync(script, scriptOf(options));
    const { port, path, connections, seconds } = options;
    const url = `http://127.0.0.1:${port}${path}`;
    const child = spawn(
      "taskset",
      ["-c", core, BINARY, "-t1", `-c${connections}`, `-d${seconds}`, "--timeout", "10", "-s", script, url],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    let output = "";
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    await once(child, "close");
    return resultOf(output);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function resultOf(output: string): LoadResult {
  const found = /^(\d+) (\d+) (\S+) (\S+) (\S+) (\d+) (\d+) (.*)$/m.exec(output);
  if (found === null) throw new Error(`wrk told no result: ${output}`);
  const [requests = 0, us = 0, p50Us = 0, p99Us = 0, maxUs = 0, bad = 0, lost = 0] = found.slice(1, 8).map(Number);
  const failures: string[] = [];
  if (bad > 0) failures.push(`${bad} wrong answers, like ${found[8]}`);
  if (lost > 0) failures.push(`${lost} connections failed`);
  const seconds = us / 1e6;
  const [p50Ms, p99Ms, maxMs] = [p50Us / 1000, p99Us / 1000, maxUs / 1000];
  return { requests, seconds, perSecond: requests / seconds, p50Ms, p99Ms, maxMs, failures };
}
