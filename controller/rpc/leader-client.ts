/**
 * Asks whoever leads: this replica itself, or the leader named by the election over gRPC.
 * One channel to the leader, replaced when another leads and when this replica has other certificates.
 */
import {
  type ChannelCredentials,
  type ClientUnaryCall,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { isErrorCode, TwillError } from "../../common/errors.ts";
import { leaseFromWire } from "../../common/lease/lease-wire.ts";
import { formatSubnetKey } from "../../common/lease/subnet-key.ts";
import { formatIp, type Ip } from "../../common/net/ip.ts";
import { fromCallError } from "../../common/rpc/call-error.ts";
import { unaryCall } from "../../common/rpc/unary-call.ts";
import {
  AllocatorClient,
  type RegisterReply,
  type ReleaseReply,
  type Refused as WireRefused,
} from "../../proto/gen/twill/v1/fabric.ts";
import {
  type Allocator,
  type Refused,
  type Registered,
  type Released,
  refused,
  refusedBy,
} from "../lease/allocator.ts";
import type { RegistrationRequest } from "../lease/decide.ts";
import { REPLICA_CHANNEL } from "./replica-channel.ts";

/** Longer than the leader's own transaction may take; the caller's deadline is shorter still. */
const DEADLINE_MS = 12_000;

export interface LeaderClientParts {
  /** This replica's own "host:port". */
  readonly self: string;
  /** "host:port" of the leader now; empty: nobody leads. */
  readonly leader: () => string;
  readonly local: Allocator;
  readonly credentials: () => ChannelCredentials;
  readonly wallMs: () => number;
}

interface LeaderChannel {
  readonly address: string;
  readonly credentials: ChannelCredentials;
  readonly client: AllocatorClient;
}

type UnaryCall<Reply> = (
  client: AllocatorClient,
  options: { readonly deadline: number },
  done: (error: ServiceError | null, reply: Reply) => void,
) => ClientUnaryCall;

export class LeaderClient implements Allocator {
  readonly #parts: LeaderClientParts;
  #channel: LeaderChannel | undefined;

  constructor(parts: LeaderClientParts) {
    this.#parts = parts;
  }

  async register(request: RegistrationRequest, signal: AbortSignal): Promise<Registered | Refused> {
    const address = this.#parts.leader();
    if (address === "") return nobodyLeads();
    if (address === this.#parts.self) return this.#parts.local.register(request, signal);
    const message = { node: request.node, register: registerToWire(request) };
    const reply = await this.#ask<RegisterReply>(address, signal, (client, options, done) =>
      client.register(message, new Metadata(), options, done),
    );
    return reply.kind === "refused" ? reply : readRegistered(reply.value, address);
  }

  async release(node: string, signal: AbortSignal): Promise<Released | Refused> {
    const address = this.#parts.leader();
    if (address === "") return nobodyLeads();
    if (address === this.#parts.self) return this.#parts.local.release(node, signal);
    const reply = await this.#ask<ReleaseReply>(address, signal, (client, options, done) =>
      client.release({ node }, new Metadata(), options, done),
    );
    return reply.kind === "refused" ? reply : readReleased(reply.value, address);
  }

  close(): void {
    this.#channel?.client.close();
    this.#channel = undefined;
  }

  async #ask<Reply>(
    address: string,
    signal: AbortSignal,
    call: UnaryCall<Reply>,
  ): Promise<{ readonly kind: "reply"; readonly value: Reply } | Refused> {
    signal.throwIfAborted();
    const client = this.#clientFor(address);
    const options = { deadline: this.#parts.wallMs() + DEADLINE_MS };
    try {
      const value = await unaryCall<Reply>((done) => call(client, options, done), signal);
      return { kind: "reply", value };
    } catch (error) {
      signal.throwIfAborted();
      return refusedBy(fromCallError(error, address));
    }
  }

  #clientFor(address: string): AllocatorClient {
    const credentials = this.#parts.credentials();
    if (this.#channel?.address !== address || this.#channel.credentials !== credentials) {
      this.close();
      const client = new AllocatorClient(address, credentials, {
        ...REPLICA_CHANNEL,
        "grpc.keepalive_time_ms": 4000,
        "grpc.keepalive_timeout_ms": 6000,
        "grpc.initial_reconnect_backoff_ms": 200,
        "grpc.max_reconnect_backoff_ms": 2000,
      });
      this.#channel = { address, credentials, client };
    }
    return this.#channel.client;
  }
}

function nobodyLeads(): Refused {
  return refused("NOT_LEADER", "no controller leads; a new leader is being elected");
}

function registerToWire(request: RegistrationRequest) {
  const { publicIp, publicIpv6, backendType, backendData, backendV6Data } = request.attrs;
  const { previous } = request;
  return {
    request: 0,
    publicIp: textOf(publicIp),
    publicIpv6: textOf(publicIpv6),
    backendType,
    backendData,
    backendV6Data,
    previousSubnet: previous === undefined ? "" : formatSubnetKey(previous),
  };
}

function textOf(ip: Ip | undefined): string {
  return ip === undefined ? "" : formatIp(ip);
}

function readRegistered(reply: RegisterReply, address: string): Registered | Refused {
  if (reply.outcome?.$case === "refused") return readRefused(reply.outcome.value);
  if (reply.outcome?.$case !== "registered") return unreadable(address);
  const { lease, ttlSeconds, reused } = reply.outcome.value;
  const decoded = lease === undefined ? undefined : leaseFromWire(lease);
  if (decoded?.kind !== "lease") return unreadable(address);
  return { kind: "registered", lease: decoded.lease, ttlSeconds, reused };
}

function readReleased(reply: ReleaseReply, address: string): Released | Refused {
  if (reply.outcome?.$case === "refused") return readRefused(reply.outcome.value);
  if (reply.outcome?.$case !== "released") return unreadable(address);
  return { kind: "released", key: reply.outcome.value.key };
}

function readRefused({ code, message, retryAfterMs }: WireRefused): Refused {
  return { kind: "refused", code: isErrorCode(code) ? code : "BUG", message, retryAfterMs };
}

function unreadable(address: string): Refused {
  const message = `the leader ${address} gave an answer that this version cannot read`;
  return refusedBy(new TwillError("PROTOCOL_VIOLATION", message));
}
