/**
 * What a controller says, as one discriminated union: the generated message on one side,
 * checked domain values on the other. Pure. What this build does not know is "unknown", not
 * an error: a newer controller may say more (proto/twill/v1/fabric.proto, compatibility).
 */
import type { Lease, Revision } from "../../common/lease/lease.ts";
import { leaseFromWire } from "../../common/lease/lease-wire.ts";
import type {
  ControllerMessage as Wire,
  Lease as WireLease,
  Registered as WireRegistered,
  Welcome as WireWelcome,
} from "../../proto/gen/twill/v1/fabric.ts";
import type { Query } from "../../proto/gen/twill/v1/node.ts";
import type { TableMessage } from "../peers/peer-table.ts";

/** The network config as it stands in etcd; the session parses it. */
export interface ConfigText {
  readonly revision: Revision;
  readonly json: string;
  /** While the backend is changed live: the other config, and the name of the step. */
  readonly transition?: { readonly alsoJson: string; readonly mark: string } | undefined;
}

export interface Welcome {
  readonly kind: "welcome";
  readonly instance: string;
  /** Identity of the replica that answers. */
  readonly controller: string;
  /** Empty while there is none. */
  readonly leader: string;
  readonly features: ReadonlySet<string>;
  readonly heartbeatMs: number;
  readonly config: ConfigText | undefined;
  readonly version: string;
}

export interface Registered {
  readonly kind: "registered";
  readonly request: number;
  readonly lease: Lease;
  /** 0: a reservation, which never ends. */
  readonly ttlSeconds: number;
  readonly reused: boolean;
}

export interface Refused {
  readonly kind: "refused";
  readonly request: number;
  /** A code of common/errors.ts, or of a newer controller. */
  readonly code: string;
  readonly message: string;
  /** 0: only after a change. */
  readonly retryAfterMs: number;
}

export type ControllerMessage =
  | Welcome
  | Registered
  | Refused
  | ({ readonly kind: "config" } & ConfigText)
  | { readonly kind: "query"; readonly query: Query }
  | { readonly kind: "table"; readonly table: TableMessage; readonly leader: string | undefined }
  | { readonly kind: "unknown" };

export type DecodedMessage =
  | ControllerMessage
  | { readonly kind: "malformed"; readonly reason: string };

/** A heartbeat outside these bounds would be a busy loop or no sign of life at all. */
export const HEARTBEAT_BOUNDS_MS = { min: 100, max: 600_000 } as const;
/** More leases than any network has room for (a /8 of /30 has four million). */
export const MAX_LEASES = 4_194_304;

export function decodeControllerMessage(message: Wire): DecodedMessage {
  const { body } = message;
  switch (body?.$case) {
    case "welcome":
      return decodeWelcome(body.value);
    case "registered":
      return decodeRegistered(body.value);
    case "refused":
      return { kind: "refused", ...body.value };
    case "config":
      return { kind: "config", ...body.value };
    case "query":
      return { kind: "query", query: body.value };
    case "snapshotBegin":
      return body.value.leases > MAX_LEASES
        ? malformed(`a snapshot announces ${body.value.leases} leases; the limit is ${MAX_LEASES}`)
        : table({ kind: "snapshot-begin", ...body.value });
    case "snapshotPart":
      return withLeases(body.value.upserts, (upserts) => ({ kind: "snapshot-part", upserts }));
    case "snapshotEnd":
      return table({ kind: "snapshot-end", ...body.value });
    case "delta":
      return withLeases(body.value.upserts, (upserts) => ({
        kind: "delta",
        ...body.value,
        upserts,
      }));
    case "bookmark": {
      const { revision, digest, leader } = body.value;
      return table({ kind: "bookmark", revision, digest }, leader);
    }
    case undefined:
      return { kind: "unknown" };
  }
}

function decodeWelcome(wire: WireWelcome): DecodedMessage {
  const { heartbeatMs, instance } = wire;
  const { min, max } = HEARTBEAT_BOUNDS_MS;
  if (instance === "") return malformed("Welcome names no instance");
  if (heartbeatMs < min || heartbeatMs > max) {
    return malformed(`Welcome asks for a heartbeat every ${heartbeatMs} ms, not ${min} to ${max}`);
  }
  return { kind: "welcome", ...wire, features: new Set(wire.features) };
}

function decodeRegistered(wire: WireRegistered): DecodedMessage {
  if (wire.lease === undefined) return malformed("Registered holds no lease");
  const decoded = leaseFromWire(wire.lease);
  if (decoded.kind === "malformed") return decoded;
  const { request, ttlSeconds, reused } = wire;
  return { kind: "registered", request, lease: decoded.lease, ttlSeconds, reused };
}

function withLeases(
  wires: readonly WireLease[],
  make: (leases: readonly Lease[]) => TableMessage,
): DecodedMessage {
  const leases: Lease[] = [];
  for (const wire of wires) {
    const decoded = leaseFromWire(wire);
    if (decoded.kind === "malformed") return decoded;
    leases.push(decoded.lease);
  }
  return table(make(leases));
}

function table(message: TableMessage, leader?: string): DecodedMessage {
  return { kind: "table", table: message, leader };
}

function malformed(reason: string): DecodedMessage {
  return { kind: "malformed", reason };
}
