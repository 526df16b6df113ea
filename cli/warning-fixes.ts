/**
 * What an operator does about each warning of `status` and finding of `ipam check`. The codes
 * are stable; docs/cli.md shows this table.
 */
export const FIXES: Readonly<Record<string, string>> = {
  STORE_STALE:
    "etcd does not answer this controller. Check `etcdctl endpoint health` and the way there; nodes go on with what they have.",
  CONFIG_FAULTY:
    "The config key holds an invalid value; the last good one stays in force. Put a correct one with etcdctl.",
  WITHDRAWALS_HELD:
    "A large share of the leases ended at once. Nodes that are connected claim theirs anew by themselves; if the warning stays, etcd does not answer: check `etcdctl endpoint health`.",
  KEY_MALFORMED:
    "A key below subnets/ is no lease and is skipped. Find out who wrote it, then delete it with etcdctl.",
  CONTROLLER_SILENT:
    "A controller that takes part in the election does not answer: is its process alive, its port open, your certificate good?",
  NO_LEADER:
    "Nobody allocates subnets; running nodes are not touched. Check etcd's health first, then the controllers' logs.",
  SUBNET_OVERLAP:
    "Two leases claim the same addresses. Find out which node uses them (its subnet.env), delete the other key; its node takes another subnet.",
  SUBNET_OUTSIDE:
    "A lease of an earlier network. Its node renumbers when its agent starts; a key that nobody holds is deleted with etcdctl.",
  SUBNET_LENGTH: "A lease of an earlier SubnetLen; as SUBNET_OUTSIDE.",
  SUBNET_UNALLOCATABLE:
    "Outside SubnetMin and SubnetMax, which were changed after it was given out, or a reservation; harmless to others.",
  FAMILY_MISSING:
    "The leases are older than EnableIPv4 or EnableIPv6; their nodes need new ones. Controllers hold IPv6 back while real flannel nodes run without it: restart those with the new config.",
  PUBLIC_IP_DUPLICATE:
    "Two leases name one machine, and peers send to one of them only. Delete the one that is no longer used.",
  PUBLIC_IP_INSIDE:
    "The machine's own address lies in the container network: give the agent another --public-ip or the network another range.",
  VTEP_MAC_DUPLICATE:
    "Two machines have one VTEP MAC, as cloned disks do. Stop one agent, remove its state folder, delete its flannel device, start it.",
  NODE_DUPLICATE: "A node holds two leases. Delete the key that is not in its subnet.env.",
  BACKEND_OTHER:
    "The node still runs, or is configured for, another backend, and others skip it. Restart its agent or flanneld.",
  RANGE_NEARLY_FULL:
    "New nodes will soon be refused. Release leases of machines that are gone, widen SubnetMin..SubnetMax, or plan a larger network.",
};
