/**
 * What this node's kernel would have to be told if another config were in force: the same
 * planners on both configs, and the difference counted by kind. Peers' leases are taken as they
 * would be written anew by then. Pure.
 */
import type { NetworkConfig } from "../../common/config/network-config.ts";
import type { Lease } from "../../common/lease/lease.ts";
import { localMac } from "../../common/net/mac.ts";
import type { ConfigPlan, OperationCount } from "../../proto/gen/twill/v1/node.ts";
import type { BackendPlanner, PlannerInput } from "./backend-planner.ts";
import { formatObject, type KernelObject, objectId, objectsOf } from "./kernel-object.ts";
import type { LinkSpec } from "./kernel-state.ts";
import { makePlanner } from "./make-planner.ts";
import { PlanBook } from "./plan-book.ts";

export interface PlannedNode {
  readonly own: Lease;
  readonly leases: readonly Lease[];
}

export function planConfigChange(
  before: PlannerInput,
  after: PlannerInput,
  node: PlannedNode,
): ConfigPlan {
  const [now, then] = [makePlanner(before), makePlanner(after)];
  if (now.kind === "refused") return refused(now.reason);
  if (then.kind === "refused") return refused(then.reason);
  const old = stateOf(now.planner, node.own, node.leases);
  const leases = node.leases.map((lease, index) =>
    leaseUnder(after.config, then.planner, lease, index),
  );
  const young = stateOf(then.planner, node.own, leases);
  return {
    operations: countChanges(old, young),
    refusal: "",
    mtuBytesBefore: now.planner.mtuBytes,
    mtuBytesAfter: then.planner.mtuBytes,
  };
}

/** Texts by kind and key. */
type State = ReadonlyMap<string, { readonly kind: string; readonly text: string }>;

function stateOf(planner: BackendPlanner, own: Lease, leases: readonly Lease[]): State {
  const book = new PlanBook(planner, own);
  book.update(leases, []);
  const state = book.state();
  return new Map([
    ...state.links.map(linkText),
    ...objectsOf(state).map((item: KernelObject) => {
      const value = { kind: item.kind, text: formatObject(item) };
      return [objectId(item), value] as const;
    }),
  ]);
}

function linkText(
  link: LinkSpec,
): readonly [string, { readonly kind: string; readonly text: string }] {
  const text = JSON.stringify(link, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  return [`link ${link.name}`, { kind: "link", text }];
}

function countChanges(before: State, after: State): OperationCount[] {
  const counts = new Map<string, { put: number; deleted: number }>();
  const count = (kind: string, what: "put" | "deleted"): void => {
    const known = counts.get(kind) ?? { put: 0, deleted: 0 };
    counts.set(kind, { ...known, [what]: known[what] + 1 });
  };
  for (const [id, { kind, text }] of after) {
    if (before.get(id)?.text !== text) count(kind, "put");
  }
  for (const [id, { kind }] of before) {
    if (!after.has(id) && !goesWithDevice(id, before, after)) count(kind, "deleted");
  }
  return [...counts]
    .map(([kind, both]) => ({ kind, ...both }))
    .toSorted((a, b) => (a.kind < b.kind ? -1 : 1));
}

/** The kernel drops a device's addresses with it; nobody has to delete them. */
function goesWithDevice(id: string, before: State, after: State): boolean {
  const [kind, device] = id.split(" ");
  const link = `link ${device}`;
  return kind === "address" && before.has(link) && !after.has(link);
}

/** What a peer will write is its own affair; how many objects it asks for is not. */
function leaseUnder(
  { backend }: NetworkConfig,
  { registration }: BackendPlanner,
  lease: Lease,
  index: number,
): Lease {
  const { backendType } = registration;
  if (lease.attrs.backendType === backendType) return lease;
  const mac = localMac(new Uint8Array([2, 0, 0, index >> 16, index >> 8, index]));
  const data = backend.type === "vxlan" ? JSON.stringify({ VNI: backend.vni, VtepMAC: mac }) : "";
  const attrs = { ...lease.attrs, backendType, backendData: data, backendV6Data: data };
  return { ...lease, attrs };
}

function refused(refusal: string): ConfigPlan {
  return { operations: [], refusal, mtuBytesBefore: 0, mtuBytesAfter: 0 };
}
