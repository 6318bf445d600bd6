import type { LookupFunction } from "node:net";
import type { DescService } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { createHttpClient, headerLine, type HttpClient } from "@weir/http1";
import type { Secret } from "@weir/kernel";
import { clientOf } from "./client-of.ts";
import type { Hooks } from "./hooks.ts";
import { MethodPlan } from "./method-plan.ts";
import { Replicas } from "./replicas.ts";
import { Pulse } from "./pulse.ts";
import type { Peers } from "./service.ts";
import { StreamExchange } from "./stream-exchange.ts";
import { TOKEN_HEADER } from "./token.ts";
import { callUnary } from "./unary-exchange.ts";

export interface NetworkPeersOptions {
  /** "http://host:port" or "unix:/path" of a service; several: of its replicas, any of which may be asked (see replicas.ts). */
  readonly addresses: (service: DescService) => string | readonly string[];
  /** Shown to every peer. */
  readonly token?: Secret | undefined;
  readonly hooks?: Hooks | undefined;
  /** To an address: each carries one call at a time. Default 2048. */
  readonly maxConnections?: number | undefined;
  /** How long a call waits for a connection. Default 2 s. */
  readonly connectMs?: number | undefined;
  /** Of one message. Default 64 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Resolves the names of peers, each time that a connection is made. Default: the system's. */
  readonly lookup?: LookupFunction | undefined;
}

export interface CallSettings {
  readonly connectMs: number;
  readonly maxMessageBytes: number;
}

/** Shorter than the server's (75 s), so that a connection is rarely found closed. */
const IDLE_TIMEOUT_MS = 30_000;

/** What sends a call on its way: the connections to one process, or to one of several. */
export type Requester = Pick<HttpClient, "request"> & AsyncDisposable;

/**
 * Clients over the network: the Connect protocol, binary, over keep-alive HTTP/1.1 connections. Nothing is repeated by itself but what
 * reached nobody, and calls of methods that say they are idempotent if their connection breaks; what cannot be reached is `unavailable`.
 * A peer's name is looked up whenever a connection is made, and a peer that is silent loses its connections (see pulse.ts): one that moved is found.
 * A deadline is sent with the call and kept on this side, too; a cancelled call closes its connection.
 */
export function networkPeers(options: NetworkPeersOptions): Peers & AsyncDisposable {
  const clients = new Map<string, Requester>();
  const settings: CallSettings = {
    connectMs: options.connectMs ?? 2_000,
    maxMessageBytes: options.maxMessageBytes ?? 67_108_864,
  };
  const headers = options.token === undefined ? "" : headerLine(TOKEN_HEADER, options.token.reveal());
  const traced = options.hooks?.tracer !== undefined;
  const connect = (address: string, maxConnections = options.maxConnections ?? 2_048): HttpClient => {
    const origin = address.startsWith("unix:") ? { path: address.slice("unix:".length) } : address;
    const { lookup } = options;
    return createHttpClient(origin, {
      maxConnections,
      maxQueued: 65_536,
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      ...(lookup === undefined ? {} : { lookup }),
    });
  };
  const pulses: Pulse[] = [];
  const watched = (address: string): HttpClient => {
    const http = connect(address);
    pulses.push(new Pulse(http, connect(address, 1)));
    return http;
  };
  const connectionTo = (given: string | readonly string[]): Requester => {
    const addresses = [...new Set(typeof given === "string" ? [given] : given)];
    const id = addresses.join(" ");
    let http = clients.get(id);
    if (http === undefined) {
      const [first] = addresses;
      if (first === undefined) throw new TypeError("a service has at least one address");
      http = addresses.length === 1 ? watched(first) : new Replicas(addresses, connect);
      clients.set(id, http);
    }
    return http;
  };
  return {
    client<S extends DescService>(service: S): Client<S> {
      const http = connectionTo(options.addresses(service));
      return clientOf(service, {
        unary: (desc) => {
          const plan = new MethodPlan(desc, headers, traced);
          return (input, callOptions) => callUnary(http, plan, settings, input, callOptions);
        },
        stream: (desc) => {
          const plan = new MethodPlan(desc, headers, traced);
          return (input, callOptions) => new StreamExchange(http, plan, settings, input, callOptions);
        },
      });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...pulses, ...clients.values()].map((one) => one[Symbol.asyncDispose]()));
    },
  };
}
