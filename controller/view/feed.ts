/**
 * What a subscriber gets next, from its place and the chain alone. Two questions: how a stream
 * that says what it holds may begin (`resume`), and what follows for one that runs (`nextFor`).
 */

import type { Revision } from "../../common/lease/lease.ts";
import { formatDigest } from "../../common/lease/lease-digest.ts";
import type { Crumb, CrumbChain } from "./crumb-chain.ts";

/** Where a subscriber is: the crumb it has reached, and the revision by which it knows that. */
export interface Place {
  readonly sequence: number;
  /** What `from_revision` of the next delta must be: what the agent believes it holds. */
  readonly revision: Revision;
}

/** What the agent's Hello says it holds. */
export interface HeldTable {
  /** "": none. */
  readonly instance: string;
  readonly revision: Revision;
  readonly digest: string;
}

export type Resume =
  /** The agent holds the newest table; a Bookmark tells it so, and the revision. */
  | { readonly kind: "in-sync"; readonly place: Place }
  | { readonly kind: "resume"; readonly place: Place }
  | { readonly kind: "snapshot"; readonly reason: string };

/**
 * A held table is good for going on when it is byte for byte one that this chain has seen,
 * by digest. Revisions alone would do only while nobody ever restores an older backup.
 */
export function resume(held: HeldTable, instance: string, chain: CrumbChain): Resume {
  if (held.instance === "") return { kind: "snapshot", reason: "the agent holds no table" };
  if (held.instance !== instance) {
    return { kind: "snapshot", reason: "the agent's table is of another etcd cluster or prefix" };
  }
  const { head } = chain;
  if (held.digest === formatDigest(head.digest)) {
    return { kind: "in-sync", place: placeAt(head, held.revision) };
  }
  if (held.revision > chain.newestRevision) {
    return { kind: "snapshot", reason: "the agent's revision lies in the future" };
  }
  const crumb = chain.atRevision(held.revision);
  if (crumb === undefined) return { kind: "snapshot", reason: "the agent's revision is too old" };
  if (held.digest !== formatDigest(crumb.digest)) {
    return { kind: "snapshot", reason: "the agent's table is not what it was at its revision" };
  }
  return { kind: "resume", place: { sequence: crumb.sequence, revision: held.revision } };
}

/**
 * The place of a subscriber that holds this crumb's table. `known`: the revision by which it
 * knows it, perhaps from a replica that is ahead of this one; an agent's revision never goes back.
 */
export function placeAt(crumb: Crumb, known: Revision = 0): Place {
  return { sequence: crumb.sequence, revision: Math.max(crumb.revision, known) };
}

export interface FeedLimits {
  /** A delta message is cut at the crumb that fills it to this. */
  readonly deltaBytes: number;
  /** A crumb larger than this goes out as a snapshot, in parts. */
  readonly crumbBytes: number;
}

export const DEFAULT_FEED_LIMITS: FeedLimits = {
  deltaBytes: 48 * 1024,
  crumbBytes: 1024 * 1024,
};

/** Several crumbs as one: the last value of each key. */
export interface MergedDelta {
  readonly fromRevision: Revision;
  readonly toRevision: Revision;
  /** Encoded upserts (lease-record.ts). */
  readonly upserts: readonly Uint8Array[];
  readonly removes: readonly string[];
}

export type Next =
  | { readonly kind: "idle" }
  | { readonly kind: "delta"; readonly delta: MergedDelta; readonly place: Place }
  | { readonly kind: "snapshot"; readonly reason: string };

/** `place` undefined: the subscriber holds nothing yet. */
export function nextFor(
  place: Place | undefined,
  chain: CrumbChain,
  limits: FeedLimits = DEFAULT_FEED_LIMITS,
): Next {
  if (place === undefined) return { kind: "snapshot", reason: "the agent holds no table" };
  if (chain.at(place.sequence) === undefined) {
    return { kind: "snapshot", reason: "the agent fell behind the kept history" };
  }
  const crumbs = crumbsAfter(place.sequence, chain, limits);
  const last = crumbs.at(-1);
  if (last === undefined) return { kind: "idle" };
  if (last.bytes > limits.crumbBytes) {
    return { kind: "snapshot", reason: "one change is larger than a delta may be" };
  }
  const reached = placeAt(last, place.revision);
  return { kind: "delta", delta: merge(place.revision, crumbs, reached.revision), place: reached };
}

/** The crumbs of the next message: at least one when there is any, then until it is full. */
function crumbsAfter(sequence: number, chain: CrumbChain, limits: FeedLimits): readonly Crumb[] {
  const crumbs: Crumb[] = [];
  let bytes = 0;
  for (let next = sequence + 1; next <= chain.head.sequence; next += 1) {
    const crumb = chain.at(next);
    if (crumb === undefined) break;
    bytes += crumb.bytes;
    if (crumbs.length > 0 && bytes > limits.deltaBytes) break;
    crumbs.push(crumb);
  }
  return crumbs;
}

function merge(
  fromRevision: Revision,
  crumbs: readonly Crumb[],
  toRevision: Revision,
): MergedDelta {
  const latest = new Map<string, Uint8Array | undefined>();
  for (const crumb of crumbs) {
    for (const key of crumb.removes) latest.set(key, undefined);
    for (const row of crumb.upserts) latest.set(row.lease.key, row.bytes);
  }
  const upserts: Uint8Array[] = [];
  const removes: string[] = [];
  for (const [key, bytes] of latest) {
    if (bytes === undefined) removes.push(key);
    else upserts.push(bytes);
  }
  return { fromRevision, toRevision, upserts, removes };
}
