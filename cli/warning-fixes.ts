/**
 * What an operator does about each warning of `status` and finding of `ipam check`. The codes
 * are stable; docs/cli.md shows this table.
 */
export const FIXES: Readonly<Record<string, string>> = {
  STORE_STALE:
    "etcd does not answer this controller. Check `etcdctl endpoint health` and the way there; nodes go on with what they have.",
  CONFIG_FAULTY:
    "The config key holds an invalid value; the last good one stays in force. Put a correct one with etcdctl.",
  KEY_MALFORMED:
    "A key below subnets/ is no lease and is skipped. Find out who wrote it, then delete it with etcdctl.",
  CONTROLLER_SILENT:
    "A controller that takes part in the election does not answer: is its process alive, its port open, your certificate good?",
  NO_LEADER:
    "Nobody allocates subnets; running nodes are not touched. Check etcd's health first, then the controllers' logs.",
};
