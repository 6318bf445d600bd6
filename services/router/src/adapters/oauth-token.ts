import { type CredentialHttp, type CredentialRequest, objectIn, type Renewable, textIn } from "@weir/credentials";

/** An access token as RFC 6749 §5.1 has it, and as the metadata services of clouds do. @throws CredentialError */
export async function fetchToken(
  http: CredentialHttp,
  request: CredentialRequest,
  nowMs: number,
): Promise<Renewable<string>> {
  const where = `the answer of ${new URL(request.url).origin}`;
  const answer = objectIn(await http(request), where);
  const value = textIn(answer, "access_token", where);
  // Microsoft's metadata service writes numbers as texts.
  const seconds = Number(answer["expires_in"] ?? Number.NaN);
  const at = Number(answer["expires_on"] ?? Number.NaN);
  if (Number.isFinite(seconds)) return { value, expiresAtMs: nowMs + seconds * 1000 };
  return { value, expiresAtMs: Number.isFinite(at) ? at * 1000 : nowMs + 5 * 60_000 };
}
