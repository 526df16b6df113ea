/** What the command line and environment gave, one property per option of option-table.ts. */
import type { OptionTable } from "../common/config/option-table.ts";
import type { Level } from "../common/events.ts";
import type { HostPort } from "../common/net/host-port.ts";
import type { Ip } from "../common/net/ip.ts";

/** Nothing is compared with anything else yet; options.ts does. */
export interface GivenOptions {
  readonly controllers: readonly HostPort[];
  readonly nodeName: string;
  readonly tlsCaFile: string;
  readonly tlsCertFile: string;
  readonly tlsKeyFile: string;
  readonly joinTokenFile: string;
  readonly insecure: boolean;
  readonly iface: readonly string[];
  readonly ifaceRegex: readonly RegExp[];
  readonly ifaceCanReach: Ip | undefined;
  readonly publicIp: Ip | undefined;
  readonly publicIpv6: Ip | undefined;
  readonly tunnelTxChecksumOff: boolean;
  readonly ipMasq: boolean;
  readonly ipMasqFullyRandomDisable: boolean;
  readonly iptablesForwardRules: boolean;
  readonly iptablesResync: number;
  readonly ipBlackholeRoute: boolean;
  readonly subnetFile: string;
  readonly cniConfDir: string;
  readonly stateDir: string;
  readonly wireguardKeyFile: string;
  readonly releaseOnExit: boolean;
  readonly onSubnetTaken: "renumber" | "hold";
  readonly purge: boolean;
  readonly healthzIp: Ip;
  readonly healthzPort: number;
  readonly logFormat: "json" | "text";
  readonly logLevel: Level;
  readonly v: number;
  readonly kubeSubnetMgr: boolean;
}

/** The specs of some of the options. */
export type Specs<K extends keyof GivenOptions> = Pick<OptionTable<GivenOptions>["options"], K>;
