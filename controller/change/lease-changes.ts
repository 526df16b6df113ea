/** Plans of `reserve` and `release`; pure. */
import { type LeaseAttrs, NO_ETCD_LEASE, subnetsOverlap } from "../../common/lease/lease.ts";
import { encodeLeaseValue } from "../../common/lease/lease-json.ts";
import { formatSubnetKey, parseSubnetKey } from "../../common/lease/subnet-key.ts";
import { formatIp, type Ip } from "../../common/net/ip.ts";
import { stateOf } from "../journal/told-keys.ts";
import { fitsConfig } from "../lease/allocate.ts";
import { encodeNodeRecord } from "../lease/node-record.ts";
import type { Entry, Write } from "../store/store.ts";
import { nodeKey, subnetKey } from "../view/keys.ts";
import type { LeaseTable } from "../view/lease-table.ts";
import type { LeaseRow } from "../view/table-change.ts";
import { type Basis, type ChangeContext, type Planned, refusedChange } from "./change.ts";

/** A lease's row and its entry, found by key or holder. */
export interface FoundLease {
  readonly row: LeaseRow;
  readonly entry: Entry;
}

export function findLease(table: LeaseTable, what: string): FoundLease | undefined {
  const row = table.rows.get(what) ?? table.heldBy(what);
  const entry = row === undefined ? undefined : table.entry(subnetKey(row.lease.key));
  return row === undefined || entry === undefined ? undefined : { row, entry };
}

export function planReserve(
  table: LeaseTable,
  request: { readonly what: string; readonly publicIp: Ip | undefined },
  context: ChangeContext,
): Planned {
  const { what, publicIp } = request;
  const found = findLease(table, what);
  if (found === undefined) return planFreeReservation(table, what, publicIp, context);
  const { entry, row } = found;
  const { key, node } = row.lease;
  if (publicIp !== undefined) {
    return refusedChange("LEASE_CONFLICT", `${key} is held by ${holderOf(row)} already`);
  }
  if (entry.etcdLease === NO_ETCD_LEASE) {
    return { kind: "nothing", reason: `${key} is a reservation already` };
  }
  return {
    kind: "plan",
    action: "lease.reserved",
    subject: node === "" ? key : node,
    steps: [`${key} of ${holderOf(row)} stays for ever, also while its node is away`],
    warnings: [],
    basis: [basisOf(entry)],
    writes: [put(entry.key, entry.value)],
    changes: [
      { key: entry.key, before: stateOf(entry), after: { value: entry.value, forever: true } },
    ],
  };
}

/** For a machine that is yet to come: its agent, or a real flannel, claims it by its address. */
function planFreeReservation(
  table: LeaseTable,
  what: string,
  publicIp: Ip | undefined,
  { config }: ChangeContext,
): Planned {
  const subnets = parseSubnetKey(what);
  if (subnets === undefined) {
    const hint = "a node that holds a lease, or a free subnet such as 10.244.7.0-24";
    return refusedChange("OPTION_INVALID", `"${what}" is neither ${hint}`);
  }
  if (publicIp === undefined) {
    return refusedChange("OPTION_INVALID", `${what} is free: say for whom, with --public-ip`);
  }
  if (config === undefined || !fitsConfig(subnets, config)) {
    return refusedChange("OPTION_INVALID", `${what} is not a subnet that the config gives out`);
  }
  const rival = [...table.takenKeys()].find((taken) => {
    const other = table.taken(taken);
    return other !== undefined && subnetsOverlap(subnets, other);
  });
  if (rival !== undefined) {
    return refusedChange("LEASE_CONFLICT", `${what} overlaps the lease ${rival}`);
  }
  const key = subnetKey(formatSubnetKey(subnets));
  const value = encodeLeaseValue(attrsOf(publicIp));
  return {
    kind: "plan",
    action: "lease.reserved",
    subject: what,
    steps: [`${what} waits for the machine with public address ${formatIp(publicIp)}`],
    warnings: [],
    basis: [{ key, revision: 0 }],
    writes: [put(key, value)],
    changes: [{ key, before: undefined, after: { value, forever: true } }],
  };
}

export function planRelease(table: LeaseTable, what: string, context: ChangeContext): Planned {
  const found = findLease(table, what);
  if (found === undefined) {
    return refusedChange(
      "OPTION_INVALID",
      `"${what}" is neither a lease nor a node that holds one`,
    );
  }
  const { row } = found;
  const { node, key } = row.lease;
  return {
    kind: "plan",
    action: "lease.released",
    subject: node === "" ? key : node,
    steps: [`${key} of ${holderOf(row)} is free for anybody`, "its peers drop their routes to it"],
    warnings:
      node === ""
        ? [`if ${holderOf(row)} still runs, two machines may use ${key}`]
        : [`if node ${node}'s agent runs, it takes a lease again at once: drain keeps it away`],
    ...giveBack(table, found, { released: context.now }),
  };
}

/** The writes that end a lease, and mark its holder's record. */
export function giveBack(
  table: LeaseTable,
  { row, entry }: FoundLease,
  mark: { readonly released: string; readonly drained?: string },
) {
  const { node } = row.lease;
  const stored = table.record(node);
  const record: readonly Write[] =
    stored === undefined
      ? []
      : [put(nodeKey(node), encodeNodeRecord({ ...stored.record, ...mark }))];
  const removal: Write = { op: "delete", key: entry.key };
  const basis: readonly Basis[] = [
    basisOf(entry),
    ...(stored === undefined ? [] : [{ key: nodeKey(node), revision: stored.modRevision }]),
  ];
  const changes = [{ key: entry.key, before: stateOf(entry), after: undefined }];
  return { basis, writes: [removal, ...record], changes };
}

export function put(key: string, value: string): Write {
  return { op: "put", key, value, etcdLease: NO_ETCD_LEASE };
}

export function basisOf({ key, modRevision }: Entry): Basis {
  return { key, revision: modRevision };
}

function holderOf({ lease }: LeaseRow): string {
  const { publicIp, publicIpv6 } = lease.attrs;
  const ip = publicIp ?? publicIpv6;
  if (lease.node !== "") return `node ${lease.node}`;
  return ip === undefined ? "nobody" : `the machine at ${formatIp(ip)}`;
}

function attrsOf(ip: Ip): LeaseAttrs {
  return {
    publicIp: ip.family === 4 ? ip : undefined,
    publicIpv6: ip.family === 6 ? ip : undefined,
    backendType: "",
    backendData: "",
    backendV6Data: "",
  };
}
