/** What the firewall driver needs of a way to write packet-filter rules: iptables or nftables. */
import type { FirewallPlan } from "../plan/firewall.ts";

/** One chain that was not as it should be, and is now. */
export interface RuleChange {
  /** "nat FLANNEL-POSTRTG (IPv4)", "flannel-ipv4 forward" */
  readonly key: string;
  readonly expected: string;
  readonly found: string;
}

export interface RuleBackend {
  readonly name: FirewallPlan["mode"];
  /**
   * Reads, and writes what differs, each table in one transaction. TwillError COMMAND_FAILED
   * when it cannot.
   */
  ensure(plan: FirewallPlan, signal: AbortSignal): Promise<readonly RuleChange[]>;
  /** Removes what is ours; nothing to do, and no error, where the programs are not installed. */
  clear(plan: FirewallPlan, signal: AbortSignal): Promise<readonly RuleChange[]>;
}

/** The same plan with no rules: only what is whose stays. */
export function emptied(plan: FirewallPlan): FirewallPlan {
  const families = plan.families.map((one) => ({ ...one, masquerade: [], forward: [] }));
  return { ...plan, families };
}
