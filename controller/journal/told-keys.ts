/** Which keys the journal tells of, and an entry of the store as the journal has it; pure. */
import { NO_ETCD_LEASE } from "../../common/lease/lease.ts";
import type { Entry } from "../store/store.ts";
import { CONFIG_KEY, SUBNETS } from "../view/keys.ts";
import type { KeyState } from "./journal-entry.ts";

/** Config and leases: what `twillctl show --at` brings back. */
export const TOLD_RANGES = [CONFIG_KEY, SUBNETS] as const;

export function isTold(key: string): boolean {
  return key === CONFIG_KEY || key.startsWith(SUBNETS);
}

export function stateOf({ value, etcdLease }: Entry): KeyState {
  return { value, forever: etcdLease === NO_ETCD_LEASE };
}
