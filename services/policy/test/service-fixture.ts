import { randomUUID } from "node:crypto";
import type { Client } from "@connectrpc/connect";
import { policy } from "@weir/contracts";
import { Secret } from "@weir/kernel";
import { fromConnectError, inProcessPeers } from "@weir/mesh";
import { createPolicy, type PolicyConfig, type PolicyService } from "../src/index.ts";

export const ADMIN_TOKEN = "an-admin-token-of-the-test";
const admin = { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } };

export interface Replica extends AsyncDisposable {
  readonly service: PolicyService;
  readonly policy: Client<typeof policy.PolicyService>;
  readonly admin: Client<typeof policy.PolicyAdminService>;
  readonly budgets: Client<typeof policy.BudgetService>;
  readonly tokens: Client<typeof policy.TokenService>;
  readonly asAdmin: typeof admin;
  readonly log: string[];
}

export async function replica(
  databaseUrl: string,
  options: { redisUrl?: string; natsUrl?: string; config?: Partial<PolicyConfig> } = {},
): Promise<Replica> {
  const log: string[] = [];
  const write = (fields: object, message: string): void => {
    log.push(
      `${message} ${JSON.stringify(fields, (_, value: unknown) => (value instanceof Error ? value.message : value))}`,
    );
  };
  const service = await createPolicy({
    config: {
      instance: "test",
      bootstrapKey: undefined,
      adminToken: new Secret(ADMIN_TOKEN),
      workspaces: new Map(),
      guardrails: new Map(),
      oidc: { internalOrigins: [] },
      webhooks: { internalOrigins: [] },
      ledger: { keepEntriesMs: 400 * 86_400_000 },
      ...options.config,
    },
    telemetry: { log: { info: write, warn: write, error: write } },
    database: { connectionString: databaseUrl },
    redisUrl: options.redisUrl,
    natsUrl: options.natsUrl,
  });
  await service.start();
  const peers = inProcessPeers(service.routes);
  return {
    service,
    policy: peers.client(policy.PolicyService),
    admin: peers.client(policy.PolicyAdminService),
    budgets: peers.client(policy.BudgetService),
    tokens: peers.client(policy.TokenService),
    asAdmin: admin,
    log,
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

/** The reason of what a call fails with. */
export async function reasonOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "none";
  } catch (error) {
    return fromConnectError(error).reason;
  }
}

export interface AskedAdmission {
  readonly keyId: string;
  readonly requestId?: string;
  readonly cost?: bigint;
  readonly tokens?: number;
  readonly endUser?: string;
  readonly model?: string;
  readonly tags?: Record<string, string>;
  readonly runId?: string;
  readonly callDigest?: string;
}

/** Admits one request. @returns its id, whether it was admitted, and why not */
export async function admitOne({ policy: client }: Replica, asked: AskedAdmission, owner = "owner") {
  const requestId = asked.requestId ?? randomUUID();
  const { verdicts } = await client.admitBatch({
    owner,
    admissions: [
      {
        requestId,
        keyId: asked.keyId,
        model: asked.model ?? "fast",
        bound: { costNanos: asked.cost ?? 0n, tokens: BigInt(asked.tokens ?? 0) },
        inputTokens: asked.tokens ?? 0,
        endUser: asked.endUser ?? "",
        tags: asked.tags ?? {},
        runId: asked.runId ?? "",
        callDigest: asked.callDigest ?? "",
      },
    ],
  });
  const verdict = verdicts[0];
  const refused = verdict?.verdict.case === "refused" ? verdict.verdict.value : undefined;
  const held = verdict?.verdict.case === "admitted" && verdict.verdict.value.held;
  return { requestId, admitted: verdict?.verdict.case === "admitted", held, refused, limits: verdict?.limits ?? [] };
}
