/**
 * Containers' networks on a node, by the real CNI plugins bridge and host-local, with the
 * configuration that flannel's own CNI plugin would generate from subnet.env.
 */
import { TwillError } from "../../common/errors.ts";
import { addToNetwork, type CniCall } from "./cni-list.ts";
import type { Machine } from "./machine.ts";

export interface Pod {
  readonly machine: Machine;
  /** Name of its network namespace on the machine. */
  readonly name: string;
  /** Its first address. */
  readonly ip: string;
  /** One per family, IPv4 first. */
  readonly ips: readonly string[];
}

export type SubnetEnv = Readonly<Record<string, string>>;

export function parseSubnetEnv(text: string): SubnetEnv {
  const env: Record<string, string> = {};
  for (const [, key = "", value = ""] of text.matchAll(/^(\w+)=(.*)$/gm)) env[key] = value;
  return env;
}

/** The configuration list that flannel's CNI plugin stands for. */
export function cniList(env: SubnetEnv): string {
  const subnets = [env["FLANNEL_SUBNET"], env["FLANNEL_IPV6_SUBNET"]].filter(
    (it) => it !== undefined,
  );
  const networks = [env["FLANNEL_NETWORK"], env["FLANNEL_IPV6_NETWORK"]].filter(
    (it) => it !== undefined,
  );
  const bridge = {
    type: "bridge",
    bridge: "cni0",
    mtu: Number(env["FLANNEL_MTU"]),
    isGateway: true,
    isDefaultGateway: true,
    hairpinMode: true,
    ipMasq: env["FLANNEL_IPMASQ"] !== "true",
    ipam: {
      type: "host-local",
      ranges: subnets.map((gateway) => [{ subnet: subnetOfGateway(gateway) }]),
      routes: networks.map((dst) => ({ dst })),
    },
  };
  return JSON.stringify({ cniVersion: "0.4.0", name: "cbr0", plugins: [bridge] });
}

/** "10.244.7.1/24" to "10.244.7.0/24": host-local wants the network, subnet.env has its first address. */
function subnetOfGateway(gateway: string): string {
  return gateway.replace(/1\/([0-9]+)$/, (_, length: string) =>
    gateway.includes(":") ? `/${length}` : `0/${length}`,
  );
}

/** Starts a pod; subnet.env must be there. */
export async function addPod(machine: Machine, name: string): Promise<Pod> {
  const env = machine.readRunFile("flannel/subnet.env");
  if (env === undefined) {
    throw new TwillError("FILE_FAILED", `${machine.name} has no /run/flannel/subnet.env yet`);
  }
  return addPodByList({ machine, pod: name, list: cniList(parseSubnetEnv(env)) });
}

/** Starts a pod with a configuration list of somebody else. */
export async function addPodByList(call: CniCall): Promise<Pod> {
  const { machine, pod: name } = call;
  await machine.exec(["ip", "netns", "add", name]);
  // Container runtimes call the loopback plugin for this.
  await machine.exec(["ip", "-n", name, "link", "set", "dev", "lo", "up"]);
  const ips = addressesOf(await addToNetwork(call));
  return { machine, name, ip: ips[0] ?? "", ips };
}

/** The pod's addresses in a CNI result. */
function addressesOf(result: string): string[] {
  const found = [...result.matchAll(/"address":\s*"([^"/]+)\//g)].map((match) => match[1] ?? "");
  if (found.length === 0) {
    throw new TwillError("COMMAND_FAILED", `the plugins named no address: ${result}`);
  }
  return found.toSorted((a, b) => Number(a.includes(":")) - Number(b.includes(":")));
}
