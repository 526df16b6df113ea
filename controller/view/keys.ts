/** Where things lie below the prefix (design 3); the store's keys are relative to it. */

export const CONFIG_KEY = "config";
/** A change of backend under way; see controller/rollout/. */
export const ROLLOUT_KEY = "twill/rollout";
export const SUBNETS = "subnets/";
export const NODES = "twill/nodes/";
export const ELECTION = "twill/election/";
export const INVITES = "twill/invites/";
export const JOURNAL = "twill/journal/";

export function subnetKey(leaseKey: string): string {
  return `${SUBNETS}${leaseKey}`;
}

export function nodeKey(node: string): string {
  return `${NODES}${node}`;
}

/** What `isWatchedKey` is true for, as ranges to list. */
export const WATCHED_RANGES = [CONFIG_KEY, ROLLOUT_KEY, SUBNETS, ELECTION, NODES] as const;

/** True for the keys that the table is made of; others below the prefix do not concern it. */
export function isWatchedKey(key: string): boolean {
  if (key === CONFIG_KEY || key === ROLLOUT_KEY) return true;
  return [SUBNETS, NODES, ELECTION].some((range) => key.startsWith(range));
}
