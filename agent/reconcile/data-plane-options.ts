/** What of the agent's command line concerns the data plane, in its own terms. */
import type { Cidr } from "../../common/net/cidr.ts";
import type { RuleOptions } from "../options.ts";
import type { FirewallOptions } from "../plan/firewall.ts";

export interface DataPlaneOptions {
  readonly firewall: FirewallOptions;
  /** --iptables-resync */
  readonly firewallResyncMs: number;
  /** --ip-blackhole-route */
  readonly blackholeRoute: boolean;
  /** --tunnel-tx-checksum-off */
  readonly txChecksumOff: boolean;
  /** Networks of the run before (subnet.env): what it left there is ours to remove. */
  readonly previousNetworks: readonly Cidr[];
}

export function dataPlaneOptions(
  rules: RuleOptions,
  previousNetworks: readonly Cidr[],
): DataPlaneOptions {
  return {
    firewall: {
      masquerade: rules.ipMasq,
      forwardRules: rules.forwardRules,
      randomFully: rules.fullyRandom,
    },
    firewallResyncMs: rules.resyncMs,
    blackholeRoute: rules.blackholeRoute,
    txChecksumOff: rules.txChecksumOff,
    previousNetworks,
  };
}
