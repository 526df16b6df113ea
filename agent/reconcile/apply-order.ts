/**
 * In which order changes reach the kernel, and why. Pure.
 *
 * Traffic to a peer flows as soon as its route is there, so on the way in the route comes
 * last: without the neighbour the kernel would ask for it by ARP, without the FDB entry it
 * would drop the packet. On the way out the route goes first, for the same reason. Adds come
 * before removals, so that what moves (a subnet, a MAC) is never nowhere. A neighbour that
 * *changes* its MAC waits for the new FDB entry; the stale FDB entry of the old MAC goes with
 * the other removals (flannel leaves it for ever, contract 3.1).
 *
 * The own address comes first and goes last: IPv4 is off on a device without an address, and
 * all its routes go with the last one.
 */
import type { ObjectKind } from "../plan/kernel-object.ts";

export interface OrderedChange {
  readonly op: "put" | "delete";
  readonly kind: ObjectKind;
  /** A put that replaces something under the same key. */
  readonly replaces: boolean;
}

/** Phases in order; within a phase the given order stays. */
const PHASES: readonly string[] = [
  "put address",
  "put neighbour",
  "put fdb",
  "replace fdb",
  "replace neighbour",
  "put wireguard",
  "replace wireguard",
  "put route",
  "replace route",
  "delete route",
  "delete wireguard",
  "delete fdb",
  "delete neighbour",
  "delete address",
];

export function inApplyOrder<Change extends OrderedChange>(changes: readonly Change[]): Change[] {
  const phased = changes.map((change) => ({ change, phase: phaseOf(change) }));
  return phased.sort((a, b) => a.phase - b.phase).map(({ change }) => change);
}

function phaseOf({ op, kind, replaces }: OrderedChange): number {
  const replacing = op === "put" && replaces && kind !== "address";
  const name = `${replacing ? "replace" : op} ${kind}`;
  return PHASES.indexOf(name);
}
