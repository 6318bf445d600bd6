import type { Detector, Scan } from "../detector.ts";

export interface CodePolicy {
  /** Of fenced blocks, by the word behind the fence. */
  readonly languages: readonly string[];
}

const FENCES = ["```", "~~~"];
const MAX_BLOCK = 8_192;
const MAX_INFO = 64;
const FIRST_LINE = 40;

/** What languages are called behind a fence. */
const ALIASES: readonly (readonly string[])[] = [
  ["shell", "bash", "sh", "zsh", "console", "shellsession", "fish", "ksh", "terminal", "shell-session"],
  ["powershell", "ps1", "pwsh", "ps"],
  ["batch", "bat", "cmd", "dos"],
  ["python", "py", "python3", "py3", "ipython"],
  ["javascript", "js", "node", "mjs", "cjs", "jsx"],
  ["typescript", "ts", "tsx", "mts"],
  ["ruby", "rb"],
  ["c++", "cpp", "cxx", "cc", "hpp"],
  ["c#", "csharp", "cs"],
  ["go", "golang"],
  ["rust", "rs"],
  ["sql", "mysql", "postgresql", "postgres", "psql", "plsql", "tsql", "sqlite"],
  ["html", "xhtml", "htm"],
  ["perl", "pl"],
  ["kotlin", "kt"],
  ["visual-basic", "vb", "vba", "vbnet", "vbs", "vbscript"],
];
const CANONICAL = new Map(ALIASES.flatMap((names) => names.map((name) => [name, names[0] as string] as const)));
const canonical = (name: string): string => CANONICAL.get(name.toLowerCase()) ?? name.toLowerCase();

/** Fenced blocks of code (CommonMark 4.5) in the languages that are named; of an unnamed block its first line tells a shell. */
export function codeBlocks(policy: CodePolicy): Detector {
  const languages = new Set(policy.languages.map(canonical));
  return {
    name: "code",
    detect(scan) {
      for (const fence of FENCES) blocks(scan, fence, languages);
      if (scan.final) return;
      const { text } = scan;
      const last = text.at(-1);
      if (last === "`" || last === "~") {
        let start = text.length;
        while (start > 0 && text.length - start < 4 && text[start - 1] === last) start -= 1;
        scan.undecided(start);
      }
    },
  };
}

/** A closing fence has no name behind it, so that no state needs to be kept from one fence to the next. */
function blocks(scan: Scan, fence: string, languages: ReadonlySet<string>): void {
  const { text } = scan;
  for (let at = text.indexOf(fence); at !== -1; ) {
    let info = at;
    while (text[info] === fence[0]) info += 1;
    const line = text.slice(info, info + MAX_INFO);
    const length = line.indexOf("\n");
    if (length === -1) {
      if (info + MAX_INFO > text.length) scan.undecided(at);
      at = text.indexOf(fence, info);
      continue;
    }
    const lineEnd = info + length;
    const named = isNamed(line.slice(0, length), text.slice(lineEnd + 1, lineEnd + 1 + FIRST_LINE), languages);
    if (!named) {
      if (text.length < lineEnd + 1 + FIRST_LINE) scan.undecided(at);
      at = text.indexOf(fence, info);
      continue;
    }
    const close = text.indexOf(`\n${fence}`, lineEnd);
    const end = close === -1 || close + 4 > at + MAX_BLOCK ? Math.min(text.length, at + MAX_BLOCK) : close + 4;
    if (end === text.length) scan.undecided(at);
    scan.found("CODE", at, end);
    at = text.indexOf(fence, end);
  }
}

function isNamed(line: string, first: string, languages: ReadonlySet<string>): boolean {
  const name = /^\s*\{?\.?([\w+#-]*)/.exec(line)?.[1] ?? "";
  if (name !== "") return languages.has(canonical(name));
  return languages.has("shell") && /^(?:\s*[$#>] \S|#!.{0,20}\bsh\b|sudo |curl |apt(?:-get)? |rm -)/.test(first);
}

/** Commands that destroy, fetch and run, or open a way in; lower case is enough for most, so case is ignored. */
export const DANGEROUS_COMMANDS: readonly string[] = [
  "\\brm\\s+(-[a-z-]+\\s+)*-[a-z]*(r[a-z]*f|f[a-z]*r)[a-z]*\\s+(--no-preserve-root\\s+)?[\"']?(/|~|\\$home|\\*|\\.\\.?(/|\\s|$))",
  "\\b(curl|wget)\\b[^\\n|]*\\|\\s*(sudo\\s+)?(ba|z|k|da)?sh\\b",
  "\\b(ba|z|da)?sh\\s+(-c\\s+[\"']?)?[<$]\\(\\s*(curl|wget)\\b",
  "\\bbase64\\s+(-d|--decode|-D)\\b[^\\n|]*\\|\\s*(sudo\\s+)?(ba|z|da)?sh\\b",
  ":\\(\\)\\s*\\{\\s*:\\s*\\|\\s*:\\s*&\\s*\\}\\s*;\\s*:",
  "\\bmkfs(\\.\\w+)?\\s+[^\\n]*/dev/",
  "\\bdd\\s+[^\\n]*of=/dev/[hsnv]",
  ">\\s*/dev/[hsnv][dv][a-z0-9]",
  "\\bchmod\\s+(-[a-z]+\\s+)*0?777\\s+/(\\s|$)",
  "/dev/tcp/",
  "\\b(nc|ncat|netcat)\\b[^\\n]*\\s-[a-z]*[ec]\\s*[^\\n]*(sh|cmd)",
  "\\bpowershell(\\.exe)?\\b[^\\n]*-e(nc|ncodedcommand)?\\s+[a-z0-9+/=]{16}",
  "\\b(iex|invoke-expression)\\b[^\\n]*(downloadstring|webclient|iwr|invoke-webrequest)",
  "\\b(format|del|rd|rmdir)\\s+(/[sqf]\\s+)+[a-z]:\\\\",
];
