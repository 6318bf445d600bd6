import { createHttpClient, headerLine, type HttpClientOptions } from "@weir/http1";

type Json = string | number | boolean | null | Json[] | JsonObject;
export interface JsonObject {
  [name: string]: Json;
}

/**
 * Why there is no credential. Its message is for the operator's log: it names the place that was asked and the status, never what was
 * sent or answered.
 */
export class CredentialError extends Error {
  override readonly name = "CredentialError";
  /** Nobody answered, or not properly: another provider may serve. False: it was refused, or is not configured. */
  readonly away: boolean;
  /** What was answered with; undefined: nothing, or not over HTTP. */
  readonly status: number | undefined;

  constructor(message: string, away: boolean, options: ErrorOptions & { readonly status?: number } = {}) {
    super(message, options);
    this.away = away;
    this.status = options.status;
  }
}

export interface CredentialRequest {
  readonly method: "GET" | "POST" | "PUT";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs?: number;
}

/** Asks whoever gives out credentials; the body of a 2xx. @throws CredentialError */
export type CredentialHttp = (request: CredentialRequest) => Promise<string>;

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 256 * 1024;

/** Over a connection of its own each: it is asked once an hour. Redirects are not followed. */
export function credentialHttp(tls?: HttpClientOptions["tls"]): CredentialHttp {
  return async ({ method, url, headers = {}, body, timeoutMs = TIMEOUT_MS }) => {
    const { origin, pathname, search } = new URL(url);
    const client = createHttpClient(origin, tls === undefined ? { maxConnections: 1 } : { maxConnections: 1, tls });
    const lines = Object.entries(headers).map(([name, value]) => headerLine(name, value));
    const times = { connectMs: timeoutMs, firstByteMs: timeoutMs, idleMs: timeoutMs };
    const sent = body === undefined ? {} : { body: Buffer.from(body) };
    try {
      const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
        const chunks: Buffer[] = [];
        let answered = 0;
        let bytes = 0;
        const exchange = client.request(
          { method, path: pathname + search, headers: lines.join(""), ...sent, ...times },
          {
            head: (code) => void (answered = code),
            data(chunk) {
              bytes += chunk.length;
              if (bytes > MAX_BYTES) return exchange.cancel();
              chunks.push(chunk);
            },
            end: () => resolve({ status: answered, text: Buffer.concat(chunks).toString() }),
            error: reject,
          },
        );
      });
      if (status >= 200 && status < 300) return text;
      throw new CredentialError(`${origin} answered with status ${status}`, status >= 500 || status === 429, {
        status,
      });
    } catch (error) {
      if (error instanceof CredentialError) throw error;
      throw new CredentialError(`${origin} does not answer`, true, { cause: error });
    } finally {
      await client[Symbol.asyncDispose]();
    }
  };
}

/** @throws CredentialError where it is no JSON object */
export function objectIn(text: string, where: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Its words could be a credential's: they are told to nobody.
    throw new CredentialError(`${where} is no JSON`, true);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new CredentialError(`${where} is no JSON object`, true);
}

/** @throws CredentialError */
export function textIn(object: JsonObject, name: string, where: string): string {
  const value = object[name];
  if (typeof value === "string" && value !== "") return value;
  throw new CredentialError(`${where} has no ${name}`, true);
}

export const FORM = { "content-type": "application/x-www-form-urlencoded" };

export const formOf = (fields: Readonly<Record<string, string>>): string => new URLSearchParams(fields).toString();
