import { createHash, createHmac } from "node:crypto";

/** Keys as AWS gives them out. */
export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** "": they are not temporary. */
  readonly sessionToken: string;
}

export interface AwsRequest {
  readonly method: string;
  /** As it is sent: encoded once, with its query. */
  readonly path: string;
  /** Those that are signed: names in lower case, `host` among them; not x-amz-date and x-amz-security-token, which are added. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}

/**
 * Signature Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html), as all services but S3
 * want it: a path is encoded once more than it is sent.
 * @returns the headers to add to the request
 */
export function signAws(
  request: AwsRequest,
  keys: AwsKeys,
  scope: { readonly region: string; readonly service: string },
  nowMs: number,
): Readonly<Record<string, string>> {
  const time = new Date(nowMs).toISOString().replaceAll(/[:-]|\.\d{3}/g, "");
  const day = time.slice(0, 8);
  const added: Record<string, string> = { "x-amz-date": time };
  if (keys.sessionToken !== "") added["x-amz-security-token"] = keys.sessionToken;
  const headers = Object.entries({ ...request.headers, ...added })
    .map(([name, value]) => [name, value.trim().replaceAll(/ +/g, " ")] as const)
    .sort(([one], [other]) => (one < other ? -1 : 1));
  const signed = headers.map(([name]) => name).join(";");
  const mark = request.path.indexOf("?");
  const path = mark === -1 ? request.path : request.path.slice(0, mark);
  const canonical = [
    request.method,
    path.split("/").map(encode).join("/"),
    mark === -1 ? "" : canonicalQuery(request.path.slice(mark + 1)),
    ...headers.map(([name, value]) => `${name}:${value}`),
    "",
    signed,
    sha256(request.body),
  ].join("\n");
  const within = `${day}/${scope.region}/${scope.service}/aws4_request`;
  const key = [day, scope.region, scope.service, "aws4_request"].reduce<string | Buffer>(
    (secret, part) => createHmac("sha256", secret).update(part).digest(),
    `AWS4${keys.secretAccessKey}`,
  );
  const signature = createHmac("sha256", key)
    .update(`AWS4-HMAC-SHA256\n${time}\n${within}\n${sha256(canonical)}`)
    .digest("hex");
  const credential = `Credential=${keys.accessKeyId}/${within}`;
  return { ...added, authorization: `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${signed}, Signature=${signature}` };
}

const sha256 = (data: Uint8Array | string): string => createHash("sha256").update(data).digest("hex");

/** Of RFC 3986, all but the unreserved. */
const encode = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** Sorted by name, then by value; what is encoded stays so. */
function canonicalQuery(query: string): string {
  return query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const equals = pair.indexOf("=");
      const name = equals === -1 ? pair : pair.slice(0, equals);
      const value = equals === -1 ? "" : pair.slice(equals + 1);
      return [encode(decodeURIComponent(name)), encode(decodeURIComponent(value))] as const;
    })
    .sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}
