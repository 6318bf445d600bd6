import type { WeirConfig } from "@weir/config";

export interface BannerFacts {
  readonly httpPort: number;
  readonly rpcPort: number;
  /** A key that was just made; shown this once. */
  readonly newKey: string | undefined;
}

/** What a person wants to know first. */
export function banner(config: WeirConfig, { httpPort, rpcPort, newKey }: BannerFacts): string {
  const host = (name: string): string =>
    name === "0.0.0.0" || name === "::" ? "127.0.0.1" : name.includes(":") ? `[${name}]` : name;
  const url = `http://${host(config.http.listen.host)}:${httpPort}`;
  const providers = [...config.providers.keys()].sort().join(", ");
  const key = newKey ?? "$WEIR_KEY";
  return [
    "",
    `  Weir is ready.  HTTP ${url}   RPC http://${host(config.rpc.listen.host)}:${rpcPort}   data ${config.dataDir}`,
    `  providers: ${providers}`,
    ...(newKey === undefined ? [] : ["", `  Your key (shown this once):  ${newKey}`]),
    "",
    `  curl ${url}/v1/chat/completions -H 'authorization: Bearer ${key}' -H 'content-type: application/json' \\`,
    `    -d '{"model":"echo","messages":[{"role":"user","content":"Hello"}]}'`,
    "",
    "",
  ].join("\n");
}
