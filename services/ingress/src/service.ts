import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import type { WeirConfig } from "@weir/config";
import { audit, policy, router } from "@weir/contracts";
import { openSpool, producerKey } from "@weir/events";
import { serveHttp } from "@weir/http1";
import { type Clock, systemClock } from "@weir/kernel";
import { healthPages, type Peers, type Service } from "@weir/mesh";
import { rangesOf } from "@weir/rules";
import { createGauge, type Telemetry } from "@weir/telemetry";
import { AnswerCipher } from "./adapters/answer-cipher.ts";
import { BatchedPolicy } from "./adapters/batched-policy.ts";
import { definitionsOf } from "./adapters/configured-guardrails.ts";
import { HmacKeys, rootSecret } from "./adapters/hmac.ts";
import { ListedModels } from "./adapters/listed-models.ts";
import { PolicyIdempotency } from "./adapters/policy-idempotency.ts";
import { ReportedUses } from "./adapters/reported-uses.ts";
import { routerUpstream } from "./adapters/router-upstream.ts";
import { SealedPayloads } from "./adapters/sealed-payloads.ts";
import { SlotLeases } from "./adapters/slot-leases.ts";
import { SpoolJournal } from "./adapters/spool-journal.ts";
import { createRecovery } from "./adapters/spool-recovery.ts";
import { WatchedKeys } from "./adapters/watched-keys.ts";
import { webhookDetectors } from "./adapters/webhook-detectors.ts";
import { WatchedTransportKey } from "./adapters/watched-transport-key.ts";
import { Guards } from "./domain/guardrails/guard.ts";
import { createFinished, shadowEnded } from "./events.ts";
import { createClose } from "./flows/close.ts";
import { createComplete } from "./flows/complete.ts";
import { InFlight } from "./flows/in-flight.ts";
import { createIdentify } from "./flows/identify.ts";
import { createCountInput } from "./flows/exact-input.ts";
import { idempotentComplete, idempotentStream } from "./flows/idempotent.ts";
import { createOpen } from "./flows/open.ts";
import { createReplay } from "./flows/replay.ts";
import { Shadows } from "./flows/shadows.ts";
import { createStream } from "./flows/stream.ts";
import { badRequest, createFront } from "./http/front.ts";
import { modelCall } from "./http/model-call.ts";
import { listModels } from "./http/models.ts";
import { clientIpReader, newRequestId } from "./http/read-request.ts";
import { type FacadeRoute, facadeRoutes } from "./http/routes.ts";
import { strangerCheck } from "./http/strangers.ts";
import { gatewayRoutes } from "./rpc/routes.ts";
import { spoolDirectory } from "./spool-directory.ts";
import type { TypedEvent, TypedInput, TypedOutput } from "./wire.ts";

export interface IngressOptions {
  readonly config: WeirConfig;
  readonly telemetry: Telemetry;
  readonly peers: Peers;
  readonly clock?: Clock;
}

export interface IngressService extends Service {
  /** Where the facade listens. */
  readonly httpPort: number;
  readonly facade: readonly FacadeRoute[];
  /** Says that it is not ready; resolves when whoever sends requests had the time to notice. */
  retire(): Promise<void>;
  /** Not ready any more: finishes what runs, to the deadline. For whoever has other doors to close at the same time; disposing does it, too. */
  drain(): Promise<void>;
}

const VERSION = "0.0.0";
/** A head comes in a packet or two: who takes longer holds a connection for nothing. */
const HEAD_TIMEOUT_MS = 10_000;
/** A request that is cut needs no more than to hear of it, and a disk that works. */
const LAST_RECORDS_MS = 5_000;

/** Listens as soon as it can refuse: until policy and router have been heard of, callers get 503 and /readyz says why. */
export async function createIngress(options: IngressOptions): Promise<IngressService> {
  const { config, telemetry, peers, clock = systemClock } = options;
  const { log } = telemetry;
  const said = (what: string) => (error: unknown) => log.warn({ err: error }, what);
  const atMs = (): bigint => BigInt(clock.nowMs());

  // Undone in reverse, also where a later step fails: a port that is taken must leave nothing that runs.
  await using starting = new AsyncDisposableStack();
  let transportKey: WatchedTransportKey | undefined;
  const directory = spoolDirectory(config.dataDir);
  const { publicKey } = producerKey(directory);
  const spool = await openSpool({
    directory,
    instance: config.instance,
    maxBytes: config.spool.maxBytes,
    strict: config.spool.strict,
    settlements: true,
    clock,
    epochOpen: (previous) =>
      toBinary(
        audit.EpochOpenSchema,
        create(audit.EpochOpenSchema, {
          atMs: atMs(),
          previousProducer: previous?.producer ?? "",
          previousLastNumber: BigInt(previous?.lastNumber ?? 0),
          version: VERSION,
          publicKey,
        }),
      ),
    mark: () =>
      toBinary(
        audit.MarkSchema,
        create(audit.MarkSchema, { atMs: atMs(), transportKey: BigInt(transportKey?.number ?? 0) }),
      ),
    epochClose: () => toBinary(audit.EpochCloseSchema, create(audit.EpochCloseSchema, { atMs: atMs() })),
  });
  let owing = 0;
  starting.defer(() => spool.close({ unsettled: owing > 0 }));
  const inFlight = new InFlight();
  const policyClient = peers.client(policy.PolicyService);
  const routerClient = peers.client(router.RouterService);
  const grace = { policyMs: config.policy.graceMs, storeMs: config.policy.storeGraceMs };
  const keys = starting.use(
    new WatchedKeys(policyClient, clock, grace, {
      onError: said("policy is away"),
      onEnded: (keyIds) => inFlight.endThoseOf(keyIds),
    }),
  );
  const models = starting.use(new ListedModels(routerClient, said("the router is away")));
  const admissions = new BatchedPolicy(policyClient, spool.producer, {
    onError: said("policy did not answer"),
    onDropped: ({ requestId, attempt }, error) =>
      log.error({ err: error, requestId, attempt }, "policy will never take a settlement: its hold stays as it is"),
    onSettledThrough: (outcomeNumber) => spool.settled(outcomeNumber),
  });
  starting.defer(async () => {
    await admissions[Symbol.asyncDispose]();
    owing = admissions.pending;
  });
  const slots = starting.use(
    new SlotLeases(policyClient, clock, said("policy was not told which requests still run; it will be told again")),
  );
  const uses = starting.use(
    new ReportedUses(policyClient, clock, said("policy was not told which keys were used; it will be told again")),
  );
  const root = config.hmacKey === undefined ? rootSecret(config.dataDir) : Buffer.from(config.hmacKey.reveal());
  const hmacKeys = new HmacKeys(root);
  const journal = starting.use(
    new SpoolJournal(spool, config.spool.maxBytes, hmacKeys, said("a refusal was not recorded")),
  );
  transportKey = starting.use(
    new WatchedTransportKey(
      peers.client(audit.ProducerService),
      spool.producer,
      clock,
      said("audit told no transport key: until it does, texts of workspaces with `payloads: full` are not kept"),
    ),
  );
  const { pseudonyms } = transportKey;
  const payloads = new SealedPayloads(transportKey, said("a payload could not be sealed, and is not kept"));
  const upstream = routerUpstream(routerClient, spool.producer);
  const recovery = createRecovery({ spool, client: policyClient, clock, onError: said("recovery waits for policy") });
  starting.defer(() => recovery.stop());

  const identify = createIdentify(keys, uses, journal, newRequestId, clock);
  const trustedProxies = rangesOf(config.trustedProxies);
  const clientIp = clientIpReader(trustedProxies);
  const countInput = createCountInput(upstream, said("the router counted no tokens"));
  const guards = new Guards(definitionsOf(config.guardrails));
  const detectors = webhookDetectors(said("an external detector of a guardrail did not answer"));
  const open = createOpen({
    keys,
    admissions,
    slots,
    journal,
    pseudonyms,
    models,
    countInput,
    guards,
    detectors,
    clock,
  });
  const close = createClose({ admissions, slots, journal, clock });
  const calls = { open, close, upstream, journal, payloads, detectors, clock };
  const timeoutMs = config.http.answerTimeoutMs;
  const requests = starting.use(
    new PolicyIdempotency(
      peers.client(policy.IdempotencyService),
      new AnswerCipher(root),
      said("policy did not take what is to be known of a request with an Idempotency-Key"),
    ),
  );
  const replay = createReplay<TypedOutput, TypedEvent>({ admissions, journal, pseudonyms, keys, models, clock });
  const idempotency = { requests, replay, journal, clock };
  const shadows = new Shadows<TypedInput, TypedEvent>({
    models,
    keys,
    clock,
    random: Math.random,
    newRequestId,
    hasRoom: () => spool.bytes < config.spool.maxBytes / 2,
    inFlight,
    complete: createComplete<TypedInput, TypedOutput>(calls, "complete", timeoutMs),
    embed: createComplete<TypedInput, TypedOutput>(calls, "embed", timeoutMs),
    stream: createStream<TypedInput, TypedEvent>(calls, timeoutMs),
    ended: shadowEnded(telemetry),
    defect: (error, requestId) => log.error({ err: error, requestId }, "a copy of a request failed"),
  });
  const chat = { ...calls, open: shadows.around(open, "chat") };
  const vectors = { ...calls, open: shadows.around(open, "embed") };
  const complete = createComplete<TypedInput, TypedOutput>(chat, "complete", timeoutMs);
  const embed = createComplete<TypedInput, TypedOutput>(vectors, "embed", timeoutMs);
  const stream = createStream<TypedInput, TypedEvent>(chat, timeoutMs);
  const flows = {
    identify,
    clientIp,
    trustedProxies,
    inFlight,
    complete: idempotentComplete(idempotency, complete),
    embed: idempotentComplete(idempotency, embed),
    stream: idempotentStream(idempotency, stream),
    finished: createFinished(telemetry),
    startSpan: telemetry.startSpan,
    models,
    clock,
    newRequestId,
    defect: (error: unknown, requestId: string) => log.error({ err: error, requestId }, "defect"),
  };

  let draining = false;
  const reasons = (): string[] =>
    [
      draining ? "shutting down" : undefined,
      {
        live: undefined,
        stale: undefined,
        expired: keys.storeAway ? "policy's database is away" : "policy is away",
        never: "policy has not been heard of yet",
      }[keys.freshness()],
      models.notReady(),
      journal.notReady(),
    ].filter((reason) => reason !== undefined);

  const facade = facadeRoutes({
    model: (route, dialect) => modelCall(route, dialect, flows),
    models: listModels({ identify, clientIp, models, nowMs: () => clock.nowMs() }),
    pages: healthPages({ notReady: reasons, metrics: telemetry, onError: said("metrics could not be read") }),
  });
  const gauge = (name: string, help: string, read: () => number): void =>
    createGauge(telemetry.metrics, name, help, read);
  gauge("weir_spool_bytes", "Bytes of records that are not confirmed yet.", () => spool.bytes);
  gauge("weir_spool_depth", "Requests whose outcome is not recorded yet.", () => spool.depth);
  gauge("weir_settlements_pending", "Requests whose charge policy does not have yet.", () => admissions.pending);

  const { http } = config;
  const server = await serveHttp(
    createFront(facade, () => clock.nowMs()),
    {
      listen: http.listen,
      maxHeadBytes: http.maxHeaderBytes,
      maxBodyBytes: http.maxBodyBytes,
      maxBufferedBytes: http.maxBufferedBytes,
      headTimeoutMs: Math.min(HEAD_TIMEOUT_MS, http.requestTimeoutMs),
      requestTimeoutMs: http.requestTimeoutMs,
      stalledMs: http.stalledClientMs,
      maxConnections: http.maxConnections,
      onBadRequest: badRequest,
      checkHead: strangerCheck(facade, flows),
      onHandlerError: (error) => log.error({ err: error }, "defect"),
    },
  );
  gauge(
    "weir_buffered_bytes",
    "Bytes of bodies of requests that are being read or answered.",
    () => server.bufferedBytes,
  );

  let retired: Promise<void> | undefined;
  const retire = (): Promise<void> => {
    draining = true;
    server.retire();
    return (retired ??= sleep(http.drainDelayMs));
  };
  const drain = async (): Promise<void> => {
    await retire();
    await server.close(http.drainMs);
  };
  starting.defer(async () => {
    await drain();
    shadows.close();
    // Whose connection was cut at the deadline is still to be recorded and settled.
    await inFlight.none(LAST_RECORDS_MS);
  });
  const running = starting.move();
  return {
    name: "ingress",
    routes: gatewayRoutes(flows),
    facade,
    httpPort: server.port,
    async start() {
      recovery.start();
    },
    notReady: () => reasons()[0],
    retire,
    drain,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
