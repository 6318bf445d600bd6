import { AwsEventStreamReader } from "./aws-event-stream.ts";
import { parseConverseError } from "./bedrock-converse-errors.ts";
import { renderConverseRequest } from "./bedrock-converse-render.ts";
import { parseConverseResponse } from "./bedrock-converse-response.ts";
import { ConverseStreamParser } from "./bedrock-converse-stream.ts";
import type { ProviderDialect } from "./dialect.ts";

/** Amazon Bedrock's Converse and ConverseStream, for the models of all its makers. */
export const bedrockConverse: ProviderDialect = {
  name: "bedrock-converse",
  renderRequest: renderConverseRequest,
  parseResponse: parseConverseResponse,
  streamParser: (answerer) => new ConverseStreamParser(answerer),
  frames: () => new AwsEventStreamReader(),
  parseError: parseConverseError,
};
