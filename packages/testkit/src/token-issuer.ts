import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from "jose";

/** An OpenID Connect issuer on this machine. */
export interface TokenIssuer extends AsyncDisposable {
  /** "http://127.0.0.1:…", its `iss`. */
  readonly url: string;
  /** How often its keys were asked for. */
  fetches(): number;
  /** What it answers from now on, instead of its keys. */
  answer(how: "keys" | "error" | "redirect" | "too-much"): void;
  /** Takes a new signing key, as issuers do now and then. */
  rotate(): Promise<void>;
  sign(claims: Record<string, unknown>, options?: SignOptions): Promise<string>;
  /** The public key as PEM: what an attacker would sign with, with HMAC. */
  publicPem(): Promise<string>;
}

export interface SignOptions {
  readonly expiresInS?: number;
  readonly kid?: string;
  readonly key?: CryptoKey;
}

interface Pair {
  readonly kid: string;
  readonly jwk: JWK;
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
}

async function newPair(kid: string): Promise<Pair> {
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  return { kid, publicKey, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: "RS256", use: "sig" } };
}

export async function startTokenIssuer(): Promise<TokenIssuer> {
  let pairs = [await newPair("key-1")];
  let how: "keys" | "error" | "redirect" | "too-much" = "keys";
  let fetches = 0;
  const server = createServer((request, response) => {
    if (request.url === "/.well-known/openid-configuration") {
      return void response.end(JSON.stringify({ issuer: url, jwks_uri: `${url}/keys` }));
    }
    fetches += 1;
    if (how === "error") return void response.writeHead(500).end();
    if (how === "redirect") return void response.writeHead(302, { location: `${url}/keys?again` }).end();
    const keys = pairs.map(({ jwk }) => jwk);
    response.end(JSON.stringify({ keys, padding: how === "too-much" ? "x".repeat(1_000_000) : "" }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    fetches: () => fetches,
    answer(next) {
      how = next;
    },
    async rotate() {
      pairs = [await newPair(`key-${pairs.length + 1}-${Date.now()}`)];
    },
    sign(claims, { expiresInS = 300, kid, key } = {}) {
      const pair = pairs[0] as Pair;
      return new SignJWT({ iss: url, aud: "weir", sub: "ci", ...claims })
        .setProtectedHeader({ alg: "RS256", kid: kid ?? pair.kid })
        .setIssuedAt()
        .setExpirationTime(Math.floor(Date.now() / 1000) + expiresInS)
        .sign(key ?? pair.privateKey);
    },
    publicPem: () => exportSPKI((pairs[0] as Pair).publicKey),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
