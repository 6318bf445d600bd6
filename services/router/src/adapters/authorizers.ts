import { awsKeys, type AwsSources, type Renewable, Renewed, signAws } from "@weir/credentials";
import type { Clock } from "@weir/kernel";
import { headerLine } from "@weir/http1";
import type { Authorizer, ProviderRequest } from "../ports.ts";

/** A token that goes with each request as `authorization: Bearer …`. */
export function bearerAuthorizer(fetch: (nowMs: number) => Promise<Renewable<string>>, clock: Clock): Authorizer {
  const token = new Renewed(
    () => fetch(clock.nowMs()),
    () => clock.nowMs(),
  );
  const line = (value: string): string => headerLine("authorization", `Bearer ${value}`);
  return {
    headersFor() {
      const value = token.get();
      return typeof value === "string" ? line(value) : value.then(line);
    },
    // 403 says that it was understood, and may not do this.
    refused(status) {
      if (status === 401) token.drop();
    },
    betrays: (text) => token.held !== undefined && text.includes(token.held),
  };
}

export interface AwsScope {
  readonly region: string;
  readonly service: string;
  /** The host as the request names it. */
  readonly host: string;
}

/** A signature over each request. */
export function awsAuthorizer(sources: AwsSources, scope: AwsScope, clock: Clock): Authorizer {
  const keys = new Renewed(
    () => awsKeys(sources, clock.nowMs()),
    () => clock.nowMs(),
  );
  const lines = ({ path, body }: ProviderRequest, value: Awaited<ReturnType<typeof keys.get>>): string => {
    const headers = { host: scope.host, "content-type": "application/json" };
    const signed = signAws({ method: "POST", path, headers, body }, value, scope, clock.nowMs());
    return Object.entries(signed)
      .map(([name, text]) => headerLine(name, text))
      .join("");
  };
  return {
    headersFor(request) {
      const value = keys.get();
      return value instanceof Promise ? value.then((got) => lines(request, got)) : lines(request, value);
    },
    refused: () => keys.drop(),
    betrays(text) {
      const { held } = keys;
      if (held === undefined) return false;
      return text.includes(held.secretAccessKey) || (held.sessionToken !== "" && text.includes(held.sessionToken));
    },
  };
}
