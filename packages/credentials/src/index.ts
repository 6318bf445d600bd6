export { type AwsSources, awsKeys, domainOf } from "./aws-credentials.ts";
export { type AwsKeys, type AwsRequest, signAws } from "./aws-signature.ts";
export {
  CredentialError,
  type CredentialHttp,
  credentialHttp,
  type CredentialRequest,
  FORM,
  formOf,
  type JsonObject,
  objectIn,
  textIn,
} from "./credential-http.ts";
export { type Renewable, Renewed } from "./renewed.ts";
export { remoteSecrets } from "./remote-secrets.ts";
