/**
 * The way in of an identified caller, the same for every route and dialect: authorize, admit, record the intent. Fails closed: whatever cannot
 * be checked or recorded is refused, with the one exception that design.md names (a key without a hard budget goes on for the grace
 * time while policy is away).
 */
import { type Clock, WeirError } from "@weir/kernel";
import { type RequestAttributes, ruleError } from "@weir/rules";
import {
  type Bound,
  boundOf,
  type Candidate,
  type Counted,
  effectiveOutputCap,
  inputTokensFor,
  toolBoundOf,
  toolCallCap,
} from "../domain/bound.ts";
import type { Call } from "../domain/call.ts";
import { attributesFor, type Grant, grantFor, objection, requireInference } from "../domain/grant.ts";
import type { Guard, Guards } from "../domain/guardrails/guard.ts";
import { GuardSession } from "../domain/guardrails/session.ts";
import type { DataSubject, Intent } from "../domain/record.ts";
import type { RequestShape } from "../domain/shape.ts";
import { callTextOf } from "../domain/repeated-call.ts";
import type {
  Admissions,
  ExternalDetectors,
  Journal,
  KeyDirectory,
  Models,
  Pseudonyms,
  Slots,
  Verdict,
} from "../ports.ts";
import { type CountInput, countingCall, mayFitCounted } from "./exact-input.ts";
import { askAboutRequest, guardRequest } from "./guarding.ts";
import type { Incoming, Trail } from "./trail.ts";

export interface Opened<Input> {
  readonly grant: Grant;
  /** Undefined: no guardrails. */
  readonly session: GuardSession | undefined;
  /** What may be kept of the request: as its guardrails let it through. */
  readonly inputBytes: Uint8Array;
  readonly subject: DataSubject;
  /** As its guardrails let it through. */
  readonly shape: RequestShape;
  readonly intent: Intent;
  readonly intentNumber: number;
  readonly call: Call<Input>;
}

/** @param signal aborted when the client goes away: who waits for its turn does so no longer */
export type Open = <Input>(incoming: Incoming<Input>, trail: Trail, signal: AbortSignal) => Promise<Opened<Input>>;

const FREE: Verdict = { admitted: true, held: false, limits: [] };

export function createOpen(ports: {
  readonly keys: KeyDirectory;
  readonly admissions: Admissions;
  readonly slots: Slots;
  readonly journal: Journal;
  readonly pseudonyms: Pseudonyms;
  readonly models: Models;
  readonly countInput: CountInput;
  readonly guards: Guards;
  readonly detectors: ExternalDetectors;
  readonly clock: Clock;
}): Open {
  const { guards, detectors } = ports;
  const guardrails = guards.names;
  const { keys, admissions, slots, journal, pseudonyms, models, countInput, clock } = ports;

  /** Policy could not be asked. Only a key whose budgets are all soft goes on without its hold. */
  async function ask(
    incoming: Incoming<unknown>,
    { endUser, tags }: RequestAttributes,
    grant: Grant,
    bound: Bound,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const { key } = grant;
    if (!key.hasBudget && !key.hasLimit) return FREE;
    try {
      return await admissions.admit(
        {
          requestId: incoming.requestId,
          keyId: key.id,
          model: incoming.shape.model,
          bound,
          endUser,
          clientIp: incoming.clientIp,
          tags,
          runId: incoming.runId,
          callText: key.countsCalls && incoming.runId !== "" ? callTextOf(incoming) : "",
          maxWaitMs: incoming.waiting?.maxWaitMs,
          priority: incoming.waiting?.priority ?? 0,
        },
        signal,
      );
    } catch (error) {
      const away = error instanceof WeirError && error.reason === "policy_unavailable";
      if (away && !key.hasHardBudget) return FREE;
      throw error;
    }
  }

  function refuse(incoming: Incoming<unknown>, error: WeirError, rule: string): WeirError {
    const { key } = incoming.grant;
    journal.refusal({
      requestId: incoming.requestId,
      atMs: clock.nowMs(),
      organizationId: key.organizationId,
      workspaceId: key.workspaceId,
      projectId: key.projectId,
      keyId: key.id,
      route: incoming.route,
      model: incoming.shape.model,
      reason: error.reason,
      rule,
      count: 1,
    });
    return error;
  }

  /** Nothing was called: what was taken is given back. */
  function giveBack(requestId: string, { key }: Grant, held: boolean): void {
    if (!held && !key.hasLimit) return;
    const charge = { kind: "void", notCalled: true } as const;
    admissions.settle([{ requestId, attempt: 1, keyId: key.id, charge }], 0);
  }

  return async (asked, trail, signal) => {
    let incoming = asked;
    let { shape } = incoming;
    const attributes = attributesFor(incoming.grant, shape.endUser, incoming.tags);
    const grant = grantFor(incoming.grant, attributes);
    const { key } = grant;
    const nowMs = clock.nowMs();
    trail.stream = shape.stream;

    const listed = models.candidates(shape.model);
    // Only a name the router listed becomes a label of metrics: a stranger's invention must not.
    if (listed !== undefined) trail.model = shape.model;
    const count = (): Promise<Counted | undefined> => countInput(countingCall(incoming, grant), candidates, grant);
    let bound: Bound;
    let outputCap: number;
    let candidates = listed;
    let counted: Counted | undefined;
    let rule = "rules";
    try {
      requireInference(key);
      let refusal = objection(grant, shape, incoming.tags, incoming.clientIp, guardrails);
      const guard = (refusal?.rule ?? TOO_LONG) === TOO_LONG ? guards.of(key.rules.requiredGuardrails) : undefined;
      if (guard !== undefined) {
        // Before it is counted: a provider may be asked to do that.
        rule = guardrailsRule(guard);
        trail.guardrails = new GuardSession(guard);
        incoming = guardRequest(trail.guardrails, asked);
        ({ shape } = incoming);
        rule = "rules";
      }
      const { maxInputTokens } = key.rules;
      // So many bytes are never more tokens.
      if (maxInputTokens > 0 && shape.textBytes > maxInputTokens && (refusal?.rule ?? TOO_LONG) === TOO_LONG) {
        counted = await count();
        if (counted !== undefined) {
          const inputTokens = inputTokensFor(shape, counted, candidates ?? NO_CANDIDATES, grant);
          refusal = objection(grant, shape, incoming.tags, incoming.clientIp, guardrails, inputTokens);
        }
      }
      if (refusal !== undefined) {
        rule = `rules ${refusal.rule}`;
        throw ruleError(refusal);
      }
      candidates = listed ?? (key.hasBudget ? await models.find(shape.model) : undefined);
      outputCap = effectiveOutputCap(shape, grant, candidates);
      bound = boundOf(shape, { outputCap, atMs: nowMs, counted }, candidates, grant);
    } catch (error) {
      throw error instanceof WeirError ? refuse(incoming, error, rule) : error;
    }
    let verdict = await ask(incoming, attributes, grant, bound, signal);
    if (mayFitCounted(verdict) && counted === undefined) {
      counted = await count();
      const tighter = counted && boundOf(shape, { outputCap, atMs: nowMs, counted }, candidates, grant);
      if (tighter !== undefined && isLess(tighter, bound)) {
        bound = tighter;
        verdict = await ask(incoming, attributes, grant, bound, signal);
      }
    }
    trail.limits = verdict.limits;
    trail.waitedMs = verdict.waitedMs ?? 0;
    if (!verdict.admitted) {
      const error = new WeirError(verdict.reason, verdict.message, { retryAfterMs: verdict.retryAfterMs });
      throw refuse(incoming, error, verdict.rule);
    }
    const session = trail.guardrails;
    if (session !== undefined) {
      try {
        await askAboutRequest(session, detectors, incoming.requestId);
      } catch (error) {
        giveBack(incoming.requestId, grant, verdict.held);
        throw error instanceof WeirError ? refuse(incoming, error, guardrailsRule(session.guard)) : error;
      }
    }
    const intent: Intent = {
      requestId: incoming.requestId,
      atMs: nowMs,
      organizationId: key.organizationId,
      workspaceId: key.workspaceId,
      projectId: key.projectId,
      keyId: key.id,
      route: incoming.route,
      model: shape.model,
      stream: shape.stream,
      dialect: incoming.dialect,
      endUserHmac: attributes.endUser === "" ? NOTHING : pseudonyms.of(key.workspaceId, attributes.endUser),
      // Of what the client sent.
      inputHmac: key.payloads === "none" ? NOTHING : journal.hmac(key.workspaceId, asked.inputBytes),
      boundNanos: bound.costNanos,
      policyVersion: keys.version,
      tags: attributes.tags,
      clientRequestId: incoming.clientRequestId,
      traceId: incoming.traceparent?.slice(3, 35) ?? "",
      held: verdict.held,
      ...(incoming.shadowOf === undefined ? {} : { shadowOf: incoming.shadowOf }),
    };
    let intentNumber: number;
    try {
      intentNumber = await journal.intent(intent);
    } catch (error) {
      giveBack(incoming.requestId, grant, verdict.held);
      throw error;
    }
    if (key.hasConcurrencyLimit) slots.began(incoming.requestId);
    return {
      grant,
      session,
      inputBytes: incoming.inputBytes,
      subject: {
        workspaceId: key.workspaceId,
        endUser: attributes.endUser,
        keyId: key.id,
        ...incoming.subject,
        redacted: key.payloads === "redacted",
      },
      shape,
      intent,
      intentNumber,
      call: {
        requestId: incoming.requestId,
        model: shape.model,
        input: incoming.input,
        headers: incoming.headers,
        conversation: incoming.conversation,
        priority: incoming.waiting?.priority ?? 0,
        tags: attributes.tags,
        rules: key.rules,
        outputCap,
        statedCaps: shape.outputCap !== undefined && shape.outputCap <= outputCap ? shape.capNames : NO_NAMES,
        keyId: key.id,
        held: verdict.held,
        providerLimits: key.hasProviderLimit ? (key.providerLimitFailsClosed ? "fail-closed" : "fail-open") : "none",
        inputBound: bound.inputTokens,
        tools: toolBoundOf(shape, grant),
        toolCallCap: toolCallCap(shape, grant),
        workspace: key.workspace,
        atMs: nowMs,
      },
    };
  };
}

const guardrailsRule = ({ names }: Guard): string => `guardrails ${names.join(" ")}`;

const NOTHING = new Uint8Array(0);
const NO_NAMES: readonly string[] = [];
const NO_CANDIDATES: readonly Candidate[] = [];
const TOO_LONG = "max_input_tokens";

const isLess = (one: Bound, other: Bound): boolean =>
  one.costNanos < other.costNanos || one.inputTokens < other.inputTokens;
