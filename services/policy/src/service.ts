import { once } from "node:events";
import { requireReachable } from "@weir/egress";
import { jetStreamEvents } from "@weir/events";
import { systemClock, WeirError } from "@weir/kernel";
import { openRedis } from "@weir/storage";
import { memoryBuckets } from "./adapters/memory-buckets.ts";
import { digest, nodeKeysmith, webhookSignature } from "./adapters/node-keysmith.ts";
import { oidcTokens, unverifiedClaims } from "./adapters/oidc-tokens.ts";
import { postgresAdmin } from "./adapters/postgres-admin.ts";
import { postgresBooks } from "./adapters/postgres-books.ts";
import { postgresDirectory } from "./adapters/postgres-directory.ts";
import { postgresIssuers } from "./adapters/postgres-issuers.ts";
import { postgresIdempotency } from "./adapters/postgres-idempotency.ts";
import { postgresKeys } from "./adapters/postgres-keys.ts";
import { postgresRehearsal } from "./adapters/postgres-rehearsal.ts";
import { postgresLedger } from "./adapters/postgres-ledger.ts";
import { booksPool, directoryPool, idempotencyPool, ledgerPool, prepareDatabase } from "./adapters/postgres-pools.ts";
import { postgresWarnings } from "./adapters/postgres-warnings.ts";
import { redisBuckets } from "./adapters/redis-buckets.ts";
import { redisReplicas } from "./adapters/redis-replicas.ts";
import { webhookPost } from "./adapters/webhook-post.ts";
import type { PolicyOptions, PolicyService } from "./config.ts";
import type { KeyPolicy } from "./domain/key-policy.ts";
import { policyEvents } from "./events.ts";
import { keyBySecret } from "./flows/admin-keys.ts";
import type { FindKey } from "./flows/admit.ts";
import { bootstrap, checkBootstrapKey } from "./flows/bootstrap.ts";
import { Directory } from "./flows/directory.ts";
import { directorySync } from "./flows/directory-sync.ts";
import { keyCleanup } from "./flows/key-cleanup.ts";
import { idempotencyCleanup } from "./flows/idempotency-cleanup.ts";
import { KeyUses } from "./flows/key-uses.ts";
import { ledgerCleanup } from "./flows/ledger-cleanup.ts";
import { createLimiter } from "./flows/limiter.ts";
import { warningAnnouncer } from "./flows/warning-announcer.ts";
import { warningSender } from "./flows/warning-sender.ts";
import { WaitingLines } from "./flows/waiting-lines.ts";
import { policyRoutes } from "./rpc/routes.ts";

/** @throws Error for a bootstrap key that is too short and for workspaces that cannot be kept as described; a database that is away is no error, see PolicyService.notReady */
export async function createPolicy(options: PolicyOptions): Promise<PolicyService> {
  const { config, database, redisUrl, natsUrl, clock = systemClock } = options;
  checkBootstrapKey(config.bootstrapKey);
  const events = policyEvents(options.telemetry.log);
  const keysmith = nodeKeysmith(clock);
  const onError = events.onConnectionError;

  const ofLedger = ledgerPool(database, onError);
  const ofDirectory = directoryPool(database, onError);
  // Administration has connections of its own: strangers who try keys there must not keep us from hearing of revocations.
  const ofAdmin = directoryPool(database, onError);
  const ledger = postgresLedger(ofLedger, events.ledger);
  const admin = postgresAdmin(ofAdmin);
  const keys = postgresKeys(ofAdmin);
  const uses = new KeyUses(keys, events.onUsesUnwritten);
  const cleanup = keyCleanup(keys, events.onCleanupFailed);
  const ofBooks = booksPool(database, onError);
  const books = postgresBooks(ofBooks);
  const bookCleanup = ledgerCleanup(books, config.ledger.keepEntriesMs, clock, events.onBooksFailed);
  const ofIdempotency = idempotencyPool(database, onError);
  const idempotency = postgresIdempotency(ofIdempotency);
  const answerCleanup = idempotencyCleanup(idempotency, events.onAnswersUncleaned);
  const warnings = postgresWarnings(ofAdmin);
  const webhookOrigins = new Set(config.webhooks.internalOrigins);
  const eventStream = natsUrl === undefined ? undefined : jetStreamEvents({ url: natsUrl });
  const sender = warningSender({
    warnings,
    send: webhookPost(webhookOrigins),
    clock,
    sign: webhookSignature,
    random: Math.random,
    announce: eventStream && warningAnnouncer(warnings, (...event) => eventStream.publish(...event)),
    onError: events.onWarningsFailed,
  });

  const redis = redisUrl === undefined ? undefined : openRedis(redisUrl, { connectionName: "weir-policy", onError });
  const local = memoryBuckets({ nowUs: () => Math.floor(clock.monotonicMs() * 1000) });
  const shared =
    redis === undefined
      ? undefined
      : { buckets: redisBuckets(redis), replicas: redisReplicas(redis, { name: keysmith.newId() }) };
  const limiter = createLimiter(shared, local, events.limiter);
  const lines = new WaitingLines(limiter, events.onWaitingDefect);

  let bootstrapSecret: string | undefined;
  const directory = new Directory();
  const sync = directorySync(directory, postgresDirectory(ofDirectory), clock, events.directory, async () => {
    await prepareDatabase(database);
    bootstrapSecret = await bootstrap(admin, keysmith, config.workspaces, config.bootstrapKey);
  });

  /** Another replica may have made the key a moment ago. */
  async function lookAgain(keyId: string): Promise<KeyPolicy | WeirError> {
    try {
      await sync.refresh();
    } catch (cause) {
      return new WeirError("policy_unavailable", "This key cannot be checked right now.", {
        retryAfterMs: 1000,
        cause,
      });
    }
    return directory.key(keyId) ?? new WeirError("invalid_key", "There is no such key.");
  }
  const keyOf: FindKey = (keyId) => directory.key(keyId) ?? lookAgain(keyId);

  // What was written stays written where the refresh fails; the poll brings it.
  const places = { directory: admin, keysmith, refresh: () => sync.refresh().catch(() => undefined) };
  const internalOrigins = new Set(config.oidc.internalOrigins);
  const ofKeys = {
    ...places,
    keys,
    keyOf,
    clock,
    issuers: postgresIssuers(ofAdmin),
    tokens: oidcTokens(clock, internalOrigins, events.onIssuerAway),
    claimsOf: unverifiedClaims,
    internalOrigins,
  };
  const settling = {
    ledger,
    limiter,
    keyOf: (keyId: string) => directory.key(keyId),
    onAboveBound: events.onAboveBound,
  };
  const ending = new AbortController();
  const routes = policyRoutes({
    policy: {
      admit: { ledger, limiter, lines, keyOf, digest, clock },
      settle: settling,
      directory,
      sync,
      clock,
      uses,
      ending: ending.signal,
    },
    admin: places,
    keys: ofKeys,
    explaining: {
      keyOf,
      limiter,
      digest,
      clock,
      rehearsal: postgresRehearsal(ofAdmin),
      guardrails: new Set(config.guardrails.keys()),
      newId: () => keysmith.newId(),
    },
    books: { books, ledger, settle: settling },
    warnings: {
      directory: admin,
      warnings,
      keysmith,
      checkUrl: (url) => void requireReachable(url, webhookOrigins),
    },
    idempotency,
    authentication: {
      adminToken: config.adminToken,
      keysmith,
      async byKey(secret) {
        const key = await keyBySecret(ofKeys, secret);
        uses.add([{ keyId: key.keyId, atMs: clock.nowMs() }]);
        return key;
      },
    },
  });

  return {
    name: "policy",
    routes,
    get bootstrapSecret() {
      return bootstrapSecret;
    },
    async start() {
      await Promise.all([sync.start(), connected(redis).then(() => limiter.start())]);
      sender.start();
    },
    endWatches: () => ending.abort(),
    notReady() {
      if (directory.version === undefined) return "the policy database has not been reached yet";
      return sync.fresh() ? undefined : "the policy database is away";
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      lines[Symbol.dispose]();
      await cleanup[Symbol.asyncDispose]();
      await bookCleanup[Symbol.asyncDispose]();
      await answerCleanup[Symbol.asyncDispose]();
      await sender[Symbol.asyncDispose]();
      await eventStream?.[Symbol.asyncDispose]();
      await uses[Symbol.asyncDispose]();
      await sync[Symbol.asyncDispose]();
      await ledger[Symbol.asyncDispose]();
      await Promise.all([ofLedger.end(), ofDirectory.end(), ofAdmin.end(), ofBooks.end(), ofIdempotency.end()]);
      await limiter[Symbol.asyncDispose]();
      redis?.disconnect();
    },
  };
}

/** How long a start waits for Redis: going on without it would count what came first in this process alone. */
const CONNECT_WITHIN_MS = 1_000;

async function connected(redis: ReturnType<typeof openRedis> | undefined): Promise<void> {
  if (redis === undefined || redis.status === "ready") return;
  // Away: the limiter finds out, and says so.
  await once(redis, "ready", { signal: AbortSignal.timeout(CONNECT_WITHIN_MS) }).catch(() => undefined);
}
