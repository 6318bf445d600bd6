import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { AwsKeys } from "./aws-signature.ts";
import { CredentialError, type CredentialHttp, FORM, formOf, objectIn, textIn } from "./credential-http.ts";
import type { Renewable } from "./renewed.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface AwsSources {
  /** Of the configuration; undefined: look where AWS's own tools look. */
  readonly configured: AwsKeys | undefined;
  /** A profile of the shared files; "": the one that AWS_PROFILE names, else "default". */
  readonly profile: string;
  readonly region: string;
  readonly env: Environment;
  readonly http: CredentialHttp;
}

/** The local addresses of AWS's containers and machines are quick, or not there. */
const LOCAL_MS = 2_000;
const NEVER = Infinity;

/**
 * Keys from where AWS's own SDKs take them, in their order: the configuration, a named profile, the environment, a web identity (EKS), the
 * shared files, the container (ECS, EKS pod identity), the machine (IMDSv2).
 * @throws CredentialError where there are none, or who gives them out does not answer
 */
export async function awsKeys(sources: AwsSources, nowMs: number): Promise<Renewable<AwsKeys>> {
  const { configured, profile, env } = sources;
  if (configured !== undefined) return { value: configured, expiresAtMs: NEVER };
  if (profile !== "") return ofProfile(profile, env, nowMs) ?? missing(`profile ${profile} has no keys`);
  return (
    ofEnvironment(env) ??
    (await ofWebIdentity(sources)) ??
    ofProfile(env["AWS_PROFILE"] ?? "default", env, nowMs) ??
    (await ofContainer(sources, nowMs)) ??
    (await ofMachine(sources, nowMs)) ??
    missing("there are no AWS credentials: set settings.access_key_id, AWS_ACCESS_KEY_ID or api_key")
  );
}

function missing(message: string): never {
  throw new CredentialError(message, false);
}

function ofEnvironment(env: Environment): Renewable<AwsKeys> | undefined {
  const keys = keysOf(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env["AWS_SESSION_TOKEN"]);
  return keys && { value: keys, expiresAtMs: NEVER };
}

function keysOf(id: string | undefined, secret: string | undefined, token: string | undefined): AwsKeys | undefined {
  if (id === undefined || id === "" || secret === undefined || secret === "") return undefined;
  return { accessKeyId: id, secretAccessKey: secret, sessionToken: token ?? "" };
}

/** Keys written in ~/.aws/credentials or ~/.aws/config; roles and single sign-on are not followed. */
function ofProfile(name: string, env: Environment, nowMs: number): Renewable<AwsKeys> | undefined {
  const folder = join(env["HOME"] ?? homedir(), ".aws");
  const files: [path: string, section: string][] = [
    [env["AWS_SHARED_CREDENTIALS_FILE"] ?? join(folder, "credentials"), name],
    [env["AWS_CONFIG_FILE"] ?? join(folder, "config"), name === "default" ? name : `profile ${name}`],
  ];
  for (const [path, section] of files) {
    const values = sectionIn(textOf(path), section);
    const keys = keysOf(
      values.get("aws_access_key_id"),
      values.get("aws_secret_access_key"),
      values.get("aws_session_token"),
    );
    // Read again now and then: tools that renew keys write them there.
    if (keys !== undefined) return { value: keys, expiresAtMs: nowMs + 10 * 60_000 };
  }
  return undefined;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw new CredentialError(`${path} cannot be read`, false, { cause: error });
  }
}

/** One section of an INI file. */
export function sectionIn(text: string, section: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  let inside = false;
  for (const line of text.split(/\r?\n/)) {
    const head = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line);
    if (head !== null) inside = head[1] === section;
    const pair = /^\s*([A-Za-z0-9_]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (inside && pair?.[1] !== undefined) values.set(pair[1].toLowerCase(), pair[2] ?? "");
  }
  return values;
}

async function ofWebIdentity({ env, region, http }: AwsSources): Promise<Renewable<AwsKeys> | undefined> {
  const file = env["AWS_WEB_IDENTITY_TOKEN_FILE"] ?? "";
  const role = env["AWS_ROLE_ARN"] ?? "";
  if (file === "" || role === "") return undefined;
  const url = env["AWS_ENDPOINT_URL_STS"] ?? `https://sts.${region}.${domainOf(region)}`;
  const body = formOf({
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: role,
    RoleSessionName: env["AWS_ROLE_SESSION_NAME"] ?? "weir",
    WebIdentityToken: textOf(file).trim(),
  });
  const where = "the answer of STS";
  const headers = { ...FORM, accept: "application/json" };
  const answer = objectIn(await http({ method: "POST", url, headers, body }), where);
  const response = answer["AssumeRoleWithWebIdentityResponse"];
  const result = (
    response as { AssumeRoleWithWebIdentityResult?: { Credentials?: Record<string, unknown> } } | undefined
  )?.AssumeRoleWithWebIdentityResult?.Credentials;
  const { AccessKeyId: id, SecretAccessKey: secret, SessionToken: token, Expiration: expires } = result ?? {};
  if (typeof id !== "string" || typeof secret !== "string" || typeof token !== "string")
    throw new CredentialError(`${where} has no keys`, true);
  const value = { accessKeyId: id, secretAccessKey: secret, sessionToken: token };
  // STS writes seconds since 1970 in JSON.
  return { value, expiresAtMs: typeof expires === "number" ? expires * 1000 : Date.parse(String(expires)) };
}

export const domainOf = (region: string): string => (region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com");

async function ofContainer({ env, http }: AwsSources, nowMs: number): Promise<Renewable<AwsKeys> | undefined> {
  const relative = env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] ?? "";
  const full = env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] ?? "";
  const url = relative === "" ? full : `http://169.254.170.2${relative}`;
  if (url === "") return undefined;
  const file = env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] ?? "";
  const token = file === "" ? (env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] ?? "") : textOf(file).trim();
  const headers = token === "" ? {} : { authorization: token };
  return temporary(await http({ method: "GET", url, headers, timeoutMs: LOCAL_MS }), "the container's answer", nowMs);
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html, the second version only. */
async function ofMachine({ env, http }: AwsSources, nowMs: number): Promise<Renewable<AwsKeys> | undefined> {
  if (env["AWS_EC2_METADATA_DISABLED"] === "true") return undefined;
  const origin = (env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] ?? "http://169.254.169.254").replace(/\/$/, "");
  const ask = (method: "GET" | "PUT", path: string, headers: Record<string, string>): Promise<string> =>
    http({ method, url: `${origin}/latest/${path}`, headers, timeoutMs: LOCAL_MS });
  let token: string;
  try {
    token = await ask("PUT", "api/token", { "x-aws-ec2-metadata-token-ttl-seconds": "300" });
  } catch (error) {
    // Most machines are none of Amazon's: nobody is there to answer.
    if (error instanceof CredentialError) return undefined;
    throw error;
  }
  const headers = { "x-aws-ec2-metadata-token": token };
  const roles = await ask("GET", "meta-data/iam/security-credentials/", headers);
  const role = roles.split("\n")[0]?.trim() ?? "";
  if (role === "") return undefined;
  const answer = await ask("GET", `meta-data/iam/security-credentials/${role}`, headers);
  return temporary(answer, "the machine's answer", nowMs);
}

function temporary(text: string, where: string, nowMs: number): Renewable<AwsKeys> {
  const answer = objectIn(text, where);
  const expires = Date.parse(typeof answer["Expiration"] === "string" ? answer["Expiration"] : "");
  return {
    value: {
      accessKeyId: textIn(answer, "AccessKeyId", where),
      secretAccessKey: textIn(answer, "SecretAccessKey", where),
      sessionToken: textIn(answer, "Token", where),
    },
    expiresAtMs: Number.isFinite(expires) ? expires : nowMs + 5 * 60_000,
  };
}
