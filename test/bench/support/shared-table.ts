/**
 * The lease tables of many simulated agents in one process. Agents at the same place that hear
 * the same bytes hold the same table, so it is decoded and digested once and they share it;
 * five thousand real tables of five thousand leases would not fit the machine. The rules are those of
 * agent/peers/peer-table.ts: what does not follow exactly, or has another digest, throws.
 */

import type { TableMessage } from "../../../agent/peers/peer-table.ts";
import { decodeControllerMessage } from "../../../agent/rpc/controller-message.ts";
import type { Lease } from "../../../common/lease/lease.ts";
import {
  addLease,
  type Digest,
  EMPTY_DIGEST,
  formatDigest,
  removeLease,
} from "../../../common/lease/lease-digest.ts";
import { ControllerMessage } from "../../../proto/gen/twill/v1/fabric.ts";

export interface Place {
  readonly instance: string;
  readonly revision: number;
  readonly digest: Digest;
  readonly leases: ReadonlyMap<string, Lease>;
  /** A snapshot that is under way. */
  readonly snapshot: Map<string, Lease> | undefined;
  /** What was heard here before, and where it led. */
  readonly next: { readonly bytes: Buffer; readonly place: Place }[];
}

export const NOWHERE: Place = {
  instance: "",
  revision: 0,
  digest: EMPTY_DIGEST,
  leases: new Map(),
  snapshot: undefined,
  next: [],
};

/** More different messages than this at one place are not worth remembering. */
const MAX_REMEMBERED = 64;

/** Where a table message leads; `instance` is that of the stream. */
export function advance(place: Place, bytes: Buffer, instance: string): Place {
  const known = place.next.find((step) => step.bytes.equals(bytes));
  if (known !== undefined && known.place.instance === instance) return known.place;
  const decoded = decodeControllerMessage(ControllerMessage.decode(bytes));
  if (decoded.kind !== "table") throw new Error(`not about the table: ${decoded.kind}`);
  const next = follow(place, decoded.table, instance);
  // A copy: the bytes are a window into what the socket has read.
  if (place.next.length < MAX_REMEMBERED) {
    place.next.push({ bytes: Buffer.from(bytes), place: next });
  }
  return next;
}

function follow(place: Place, message: TableMessage, instance: string): Place {
  switch (message.kind) {
    case "snapshot-begin":
      return { ...place, instance, snapshot: new Map(), next: [] };
    case "snapshot-part": {
      if (place.snapshot === undefined) throw new Error("a snapshot part without its begin");
      const parts = message.upserts.map((lease) => [lease.key, lease] as const);
      return { ...place, snapshot: new Map([...place.snapshot, ...parts]), next: [] };
    }
    case "snapshot-end":
      return endOfSnapshot(place, message, instance);
    case "delta":
      return changed(place, message, instance);
    case "bookmark":
      expectDigest(place, message);
      return { ...place, revision: message.revision, next: [] };
  }
}

function endOfSnapshot(
  { snapshot }: Place,
  message: Extract<TableMessage, { kind: "snapshot-end" }>,
  instance: string,
): Place {
  if (snapshot === undefined) throw new Error("a snapshot end without its begin");
  let digest = EMPTY_DIGEST;
  for (const lease of snapshot.values()) digest = addLease(digest, lease);
  const { revision } = message;
  const place = { instance, revision, digest, leases: snapshot, snapshot: undefined, next: [] };
  expectDigest(place, message);
  return place;
}

function changed(
  place: Place,
  delta: Extract<TableMessage, { kind: "delta" }>,
  instance: string,
): Place {
  if (delta.fromRevision !== place.revision || place.instance !== instance) {
    throw new Error(`a delta from ${delta.fromRevision} while at ${place.revision}`);
  }
  const leases = new Map(place.leases);
  let { digest } = place;
  const remove = (key: string): void => {
    const before = leases.get(key);
    if (before === undefined) return;
    digest = removeLease(digest, before);
    leases.delete(key);
  };
  for (const key of delta.removes) remove(key);
  for (const lease of delta.upserts) {
    remove(lease.key);
    digest = addLease(digest, lease);
    leases.set(lease.key, lease);
  }
  return { instance, revision: delta.toRevision, digest, leases, snapshot: undefined, next: [] };
}

function expectDigest(place: Place, message: { revision: number; digest: string }): void {
  const digest = formatDigest(place.digest);
  if (digest === message.digest) return;
  throw new Error(`digest ${digest} where ${message.digest} was said, at ${message.revision}`);
}
