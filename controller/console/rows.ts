/** Leases and nodes as the console's page has them: plain JSON values, made of what is known here. */
import type { ConsoleLease, ConsoleNode } from "../../common/console/console-state.ts";
import { formatCidr } from "../../common/net/cidr.ts";
import { formatIp, type Ip } from "../../common/net/ip.ts";
import type { NodeStatus } from "../../proto/gen/twill/v1/operator.ts";
import type { LeaseRow } from "../view/table-change.ts";

/** A node whose every route fails has as many failures as peers; people read the first ones. */
const SHOWN_FAILURES = 20;
/** Seconds since the connection are rounded; a beginning that moves by less is the same. */
const SAME_BEGINNING_MS = 5000;

export function consoleLease({ lease, etcdLease, modRevision }: LeaseRow): ConsoleLease {
  const { key, node, attrs, subnets } = lease;
  const blocks = [subnets.v4, subnets.v6].filter((block) => block !== undefined);
  return {
    key,
    subnet: blocks.map(formatCidr).join(" "),
    node,
    publicIp: textOf(attrs.publicIp),
    publicIpv6: textOf(attrs.publicIpv6),
    backendType: attrs.backendType,
    backendData: attrs.backendData === "" ? attrs.backendV6Data : attrs.backendData,
    isReserved: etcdLease === "0",
    revision: modRevision,
  };
}

/** `before`: what was told of it last; the same object when nothing has changed. */
export function consoleNode(
  status: NodeStatus,
  controller: string,
  before: ConsoleNode | undefined,
  nowMs: number,
): ConsoleNode {
  const beganMs = nowMs - status.connectedSeconds * 1000;
  const isSameStream =
    before?.controller === controller && Math.abs(beganMs - before.sinceMs) < SAME_BEGINNING_MS;
  const row: ConsoleNode = {
    node: status.node,
    version: status.version,
    address: status.address,
    controller,
    sent: status.sentRevision,
    applied: status.appliedRevision,
    failures: status.failures.slice(0, SHOWN_FAILURES),
    failureCount: status.failures.length,
    state: status.state,
    reason: status.reason,
    driftRepaired: status.driftRepaired,
    sinceMs: isSameStream ? before.sinceMs : beganMs,
  };
  return before !== undefined && sameNode(before, row) ? before : row;
}

/** A node that has just gone to another replica may be named by both: its newer stream counts. */
export function newestStreams(
  streams: Iterable<readonly [controller: string, status: NodeStatus]>,
  told: ReadonlyMap<string, ConsoleNode>,
  nowMs: number,
): Iterable<ConsoleNode> {
  const newest = new Map<string, readonly [string, NodeStatus]>();
  for (const stream of streams) {
    const [, status] = stream;
    const known = newest.get(status.node)?.[1];
    if (known === undefined || status.connectedSeconds < known.connectedSeconds) {
      newest.set(status.node, stream);
    }
  }
  return [...newest.values()].map(([controller, status]) =>
    consoleNode(status, controller, told.get(status.node), nowMs),
  );
}

function sameNode(a: ConsoleNode, b: ConsoleNode): boolean {
  return (
    a.sent === b.sent &&
    a.applied === b.applied &&
    a.driftRepaired === b.driftRepaired &&
    a.sinceMs === b.sinceMs &&
    a.state === b.state &&
    a.reason === b.reason &&
    a.controller === b.controller &&
    a.address === b.address &&
    a.version === b.version &&
    a.failureCount === b.failureCount &&
    sameFailures(a, b)
  );
}

function sameFailures(a: ConsoleNode, b: ConsoleNode): boolean {
  return a.failures.every((failure, index) => {
    const other = b.failures[index];
    return (
      failure.key === other?.key &&
      failure.kind === other.kind &&
      failure.code === other.code &&
      failure.message === other.message
    );
  });
}

function textOf(ip: Ip | undefined): string {
  return ip === undefined ? "" : formatIp(ip);
}
