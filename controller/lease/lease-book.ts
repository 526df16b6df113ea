/**
 * What deciding about a lease needs to know, as a port of types only: the controller's table
 * with the writes that are still under way laid over it (ledger.ts).
 */
import type { EtcdLeaseId, Lease, Revision } from "../../common/lease/lease.ts";
import type { Ip } from "../../common/net/ip.ts";
import type { Taken } from "./allocate.ts";
import type { NodeRecord } from "./node-record.ts";

/** A lease with what etcd says about its key. */
export interface HeldLease {
  readonly lease: Lease;
  /** "0": a reservation. */
  readonly etcdLease: EtcdLeaseId;
  readonly modRevision: Revision;
}

export interface StoredNodeRecord {
  readonly record: NodeRecord;
  readonly modRevision: Revision;
}

export interface LeaseBook {
  /** The lease this node holds now. */
  held(node: string): HeldLease | undefined;
  /** Every lease, anybody's, that advertises this public address. */
  withPublicIp(ip: Ip): readonly HeldLease[];
  /** Leases of IPv4 alone that real flannel nodes hold: by etcd lease and without a Twill node. */
  ipv4OnlyFlannel(): Iterable<HeldLease>;
  record(node: string): StoredNodeRecord | undefined;
  /** Occupancy by everything below subnets/ whose key is a subnet, even if its value is not a lease. */
  readonly taken: Taken;
  /** Keys below subnets/ that overlap these subnets, with the holder when it is a lease. */
  overlapping(subnets: Lease["subnets"]): readonly { key: string; lease: Lease | undefined }[];
}
