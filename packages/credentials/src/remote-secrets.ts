import { readFileSync } from "node:fs";
import { CredentialError, credentialHttp, type JsonObject, objectIn } from "./credential-http.ts";
import { SecretsManager } from "./secrets-manager.ts";
import { Vault } from "./vault.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** By reference; an Error says why there is none, for operators, and holds no secret. */
export type FetchedSecrets = ReadonlyMap<string, string | Error>;

/**
 * Follows references to secrets outside: `vault:<path>#<field>` and `aws:<name or ARN>` with `#<field>` where the secret is a JSON object. What
 * one place holds is asked for once a call. Tokens are kept and renewed between calls.
 * @param nowMs for tests
 */
export function remoteSecrets(
  env: Environment,
  nowMs: () => number = Date.now,
): (references: readonly string[]) => Promise<FetchedSecrets> {
  const authority = env["VAULT_CACERT"] ?? "";
  const plain = credentialHttp();
  let vault: Vault | undefined;
  let manager: SecretsManager | undefined;

  function read(scheme: string, place: string): Promise<JsonObject | string> {
    if (scheme === "aws") return (manager ??= new SecretsManager(env, plain, nowMs)).read(place);
    vault ??= new Vault(env, authority === "" ? plain : credentialHttp({ ca: readFileSync(authority) }), nowMs);
    return vault.read(place);
  }

  return async (references) => {
    const places = new Map<string, Promise<JsonObject | string>>();
    const found = new Map<string, string | Error>();
    const follow = async (reference: string): Promise<string> => {
      const { scheme, place, field } = partsOf(reference);
      const id = `${scheme}:${place}`;
      let reading = places.get(id);
      if (reading === undefined) {
        // One after the other: they share a login.
        const before = [...places.values()].at(-1);
        reading = (async () => {
          await before?.catch(() => undefined);
          return read(scheme, place);
        })();
        places.set(id, reading);
      }
      return valueIn(await reading, field, id);
    };
    await Promise.all(
      references.map(async (reference) => {
        try {
          found.set(reference, await follow(reference));
        } catch (error) {
          found.set(reference, error instanceof Error ? error : new Error("cannot be fetched"));
        }
      }),
    );
    return found;
  };
}

function partsOf(reference: string): { scheme: string; place: string; field: string } {
  const [, scheme = "", place = "", field = ""] = /^(vault|aws):([^#]+)(?:#(.+))?$/s.exec(reference) ?? [];
  if (scheme === "" || (scheme === "vault" && field === ""))
    throw new CredentialError("a reference is vault:<path>#<field>, aws:<name> or aws:<name>#<field>", false);
  return { scheme, place, field };
}

function valueIn(secret: JsonObject | string, field: string, where: string): string {
  const value = field === "" ? secret : (typeof secret === "string" ? objectIn(secret, where) : secret)[field];
  if (typeof value === "string" && value !== "") return value;
  throw new CredentialError(`${where} has no text ${JSON.stringify(field)}`, false);
}
