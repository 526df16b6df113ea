/** Plans of `node drain`, `node undrain` and `node remove`; pure. */
import { encodeNodeRecord } from "../lease/node-record.ts";
import { nodeKey } from "../view/keys.ts";
import type { LeaseTable } from "../view/lease-table.ts";
import { type ChangeContext, type Planned, refusedChange } from "./change.ts";
import { findLease, giveBack, put } from "./lease-changes.ts";

/** Its lease ends and it gets none until it is let in again; its name and subnet are remembered. */
export function planDrain(table: LeaseTable, node: string, { now }: ChangeContext): Planned {
  const stored = table.record(node);
  if (stored === undefined) return unknownNode(node);
  if (stored.record.drained !== "") {
    return { kind: "nothing", reason: `node ${node} is drained since ${stored.record.drained}` };
  }
  const lease = findLease(table, node);
  const head = { kind: "plan", action: "node.drained", subject: node } as const;
  const kept = `node ${node} gets no lease until "twillctl node undrain ${node}"`;
  if (lease === undefined) {
    const record = encodeNodeRecord({ ...stored.record, drained: now });
    const basis = [{ key: nodeKey(node), revision: stored.modRevision }];
    const writes = [put(nodeKey(node), record)];
    return { ...head, steps: [kept], warnings: [], basis, writes, changes: [] };
  }
  const { key } = lease.row.lease;
  return {
    ...head,
    steps: [`lease ${key} of node ${node} ends`, "its peers drop their routes to it", kept],
    warnings: [`containers on node ${node} that still run are cut off from other nodes`],
    ...giveBack(table, lease, { released: now, drained: now }),
  };
}

export function planUndrain(table: LeaseTable, node: string): Planned {
  const stored = table.record(node);
  if (stored === undefined) return unknownNode(node);
  if (stored.record.drained === "") {
    return { kind: "nothing", reason: `node ${node} is not drained` };
  }
  return {
    kind: "plan",
    action: "node.undrained",
    subject: node,
    steps: [`node ${node} may take a lease again, ${stored.record.subnet} if that is still free`],
    warnings: [],
    basis: [{ key: nodeKey(node), revision: stored.modRevision }],
    writes: [put(nodeKey(node), encodeNodeRecord({ ...stored.record, drained: "" }))],
    changes: [],
  };
}

/** Nothing is remembered of it; a machine of the same name would be a new one. */
export function planRemove(table: LeaseTable, node: string, { now }: ChangeContext): Planned {
  const stored = table.record(node);
  if (stored === undefined) return unknownNode(node);
  const lease = findLease(table, node);
  const forget = { op: "delete", key: nodeKey(node) } as const;
  const forgotten = `node ${node} is forgotten: its subnet and since when it was known`;
  const head = { kind: "plan", action: "node.removed", subject: node } as const;
  const warnings = [`if its agent runs, it joins again as a new node: stop it first`];
  if (lease === undefined) {
    const basis = [{ key: nodeKey(node), revision: stored.modRevision }];
    return { ...head, steps: [forgotten], warnings, basis, writes: [forget], changes: [] };
  }
  const { basis, writes, changes } = giveBack(table, lease, { released: now });
  return {
    ...head,
    steps: [`lease ${lease.row.lease.key} of node ${node} ends`, forgotten],
    warnings,
    basis,
    writes: [...writes.filter(({ key }) => key !== forget.key), forget],
    changes,
  };
}

function unknownNode(node: string): Planned {
  return refusedChange("OPTION_INVALID", `no node "${node}" is known; twillctl nodes lists them`);
}
