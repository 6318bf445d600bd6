import { scrubPersonal } from "./scrub-personal.ts";

/**
 * What must never reach a log: credentials, and what people said to models. Three nets, any of which catches most:
 * values under telling names are dropped when an object is logged; what looks like personal data is cut from errors and from warnings;
 * whatever looks like a credential is cut from the finished line.
 */
export const SECRET_MARK = "[secret]";
const CUT = "[redacted]";
const MAX_DEPTH = 8;
const MAX_ITEMS = 100;

/** Names whose value is a credential or text of a user or a model, in lower case without `-` and `_`. */
const FORBIDDEN = new Set(
  (
    "authorization proxyauthorization cookie setcookie xapikey apikey apikeys xgoogapikey token accesstoken admintoken meshtoken " +
    "bootstrapkey secret secrets password passphrase credential credentials key privatekey " +
    "prompt prompts messages message content contents input inputs output outputs instructions system systeminstruction text " +
    "body payload rawbody completion completions choices candidates arguments toolcalls delta parts answer query"
  ).split(" "),
);

const isForbidden = (name: string): boolean => FORBIDDEN.has(name.toLowerCase().replaceAll(/[-_.]/g, ""));

/**
 * A plain copy of `value` fit for a log. Errors become {type, message, reason, code, stack, cause}.
 * @param personal whether texts in it may be of anybody, so that personal data is cut from them, too
 */
export function scrubValue(value: unknown, personal = false, depth = 0): unknown {
  if (typeof value === "string") return personal ? scrubPersonal(value) : value;
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (depth > MAX_DEPTH) return CUT;
  if (value instanceof Error) return scrubError(value, depth);
  if (value instanceof Date) return value;
  // Bytes are bodies or keys.
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => scrubValue(item, personal, depth + 1));
  if (value instanceof Map) return scrubEntries(value.entries(), personal, depth);
  if (value instanceof Set) return scrubValue([...value], personal, depth);
  // The value's own idea of how it is shown comes first: Secret hides itself.
  if ("toJSON" in value && typeof value.toJSON === "function")
    return scrubValue(value.toJSON() as unknown, personal, depth + 1);
  return scrubEntries(Object.entries(value), personal, depth);
}

function scrubEntries(
  entries: Iterable<[unknown, unknown]>,
  personal: boolean,
  depth: number,
): Record<string, unknown> {
  const shown: [string, unknown][] = [];
  for (const [name, value] of entries) {
    if (shown.length === MAX_ITEMS) break;
    const key = String(name);
    const hide = (typeof value === "string" || (typeof value === "object" && value !== null)) && isForbidden(key);
    shown.push([scrubText(key), hide ? CUT : scrubValue(value, personal, depth + 1)]);
  }
  return Object.fromEntries(shown);
}

/** Only named fields: drivers hang rows, parameters and bodies on their errors. */
export function scrubError(error: Error, depth = 0): Record<string, unknown> {
  const shown: Record<string, unknown> = { type: error.name, message: scrubMessage(error.message) };
  if ("reason" in error && typeof error.reason === "string") shown["reason"] = error.reason;
  if ("code" in error && (typeof error.code === "string" || typeof error.code === "number")) shown["code"] = error.code;
  // The stack begins with the message, which was scrubbed above.
  const frames = error.stack?.split("\n").filter((line) => line.startsWith("    at "));
  if (frames !== undefined && frames.length > 0) shown["stack"] = frames.slice(0, 20).join("\n");
  if (error.cause !== undefined && depth < 4) shown["cause"] = scrubValue(error.cause, true, depth + 1);
  return shown;
}

/** JSON.parse quotes the text it could not read, which may be a prompt. */
const scrubMessage = (message: string): string =>
  scrubForeign(message.replace(/(Unexpected token )[^]*? is not valid JSON/, `$1${CUT} is not valid JSON`));

// None of these takes a quote or a backslash with it, so that a JSON line stays one.
const CREDENTIALS: readonly (readonly [RegExp, string])[] = [
  [
    /\b(wk|sk|pk|rk|gsk|xai|gh[opsru]|github_pat|glpat|pplx|hf|r8|nvapi|tgp|npm|pypi|xox[a-z]|xapp|dckr_pat|dop_v1|shpat|whsec)[-_][A-Za-z0-9_-]{6,}/g,
    `$1_${SECRET_MARK}`,
  ],
  [/\b(AIza|AKIA|ASIA|ya29\.|hvs\.|SG\.|GOCSPX-|eyJ)[A-Za-z0-9_-]{12,}[A-Za-z0-9_.-]*/g, `$1${SECRET_MARK}`],
  [/\b(Bearer|Basic)\s+[^\s"\\,;]+/gi, `$1 ${SECRET_MARK}`],
  [
    /\b(authorization|x-api-key|api-key|x-goog-api-key|cookie)(\s*[:=]\s*)(?!(?:Bearer|Basic)\b)[^\s"\\,;]+/gi,
    `$1$2${SECRET_MARK}`,
  ],
  // A header as an item of a list: ["authorization","…"], in JSON with or without escapes.
  [/\b(authorization|x-api-key|api-key|x-goog-api-key|cookie)(\\?"\s*[,:]\s*\\?")[^"\\]+/gi, `$1$2${SECRET_MARK}`],
  [/(:\/\/[^\s:/@"\\]*:)[^\s@"\\/]+@/g, `$1${SECRET_MARK}@`],
  [/([?&](?:key|api_key|token|access_token)=)[^\s&"\\]+/gi, `$1${SECRET_MARK}`],
];

/** Up to the end of the text it stands in; a line's newlines are written as escapes. */
const PRIVATE_KEY = /-----BEGIN [A-Z ]{0,24}PRIVATE KEY(?:[^"\\]|\\[nrt])*/g;

/** Cuts what looks like a credential from a text or a finished log line. */
export function scrubText(text: string): string {
  let clean = text.includes("-----BEGIN ") ? text.replace(PRIVATE_KEY, SECRET_MARK) : text;
  for (const [pattern, replacement] of CREDENTIALS) clean = clean.replace(pattern, replacement);
  return clean;
}

/** Cuts credentials and personal data from a text that somebody else may have written: an error's message, a name that was asked for. */
export const scrubForeign = (text: string): string => scrubText(scrubPersonal(text));
