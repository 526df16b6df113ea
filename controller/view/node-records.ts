/** The records under twill/nodes/, indexed by the lease they name; says who holds a lease. */
import type { LeaseAttrs, Revision } from "../../common/lease/lease.ts";
import { type Ip, sameIp } from "../../common/net/ip.ts";
import type { StoredNodeRecord } from "../lease/lease-book.ts";
import { decodeNodeRecord, emptyRecord } from "../lease/node-record.ts";
import type { Entry } from "../store/store.ts";

export class NodeRecords {
  readonly #records = new Map<string, StoredNodeRecord>();
  readonly #nodesByLease = new Map<string, Set<string>>();

  get(node: string): StoredNodeRecord | undefined {
    return this.#records.get(node);
  }

  /** Takes a node's entry, or its absence; answers the leases whose holder may be another now. */
  put(
    node: string,
    entry: Entry | undefined,
  ): { readonly leaseKeys: readonly string[]; readonly malformed?: string } {
    const before = this.#records.get(node)?.record.subnet;
    this.#records.delete(node);
    if (before !== undefined) this.#unlink(before, node);
    const old = before === undefined ? [] : [before];
    if (entry === undefined) return { leaseKeys: old };
    const decoded = decodeNodeRecord(node, entry.value);
    // An unreadable record is as none, but its key is there and the next registration mends it.
    const record = decoded.kind === "record" ? decoded.record : emptyRecord(node);
    this.#records.set(node, { record, modRevision: entry.modRevision });
    const nodes = this.#nodesByLease.get(record.subnet) ?? new Set<string>();
    this.#nodesByLease.set(record.subnet, nodes.add(node));
    const leaseKeys = [...old, record.subnet];
    return decoded.kind === "record" ? { leaseKeys } : { leaseKeys, malformed: decoded.reason };
  }

  #unlink(leaseKey: string, node: string): void {
    const nodes = this.#nodesByLease.get(leaseKey);
    nodes?.delete(node);
    if (nodes?.size === 0) this.#nodesByLease.delete(leaseKey);
  }

  /** The node that holds this lease, "" when none does (see lease-table.ts for the rule). */
  holderOf(
    leaseKey: string,
    attrs: LeaseAttrs,
    entry: { readonly createRevision: Revision },
  ): string {
    let holder: StoredNodeRecord | undefined;
    for (const node of this.#nodesByLease.get(leaseKey) ?? []) {
      const stored = this.#records.get(node);
      if (stored === undefined || stored.record.released !== "") continue;
      if (stored.modRevision < entry.createRevision) continue;
      if (!sameAddress(stored.record.attrs, attrs)) continue;
      if (holder === undefined || isLater(stored, holder)) holder = stored;
    }
    return holder?.record.name ?? "";
  }
}

/** PublicIP is the identity, as for flannel; IPv6-only leases have none and go by PublicIPv6. */
function sameAddress(a: LeaseAttrs, b: LeaseAttrs): boolean {
  if (a.publicIp !== undefined || b.publicIp !== undefined) return same(a.publicIp, b.publicIp);
  return same(a.publicIpv6, b.publicIpv6);
}

function same(a: Ip | undefined, b: Ip | undefined): boolean {
  return a !== undefined && b !== undefined && sameIp(a, b);
}

/** By the order of writing; names break the tie, so that the answer depends on the keys alone. */
function isLater(a: StoredNodeRecord, b: StoredNodeRecord): boolean {
  if (a.modRevision !== b.modRevision) return a.modRevision > b.modRevision;
  return a.record.name < b.record.name;
}
