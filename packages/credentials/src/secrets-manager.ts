import { awsKeys, domainOf } from "./aws-credentials.ts";
import { type AwsKeys, signAws } from "./aws-signature.ts";
import { CredentialError, type CredentialHttp, objectIn } from "./credential-http.ts";
import { Renewed } from "./renewed.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Secrets of AWS Secrets Manager (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html). */
export class SecretsManager {
  readonly #env: Environment;
  readonly #http: CredentialHttp;
  readonly #nowMs: () => number;
  readonly #keys: Renewed<AwsKeys>;

  constructor(env: Environment, http: CredentialHttp, nowMs: () => number) {
    this.#env = env;
    this.#http = http;
    this.#nowMs = nowMs;
    const sources = { configured: undefined, profile: "", env, http };
    this.#keys = new Renewed(() => awsKeys({ ...sources, region: this.#region("") }, nowMs()), nowMs);
  }

  /** @param name a name or an ARN. @returns its text. @throws CredentialError */
  async read(name: string): Promise<string> {
    const region = this.#region(name);
    const env = this.#env;
    const endpoint =
      env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] ||
      env["AWS_ENDPOINT_URL"] ||
      `https://secretsmanager.${region}.${domainOf(region)}`;
    const url = new URL("/", endpoint);
    const body = JSON.stringify({ SecretId: name });
    const headers = {
      host: url.host,
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": "secretsmanager.GetSecretValue",
    };
    const scope = { region, service: "secretsmanager" };
    const keys = await this.#keys.get();
    const signed = signAws({ method: "POST", path: "/", headers, body }, keys, scope, this.#nowMs());
    const { host: _, ...sent } = headers;
    const where = `the secret ${name}`;
    let text: string;
    try {
      text = await this.#http({ method: "POST", url: url.href, headers: { ...sent, ...signed }, body });
    } catch (error) {
      if (error instanceof CredentialError && error.status === 400)
        throw new CredentialError(
          `AWS gives out no secret ${name} in ${region} (it is not there, or may not be read)`,
          false,
          {
            cause: error,
            status: 400,
          },
        );
      throw error;
    }
    const secret = objectIn(text, where)["SecretString"];
    if (typeof secret === "string") return secret;
    throw new CredentialError(`${where} has no text`, false);
  }

  #region(name: string): string {
    const [, ofArn] = /^arn:aws[\w-]*:secretsmanager:([a-z0-9-]+):/.exec(name) ?? [];
    const region = ofArn ?? (this.#env["AWS_REGION"] || this.#env["AWS_DEFAULT_REGION"]);
    if (region === undefined || region === "") throw new CredentialError("set AWS_REGION", false);
    return region;
  }
}
