import {
  createCipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { audit } from "@weir/contracts";
import { FRAME_KIND, type Frame } from "@weir/events";
import { uuidv7 } from "@weir/kernel";
import { keyIdOf } from "@weir/sealing";
import { type DatabaseAddress, ensureRole, migrate, openPool } from "@weir/storage";
import type { AuditConfig } from "../src/config.ts";
import { recordOf } from "../src/adapters/header-reader.ts";
import type { LogRecord } from "../src/domain/record.ts";

/** Brings the schema into a database, as the service does at its start. */
export async function prepared(connectionString: string): Promise<DatabaseAddress> {
  const database = { connectionString };
  await ensureRole(database, "weir_audit");
  await migrate(database, {
    schema: "audit",
    directory: new URL("../migrations/audit/", import.meta.url),
    lockName: "weir.audit.migrate",
  });
  return database;
}

/** A pool that acts as the service does, or as the owner of the schema. */
export function poolOf(database: DatabaseAddress, role?: string): ReturnType<typeof openPool> & AsyncDisposable {
  const pool = openPool(database, {
    ...(role === undefined ? {} : { role }),
    applicationName: "test",
    statementTimeoutMs: 30_000,
    settings: { search_path: "audit, pg_temp" },
  });
  return Object.assign(pool, { [Symbol.asyncDispose]: () => pool.end() });
}

export const AT_MS = 1_760_000_000_000;

const idOf = (seed: number): string => {
  const random = new Uint8Array(10);
  new DataView(random.buffer).setFloat64(0, seed);
  return uuidv7(AT_MS + seed, random);
};

export interface Request {
  readonly seed: number;
  readonly workspaceId?: string;
  readonly keyId?: string;
  readonly model?: string;
  readonly outcome?: audit.OutcomeKind;
  readonly intentProducer?: string;
  readonly intentNumber?: number;
  readonly endUserHmac?: Uint8Array;
}

export const requestId = (request: Request): string => idOf(request.seed);

export const intentMessage = (request: Request): audit.Intent =>
  create(audit.IntentSchema, {
    requestId: requestId(request),
    atMs: BigInt(AT_MS + request.seed),
    organizationId: "org",
    workspaceId: request.workspaceId ?? "workspace",
    keyId: request.keyId ?? "key",
    route: "POST /v1/chat/completions",
    model: request.model ?? "fast",
    inputHmac: new Uint8Array(32).fill(7),
    boundNanos: 5_000_000n,
    policyVersion: 12n,
    ...(request.endUserHmac === undefined ? {} : { endUserHmac: request.endUserHmac }),
  });

export const outcomeMessage = (request: Request): audit.Outcome =>
  create(audit.OutcomeSchema, {
    intent: intentMessage(request),
    atMs: BigInt(AT_MS + request.seed),
    kind: request.outcome ?? audit.OutcomeKind.SUCCEEDED,
    status: 200,
    result: {
      served: { provider: "echo", model: "echo-1", attempt: 1 },
      usage: { inputTokens: 10, outputTokens: 20 },
      costNanos: 1_000n,
      attempts: [{ attempt: 1, provider: "echo", model: "echo-1", status: 200, costNanos: 1_000n }],
    },
    outputHmac: new Uint8Array(32).fill(9),
    intentProducer: request.intentProducer ?? "",
    intentNumber: BigInt(request.intentNumber ?? 0),
  });

export const intentHeader = (request: Request): Uint8Array => toBinary(audit.IntentSchema, intentMessage(request));
export const outcomeHeader = (request: Request): Uint8Array => toBinary(audit.OutcomeSchema, outcomeMessage(request));

const NOTHING = new Uint8Array(0);

/** A frame with what its fields are when nothing is said about them. */
export const frame = (fields: Partial<Frame> & Pick<Frame, "number" | "kind">): Frame => ({
  ref: 0,
  origin: "",
  header: NOTHING,
  payload: NOTHING,
  payloadOmitted: false,
  ...fields,
});

export const intentFrame = (number: number, request: Request): Frame =>
  frame({ number, kind: FRAME_KIND.intent, header: intentHeader(request) });

export const outcomeFrame = (number: number, ref: number, request: Request): Frame =>
  frame({ number, ref, kind: FRAME_KIND.outcome, header: outcomeHeader(request), payload: new Uint8Array(500) });

export const intentRecord = (producer: string, number: number, request: Request): LogRecord =>
  recordOf(producer, intentFrame(number, request), 0);

export const outcomeRecord = (producer: string, number: number, ref: number, request: Request): LogRecord =>
  recordOf(producer, outcomeFrame(number, ref, request), 0);

/** As weir.yaml's defaults, but for second places. */
export const SETTINGS: AuditConfig["audit"] = {
  headIntervalMs: 60_000,
  headsTo: [],
  retention: undefined,
  retentionEveryMs: 3_600_000,
  payloadKeys: [],
  transportKeyIntervalMs: 86_400_000,
};

/** As version 1 of the format was: one content key for all that an ephemeral key sealed, and no subject. */
export function sealedBefore(recipient: Uint8Array, plain: Uint8Array, belongsTo: string): Buffer {
  const own = generateKeyPairSync("x25519");
  const x = (key: KeyObject): Buffer => Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
  const jwk = { kty: "OKP", crv: "X25519", x: Buffer.from(recipient).toString("base64url") };
  const publicKey = createPublicKey({ key: jwk, format: "jwk" });
  const ephemeral = x(own.publicKey);
  const info = Buffer.concat([Buffer.from("weir sealed payload 1"), ephemeral, recipient]);
  const secret = diffieHellman({ privateKey: own.privateKey, publicKey });
  const key = Buffer.from(hkdfSync("sha256", secret, "", info, 32));
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(belongsTo));
  const text = [cipher.update(plain), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat([Buffer.from([1]), keyIdOf(recipient), ephemeral, nonce, ...text]);
}
