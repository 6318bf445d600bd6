/**
 * Tokens of OpenID Connect issuers, by their published keys. Failure policy: closed. What cannot be verified right now is 503 and not 401;
 * keys that were fetched once serve for ten minutes, also while the issuer is away.
 */
import { guardedGet } from "@weir/egress";
import { type Clock, WeirError } from "@weir/kernel";
import { createRemoteJWKSet, customFetch, decodeJwt, errors, jwtVerify, type JWTVerifyGetKey } from "jose";
import type { Claims, IssuerTerms } from "../domain/issuer.ts";
import type { TokenVerifier } from "../ports.ts";

const TIMEOUT_MS = 5_000;
/** A key that is not known may be new, so the keys are fetched anew: so often, whatever strangers send. */
const REFETCH_MS = 30_000;
const FRESH_MS = 600_000;
/** After a failure nobody asks again for so long. */
const FAILED_MS = 5_000;
const TOLERATED_SECONDS = 30;
const MOST_KEY_SETS = 1_000;

export function oidcTokens(
  clock: Clock,
  internal: ReadonlySet<string>,
  onError: (error: unknown) => void,
): TokenVerifier {
  const sets = new Map<string, JWTVerifyGetKey>();

  /** Of documents that an issuer publishes: what fails is not asked for again at once. */
  function reader(): (url: URL) => Promise<Buffer> {
    let failed: { readonly atMs: number; readonly error: unknown } | undefined;
    return async (url) => {
      if (failed !== undefined && clock.monotonicMs() - failed.atMs < FAILED_MS) throw failed.error;
      try {
        return await guardedGet(url, internal, AbortSignal.timeout(TIMEOUT_MS));
      } catch (error) {
        failed = { atMs: clock.monotonicMs(), error };
        onError(error);
        throw error;
      }
    };
  }

  function keySet(issuer: IssuerTerms): JWTVerifyGetKey {
    const read = reader();
    let url: Promise<URL> | undefined;
    let keys: JWTVerifyGetKey | undefined;
    return async (header, token) => {
      // A failure is not kept: the next one looks again.
      url ??= jwksUrlOf(issuer, read).catch((error: unknown) => {
        url = undefined;
        throw error;
      });
      keys ??= createRemoteJWKSet(await url, {
        timeoutDuration: TIMEOUT_MS,
        cooldownDuration: REFETCH_MS,
        cacheMaxAge: FRESH_MS,
        [customFetch]: async (address: string) => new Response(new Uint8Array(await read(new URL(address)))),
      });
      return keys(header, token);
    };
  }

  function keysOf(issuer: IssuerTerms): JWTVerifyGetKey {
    const name = `${issuer.url}\n${issuer.jwksUrl}`;
    const keys = sets.get(name) ?? keySet(issuer);
    // The one that was used last goes last.
    sets.delete(name);
    sets.set(name, keys);
    for (const oldest of sets.keys()) {
      if (sets.size <= MOST_KEY_SETS) break;
      sets.delete(oldest);
    }
    return keys;
  }

  return {
    async verify(token, issuer) {
      try {
        const { payload } = await jwtVerify(token, keysOf(issuer), {
          issuer: issuer.url,
          audience: [...issuer.audiences],
          algorithms: [...issuer.algorithms],
          clockTolerance: TOLERATED_SECONDS,
          currentDate: new Date(clock.nowMs()),
          requiredClaims: ["exp"],
        });
        return payload as Claims;
      } catch (error) {
        throw refusal(error);
      }
    },
  };
}

/** Where an issuer says that its keys are. Believed on its own origin only: what lies elsewhere is configured. */
async function jwksUrlOf(issuer: IssuerTerms, read: (url: URL) => Promise<Buffer>): Promise<URL> {
  if (issuer.jwksUrl !== "") return new URL(issuer.jwksUrl);
  const document = JSON.parse(
    (await read(new URL(`${issuer.url.replace(/\/$/, "")}/.well-known/openid-configuration`))).toString("utf8"),
  ) as { readonly issuer?: unknown; readonly jwks_uri?: unknown };
  if (document.issuer !== issuer.url) throw new Error("the discovery document is another issuer's");
  const url = new URL(String(document.jwks_uri));
  if (url.origin !== new URL(issuer.url).origin)
    throw new Error("the keys lie on another origin: jwks_url must name them");
  return url;
}

/** Nobody said yet that any of it is true. @throws WeirError invalid_key */
export function unverifiedClaims(token: string): Claims {
  try {
    return decodeJwt(token);
  } catch (cause) {
    throw new WeirError("invalid_key", "This is no JSON web token.", { cause });
  }
}

/** What the token's holder is told: what is wrong with it, or that nobody can say right now. */
function refusal(cause: unknown): WeirError {
  if (cause instanceof errors.JWTExpired) return new WeirError("expired_key", "This token has expired.", { cause });
  const wrong =
    cause instanceof errors.JWTClaimValidationFailed
      ? `its claim "${cause.claim}" is not what this issuer's must be`
      : cause instanceof errors.JOSEAlgNotAllowed || cause instanceof errors.JOSENotSupported
        ? "its algorithm is not allowed"
        : cause instanceof errors.JWSSignatureVerificationFailed ||
            cause instanceof errors.JWKSNoMatchingKey ||
            cause instanceof errors.JWKSMultipleMatchingKeys
          ? "its signature is not one of its issuer's"
          : cause instanceof errors.JWTInvalid || cause instanceof errors.JWSInvalid
            ? "it is malformed"
            : undefined;
  if (wrong !== undefined) return new WeirError("invalid_key", `This token is not valid: ${wrong}.`, { cause });
  return new WeirError("policy_unavailable", "The issuer's keys cannot be had right now.", {
    retryAfterMs: 5_000,
    cause,
  });
}
