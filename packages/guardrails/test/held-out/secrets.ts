/** Secrets by their issuers' documentation and other scanners' rules, where developers leave them; and what looks like one and is none. */
import { below, from, pick, type Random } from "../planted.ts";

const U = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const L = "abcdefghijklmnopqrstuvwxyz";
const D = "0123456789";
const AN = U + L + D;
const HEX = "0123456789abcdef";
const B64 = `${AN}+/`;
const URL64 = `${AN}_-`;

type Make = (random: Random) => string;

export const KINDS: Readonly<Record<string, Make>> = {
  "openai classic": (r) => `sk-${from(r, AN, 20)}T3BlbkFJ${from(r, AN, 20)}`,
  "openai project": (r) => `sk-proj-${from(r, URL64, 74)}T3BlbkFJ${from(r, URL64, 73)}A`,
  "openai service": (r) => `sk-svcacct-${from(r, URL64, 58)}T3BlbkFJ${from(r, URL64, 58)}A`,
  anthropic: (r) => `sk-ant-api03-${from(r, URL64, 93)}AA`,
  "anthropic admin": (r) => `sk-ant-admin01-${from(r, URL64, 93)}AA`,
  deepseek: (r) => `sk-${from(r, HEX, 32)}`,
  openrouter: (r) => `sk-or-v1-${from(r, HEX, 64)}`,
  google: (r) => `AIza${from(r, URL64, 34)}A`,
  "google oauth": (r) => `GOCSPX-${from(r, AN, 28)}`,
  "google token": (r) => `ya29.${from(r, URL64, 120)}A`,
  groq: (r) => `gsk_${from(r, AN, 52)}`,
  xai: (r) => `xai-${from(r, AN, 80)}`,
  perplexity: (r) => `pplx-${from(r, HEX, 48)}`,
  huggingface: (r) => `hf_${from(r, U + L, 34)}`,
  replicate: (r) => `r8_${from(r, AN, 37)}`,
  "aws id": (r) => `AKIA${from(r, `${U}234567`, 16)}`,
  "aws temporary id": (r) => `ASIA${from(r, `${U}234567`, 16)}`,
  "github classic": (r) => `ghp_${from(r, AN, 36)}`,
  "github app": (r) => `ghs_${from(r, AN, 36)}`,
  "github fine": (r) => `github_pat_${from(r, AN, 22)}_${from(r, AN, 59)}`,
  gitlab: (r) => `glpat-${from(r, URL64, 19)}x`,
  npm: (r) => `npm_${from(r, AN, 36)}`,
  pypi: (r) => `pypi-AgEIcHlwaS5vcmc${from(r, URL64, 150)}A`,
  "slack bot": (r) => `xoxb-${from(r, D, 11)}-${from(r, D, 12)}-${from(r, AN, 24)}`,
  "slack user": (r) => `xoxp-${from(r, D, 11)}-${from(r, D, 12)}-${from(r, D, 12)}-${from(r, HEX, 32)}`,
  "slack app": (r) => `xapp-1-A${from(r, U + D, 10)}-${from(r, D, 13)}-${from(r, HEX, 64)}`,
  "slack webhook": (r) =>
    `https://hooks.slack.com/services/T${from(r, U + D, 8)}/B${from(r, U + D, 10)}/${from(r, AN, 24)}`,
  "discord webhook": (r) => `https://discord.com/api/webhooks/${from(r, D, 18)}/${from(r, URL64, 68)}`,
  "discord bot": (r) => `M${from(r, AN, 23)}.G${from(r, AN, 5)}.${from(r, URL64, 37)}A`,
  stripe: (r) => `sk_live_${from(r, AN, 24)}`,
  "stripe long": (r) => `sk_test_51${from(r, AN, 97)}`,
  "stripe restricted": (r) => `rk_live_${from(r, AN, 24)}`,
  twilio: (r) => `SK${from(r, HEX, 32)}`,
  sendgrid: (r) => `SG.${from(r, URL64, 21)}a.${from(r, URL64, 42)}b`,
  mailgun: (r) => `key-${from(r, HEX, 32)}`,
  telegram: (r) => `${1 + below(r, 9)}${from(r, D, 9)}:AA${from(r, URL64, 32)}x`,
  shopify: (r) => `shpat_${from(r, HEX, 32)}`,
  digitalocean: (r) => `dop_v1_${from(r, HEX, 64)}`,
  databricks: (r) => `dapi${from(r, HEX, 32)}`,
  vault: (r) => `hvs.${from(r, URL64, 90)}A`,
  linear: (r) => `lin_api_${from(r, AN, 40)}`,
  notion: (r) => `ntn_${from(r, AN, 46)}`,
  figma: (r) => `figd_${from(r, URL64, 40)}`,
  atlassian: (r) => `ATATT3xFfGF0${from(r, URL64, 172)}=${from(r, U + D, 8)}`,
  docker: (r) => `dckr_pat_${from(r, URL64, 27)}`,
  postman: (r) => `PMAK-${from(r, HEX, 24)}-${from(r, HEX, 34)}`,
  "new relic": (r) => `NRAK-${from(r, U + D, 27)}`,
  grafana: (r) => `glsa_${from(r, AN, 32)}_${from(r, HEX, 8)}`,
  sentry: (r) => `sntryu_${from(r, HEX, 64)}`,
  doppler: (r) => `dp.pt.${from(r, AN, 43)}`,
  age: (r) => `AGE-SECRET-KEY-1${from(r, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)}`,
  jwt: (r) =>
    `eyJhbGciOiJSUzI1NiIsImtpZCI6I${from(r, URL64, 10)}.eyJpc3MiOiJodHRw${from(r, URL64, 90)}.${from(r, URL64, 342)}`,
  pem: (r) =>
    `-----BEGIN RSA PRIVATE KEY-----\n${Array.from({ length: 12 }, () => from(r, B64, 64)).join("\n")}\n-----END RSA PRIVATE KEY-----`,
  openssh: (r) =>
    `-----BEGIN OPENSSH PRIVATE KEY-----\n${Array.from({ length: 6 }, () => from(r, B64, 70)).join("\n")}\n-----END OPENSSH PRIVATE KEY-----`,
  "pem in json": (r) =>
    `-----BEGIN PRIVATE KEY-----\\n${Array.from({ length: 20 }, () => from(r, B64, 64)).join("\\n")}\\n-----END PRIVATE KEY-----\\n`,
};

const AROUND = [
  "{}",
  "export KEY={}",
  "key: {}",
  '"{}"',
  "Use {} to call it.",
  "curl -H 'X-Key: {}' https://x.y/",
  "const client = new Client('{}');",
  "my key is {}, does it work?",
  "`{}`",
  "it says invalid key {}\nwhat now?",
];

/** What only its name tells. */
export const NAMED: Readonly<Record<string, Make>> = {
  "aws secret": (r) => `aws_secret_access_key = ${from(r, B64, 40)}`,
  "aws secret in JSON": (r) => `"SecretAccessKey": "${from(r, B64, 40)}"`,
  "azure storage": (r) =>
    `DefaultEndpointsProtocol=https;AccountName=devstore;AccountKey=${from(r, B64, 86)}==;EndpointSuffix=core.windows.net`,
  "azure bus": (r) =>
    `Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=${from(r, B64, 43)}=`,
  "azure client": (r) => `AZURE_CLIENT_SECRET=${from(r, AN, 3)}8Q~${from(r, URL64, 33)}x`,
  "password in yaml": (r) => `database:\n  user: app\n  password: ${from(r, AN, 6)}7!${from(r, L, 3)}`,
  "password in code": (r) => `const password = "${from(r, AN, 9)}4$";`,
  "password in prose": (r) => `I forgot to say, my password is ${from(r, L, 6)}${from(r, D, 3)}! and it does not work`,
  "url password": (r) => `postgres://app:${from(r, AN, 12)}@db.internal:5432/app`,
  "redis url": (r) => `REDIS_URL=redis://:${from(r, AN, 20)}@cache:6379/0`,
  "env token": (r) => `API_TOKEN=${from(r, HEX, 40)}`,
  "client secret": (r) => `client_secret: "${from(r, AN, 32)}"`,
  bearer: (r) => `Authorization: Bearer ${from(r, HEX, 48)}`,
  "datadog key": (r) => `DD_API_KEY="${from(r, HEX, 32)}"`,
  "json key": (r) => `{"apiKey":"${from(r, AN, 28)}","region":"eu"}`,
  "camel token": (r) => `accessToken: '${from(r, URL64, 35)}x',`,
  "django key": (r) => `SECRET_KEY = 'django-insecure-${from(r, `${L}${D}!@#$%^&*`, 44)}x'`,
  "header key": (r) => `x-api-key: ${from(r, AN, 40)}`,
};

export function secretSample(random: Random, kind: string): { text: string; value: string } {
  const make = KINDS[kind];
  if (make !== undefined) {
    const value = make(random);
    return { value, text: pick(random, AROUND).replace("{}", () => value) };
  }
  const text = (NAMED[kind] as Make)(random);
  // What must not be seen: the last twelve random characters are enough to tell.
  const value = /[:=]\s*["']?([^\s"',;]{8,})["']?[,;]?$/.exec(text)?.[1] ?? "";
  return { text, value };
}

/** What is often taken for a secret. Each as developers paste it. */
export const BENIGN: readonly Make[] = [
  (r) => `commit ${from(r, HEX, 40)}\nAuthor: Ann`,
  (r) => `sha256:${from(r, HEX, 64)}`,
  (r) => `"integrity": "sha512-${from(r, B64, 86)}=="`,
  (r) => `id: ${from(r, HEX, 8)}-${from(r, HEX, 4)}-4${from(r, HEX, 3)}-a${from(r, HEX, 3)}-${from(r, HEX, 12)}`,
  (r) => `<img src="data:image/png;base64,iVBORw0KGgo${from(r, B64, 120)}=">`,
  () => "password = getpass.getpass('Password: ')",
  () => 'const token = process.env.GITHUB_TOKEN ?? "";',
  () => "api_key: ${OPENAI_API_KEY}",
  () => "export OPENAI_API_KEY=sk-...",
  () => "Set OPENAI_API_KEY to your key, for example sk-xxxxxxxxxxxxxxxxxxxxxxxx.",
  () => "password: <your password>",
  () => "The password must be at least 12 characters long and contain a digit.",
  () => "if (password.length < 8) return error('password too short');",
  () => "token = tokenizer.convert_ids_to_tokens(ids)",
  () => "max_tokens: 4096, stop_token: null",
  () => "secret_name = 'prod/database/credentials'",
  () => 'resource "aws_secretsmanager_secret" "db" { name = "rds-credentials" }',
  () => "from sklearn.model_selection import train_test_split, sk-learn-contrib-imbalanced-learn",
  () => "see https://example.com/docs/authentication#api-keys?lang=en for more",
  (r) => `ETag: "${from(r, HEX, 32)}"`,
  (r) => `docker.io/library/node@sha256:${from(r, HEX, 64)}`,
  (r) => `color: #${from(r, HEX, 6)}; background: #${from(r, HEX, 6)}`,
  (r) => `traceparent: 00-${from(r, HEX, 32)}-${from(r, HEX, 16)}-01`,
  (r) => `wss://example.org/socket?id=${from(r, D, 10)}`,
  () => "key: value\nprimary_key: id\nforeign_key: user_id",
  () => "const passwordInput = document.querySelector('#password');",
  () =>
    "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ\n-----END CERTIFICATE-----",
  () =>
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9\n-----END PUBLIC KEY-----",
  () => "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ann@host",
  () => "A token is a piece of a word; the secret is to count them before you send.",
  () => "session: { secret: config.sessionSecret, resave: false }",
  () => "password_hash = bcrypt.hashpw(password, salt)",
  () => 'logger.info("token expired for user", userId)',
  () => "auth: { type: 'oauth2', scopes: ['read:user', 'repo'] }",
  () => "POST /oauth/token grant_type=authorization_code&code=CODE&redirect_uri=URI",
  (r) => `request-id: req_${from(r, AN, 24)}`,
  (r) => `"id": "chatcmpl-${from(r, AN, 29)}"`,
  (r) => `"id": "msg_01${from(r, AN, 22)}", "call_id": "call_${from(r, AN, 24)}"`,
  (r) => `s3://bucket/path/${from(r, HEX, 32)}/part-00000.parquet`,
  () => "The API key is missing from the header, what should I do?",
];
