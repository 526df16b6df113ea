/**
 * The CNI configuration list of a node: what flannel's meta plugin would delegate to (contract
 * section 8), written out, so that the standard plugins bridge, host-local and portmap suffice.
 * Pure.
 */
import { formatCidr } from "../../common/net/cidr.ts";
import type { SubnetEnv } from "./subnet-env.ts";

/** Runtimes take the first file by name; flannel's usual one is 10-flannel.conflist. */
export const CNI_CONFLIST_NAME = "10-twill.conflist";

/**
 * Network and bridge are named as in flannel's usual list: host-local counts addresses by
 * network name, so a node that changes from flannel's list to this one gives none out twice.
 */
const NETWORK_NAME = "cbr0";
const BRIDGE = "cni0";
/** The newest that also plugins and runtimes of 2019 understand. */
const CNI_VERSION = "0.4.0";

/** The whole file, with a line feed at its end. */
export function renderCniConflist(env: SubnetEnv): string {
  const families = [env.v4, env.v6].filter((family) => family !== undefined);
  const bridge = {
    type: "bridge",
    bridge: BRIDGE,
    mtu: env.mtuBytes,
    isGateway: true,
    isDefaultGateway: true,
    hairpinMode: true,
    // One of the two masquerades: the agent's rules, or else the plugin's.
    ipMasq: !env.ipMasq,
    ipam: {
      type: "host-local",
      ranges: families.map(({ subnet }) => [{ subnet: formatCidr(subnet) }]),
      routes: families.map(({ network }) => ({ dst: formatCidr(network) })),
    },
  };
  const portmap = { type: "portmap", capabilities: { portMappings: true } };
  const list = { cniVersion: CNI_VERSION, name: NETWORK_NAME, plugins: [bridge, portmap] };
  return `${JSON.stringify(list, undefined, 2)}\n`;
}
