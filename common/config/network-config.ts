/** The operator's network config with every default filled in (contract 1.8). */
import type { Cidr } from "../net/cidr.ts";
import type { Family, Ip } from "../net/ip.ts";
import type { BackendConfig } from "./backend-config.ts";

/** Where subnets of one family are taken from. */
export interface SubnetRange {
  readonly network: Cidr;
  /** Prefix length of every node's subnet. */
  readonly subnetLen: number;
  /** First and last subnet that may be given out, both on a subnetLen boundary. */
  readonly subnetMin: Ip;
  readonly subnetMax: Ip;
}

export interface NetworkConfig {
  /** undefined when EnableIPv4 is false. */
  readonly v4: SubnetRange | undefined;
  /** undefined unless EnableIPv6. */
  readonly v6: SubnetRange | undefined;
  readonly enableNFTables: boolean;
  readonly backend: BackendConfig;
}

/** Something wrong at one place of the JSON. */
export interface ConfigProblem {
  /** JSON path: "$.SubnetLen", "$.Backend.Type"; "$" for the whole. */
  readonly path: string;
  readonly message: string;
}

export type ParsedConfig =
  | {
      readonly kind: "valid";
      readonly config: NetworkConfig;
      /** Valid, but a trap: for example a config without Backend. */
      readonly warnings: readonly ConfigProblem[];
    }
  | { readonly kind: "invalid"; readonly problems: readonly ConfigProblem[] };

export function rangeOf(config: NetworkConfig, family: Family): SubnetRange | undefined {
  return family === 4 ? config.v4 : config.v6;
}
