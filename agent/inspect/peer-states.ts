/** Every peer of this node in one line: is it programmed, and why not. Those in trouble first. Pure. */
import type { Lease } from "../../common/lease/lease.ts";
import { formatIp } from "../../common/net/ip.ts";
import type { PeerState, Peers } from "../../proto/gen/twill/v1/node.ts";
import type { ProbeBook, ProbedPeer } from "../probe/probe-book.ts";
import type { ReconcileReport } from "../reconcile/node-reconciler.ts";

export interface PeerSources {
  readonly leases: Iterable<Lease>;
  /** Key of this node's own lease. */
  readonly ownKey: string;
  readonly report: ReconcileReport | undefined;
}

export interface Probed {
  readonly book: ProbeBook;
  /** By the clock of the book's results. */
  readonly nowMs: number;
}

/** As many as an answer of 64 KiB holds, names of usual length. */
export const MOST_PEERS = 250;
const LONGEST_REASON = 200;

export function peerStates(sources: PeerSources, probed: Probed, limit: number): Peers {
  const reasons = reasonsByLease(sources);
  const all: PeerState[] = [];
  for (const lease of sources.leases) {
    if (lease.key !== sources.ownKey) all.push(stateOf(lease, reasons, { ...sources, ...probed }));
  }
  const peers = all
    .toSorted((a, b) => rank(a) - rank(b) || compare(a.subnet, b.subnet))
    .slice(0, Math.min(limit === 0 ? MOST_PEERS : limit, MOST_PEERS));
  return { total: all.length, peers, mtuBytes: sources.report?.mtuBytes ?? 0 };
}

function stateOf(
  { key, node, attrs }: Lease,
  reasons: ReadonlyMap<string, { readonly state: string; readonly reason: string }>,
  { report, book, nowMs }: PeerSources & Probed,
): PeerState {
  const { publicIp, publicIpv6, backendType } = attrs;
  const machine = publicIp ?? publicIpv6;
  const trouble = reasons.get(key);
  const probed = book.result(key);
  const programmed = book.isDue(key) ? "probing" : "programmed";
  const untold = report?.applied === undefined ? "pending" : programmed;
  return {
    node,
    subnet: key,
    machine: machine === undefined ? "" : formatIp(machine),
    state: trouble?.state ?? probed?.state ?? untold,
    reason: (trouble?.reason ?? "").slice(0, LONGEST_REASON),
    transport: backendType === "" ? "udp" : backendType,
    rttUs: probed?.rttUs ?? 0,
    probedSecondsAgo:
      probed === undefined ? 0 : Math.max(1, Math.round((nowMs - probed.atMs) / 1000)),
  };
}

function reasonsByLease({ leases, report }: PeerSources) {
  const reasons = new Map<string, { readonly state: string; readonly reason: string }>();
  for (const { key, reason } of report?.problems ?? []) {
    reasons.set(key, { state: "invalid", reason });
  }
  const failures = report?.failures ?? [];
  if (failures.length === 0) return reasons;
  for (const { key, attrs } of leases) {
    const [subnet = ""] = key.split("&");
    const words = [subnet.replace(/-(\d+)$/, "/$1"), subnet.replace(/-\d+$/, "")];
    if (attrs.publicIp !== undefined) words.push(formatIp(attrs.publicIp));
    const failure = failures.find((one) => one.key.split(" ").some((word) => words.includes(word)));
    if (failure === undefined) continue;
    const { kind, key: object, code, message } = failure;
    reasons.set(key, { state: "failing", reason: `${kind} ${object}: ${code} ${message}` });
  }
  return reasons;
}

function rank({ state }: PeerState): number {
  return GOOD.has(state) ? 1 : 0;
}

const GOOD: ReadonlySet<string> = new Set(["programmed", "probing", "reachable"]);

/** Where an answer proves the path to each peer; backends without a tunnel have the machine alone. */
export function probedPeers(leases: Iterable<Lease>, ownKey: string): ProbedPeer[] {
  const found: ProbedPeer[] = [];
  for (const { key, subnets, attrs } of leases) {
    const { backendType, publicIp } = attrs;
    const address = NO_TUNNEL.has(backendType) ? publicIp : (subnets.v4 ?? subnets.v6)?.ip;
    if (key !== ownKey && address !== undefined) found.push({ key, address: formatIp(address) });
  }
  return found;
}

const NO_TUNNEL: ReadonlySet<string> = new Set(["host-gw", "alloc", "extension"]);

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
