import { domainOf } from "@weir/credentials";
import { awsAuthorizer } from "../adapters/authorizers.ts";
import { type Account, type Endpoint, type ProviderKinds, required, standardOutputCaps } from "./provider.ts";

/** "eu-central-1", "us-gov-west-1". */
const AWS_REGION = /^[a-z]{2}(?:-[a-z]+){1,2}-\d$/;

/** Where the models run, and what signatures are for: the setting, the provider's region where it is one of AWS's, the environment's. */
function regionOf(account: Account): string {
  const { region, env } = account;
  const known = [account.setting("aws_region"), AWS_REGION.test(region) ? region : ""];
  const named = /bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.amazonaws/.exec(account.baseUrl ?? "")?.[1];
  const all = [...known, named, env["AWS_REGION"], env["AWS_DEFAULT_REGION"]];
  return required(account, all.find((one) => one !== undefined && one !== "") ?? "", "settings.aws_region");
}

/**
 * Amazon Bedrock, by Converse: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html. With an api_key (a Bedrock
 * API key) requests carry that; else they are signed with AWS credentials.
 */
export const kinds: ProviderKinds = {
  bedrock: {
    baseUrl: (account) => {
      const region = regionOf(account);
      return `https://bedrock-runtime.${region}.${domainOf(region)}`;
    },
    settings: {
      aws_region: "text",
      profile: "text",
      access_key_id: "text",
      secret_access_key: "secret",
      session_token: "secret",
    },
    wires: ["bedrock-converse"],
    priceBook: "aws",
    endpoint: ({ model, stream, apiKey }): Endpoint => ({
      path: `/model/${encodeURIComponent(model)}/${stream ? "converse-stream" : "converse"}`,
      headers: [
        ["accept", stream ? "application/vnd.amazon.eventstream" : "application/json"],
        ...(apiKey === "" ? [] : [["authorization", `Bearer ${apiKey}`] as const]),
      ],
    }),
    authorize(account, { http, clock, host }) {
      const { apiKey, env } = account;
      if (apiKey !== "") return undefined;
      const accessKeyId = account.setting("access_key_id");
      const configured = {
        accessKeyId,
        secretAccessKey: account.setting("secret_access_key"),
        sessionToken: account.setting("session_token"),
      };
      if (accessKeyId !== "") required(account, configured.secretAccessKey, "settings.secret_access_key");
      const region = regionOf(account);
      const sources = {
        configured: accessKeyId === "" ? undefined : configured,
        profile: account.setting("profile"),
        region,
        env,
        http,
      };
      return awsAuthorizer(sources, { region, service: "bedrock", host }, clock);
    },
    forwards: [],
    quirks: { outputCaps: standardOutputCaps, asksForUsage: false },
  },
};
