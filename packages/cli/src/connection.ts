import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import type { CallOptions, Client } from "@connectrpc/connect";
import { Secret } from "@weir/kernel";
import { networkPeers } from "@weir/mesh";

export interface Connection extends AsyncDisposable {
  readonly client: <S extends DescService>(service: S) => Client<S>;
  /** Goes with every call: the token and a deadline. */
  readonly call: CallOptions;
}

const DEFAULT_URL = "http://127.0.0.1:8081";
const TIMEOUT_MS = 30_000;

/**
 * WEIR_RPC says where; WEIR_ADMIN_TOKEN and WEIR_MESH_TOKEN who asks. Without them, the files that a standalone keeps in its data folder
 * (WEIR_DATA_DIR, else ./.weir): that works on its own machine, for its own user.
 */
export function connect(env: Readonly<Record<string, string | undefined>>, url: string | undefined): Connection {
  const token = (variable: string, file: string): string | undefined => {
    const given = env[variable] ?? "";
    return given === "" ? readToken(join(env["WEIR_DATA_DIR"] ?? ".weir", file)) : given;
  };
  const admin = token("WEIR_ADMIN_TOKEN", "admin-token");
  const mesh = token("WEIR_MESH_TOKEN", "mesh-token");
  const address = addressOf(env, url);
  const peers = networkPeers({ addresses: () => address, token: mesh === undefined ? undefined : new Secret(mesh) });
  return {
    client: (service) => peers.client(service),
    call: {
      timeoutMs: TIMEOUT_MS,
      headers: admin === undefined ? {} : { authorization: `Bearer ${admin}` },
    },
    [Symbol.asyncDispose]: () => peers[Symbol.asyncDispose](),
  };
}

export const addressOf = (env: Readonly<Record<string, string | undefined>>, url: string | undefined): string =>
  url ?? (env["WEIR_RPC"] || DEFAULT_URL);

function readToken(file: string): string | undefined {
  try {
    const token = readFileSync(file, "utf8").trim();
    return token === "" ? undefined : token;
  } catch {
    return undefined; // no standalone here; the server says what is missing
  }
}
