/**
 * What every way to write packet-filter rules does for each family: look only where something
 * is wanted, or where something of ours may be left.
 */
import type { Family } from "../../common/net/ip.ts";
import type { FamilyFirewall, FirewallPlan } from "../plan/firewall.ts";
import type { RuleChange } from "./rule-backend.ts";

export type EnsureFamily = (
  family: FamilyFirewall,
  isNeeded: boolean,
) => Promise<readonly RuleChange[]>;

export class EachFamily {
  /** Families of which nothing is wanted, and nothing of ours was left. */
  readonly #clean = new Set<Family>();

  async ensure(plan: FirewallPlan, ensureFamily: EnsureFamily): Promise<readonly RuleChange[]> {
    const changes: RuleChange[] = [];
    for (const family of plan.families) {
      const isNeeded = family.masquerade.length + family.forward.length > 0;
      if (isNeeded) this.#clean.delete(family.family);
      if (this.#clean.has(family.family)) continue;
      changes.push(...(await ensureFamily(family, isNeeded)));
      if (!isNeeded) this.#clean.add(family.family);
    }
    return changes;
  }

  /** Somebody may have left something: look everywhere once more. */
  suspect(): void {
    this.#clean.clear();
  }
}
