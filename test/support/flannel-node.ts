/**
 * A node as flanneld leaves it when it stops (contract 1.2, 1.3, 2.5, 3.1, 3.2, 4.1): devices,
 * addresses, routes, neighbours, FDB, rules, subnet.env and the key in etcd, all written by other
 * hands than Twill's. And what flanneld does to them when it starts again.
 */
import type { Lab } from "../../scripts/testbed/lab.ts";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { PREFIX, SUBNETS } from "../../scripts/testbed/registry.ts";

const NETWORK = "10.244.0.0/16";
const DAY_SECONDS = "86400";
const RESERVED_MARK = "0x4000/0x4000";

export class FlannelNode {
  readonly machine: Machine;
  readonly #lab: Lab;
  readonly #backend: "vxlan" | "host-gw";

  constructor(lab: Lab, machine: Machine, backend: "vxlan" | "host-gw") {
    this.#lab = lab;
    this.machine = machine;
    this.#backend = backend;
  }

  /** "10.244.101": far from what Twill would give out first. */
  get #prefix(): string {
    return `10.244.${100 + this.machine.id.index}`;
  }

  get subnetLine(): string {
    return `FLANNEL_SUBNET=${this.#prefix}.1/24`;
  }

  get key(): string {
    return `${SUBNETS}${this.#prefix}.0-24`;
  }

  get #mac(): string {
    return `4e:11:22:33:44:0${this.machine.id.index}`;
  }

  /** As flanneld writes it, byte for byte. */
  get value(): string {
    const { ip } = this.machine.id;
    const data =
      this.#backend === "vxlan" ? `,"BackendData":{"VNI":1,"VtepMAC":"${this.#mac}"}` : "";
    return `{"PublicIP":"${ip}","PublicIPv6":null,"BackendType":"${this.#backend}"${data}}`;
  }

  /** Lease, device, rules and subnet.env; `meet` makes the peers. */
  async begin(): Promise<void> {
    await this.putKey();
    if (this.#backend === "vxlan") {
      const local = ["local", this.machine.id.ip, "dev", "eth0", "dstport", "8472", "nolearning"];
      const type = ["type", "vxlan", "id", "1", ...local, "udpcsum"];
      const link = ["name", "flannel.1", "address", this.#mac, "mtu", "1450", "txqueuelen", "0"];
      await this.#ip("link", "add", ...link, ...type);
      await this.#ip("address", "add", `${this.#prefix}.0/32`, "dev", "flannel.1");
      await this.#ip("link", "set", "flannel.1", "up");
    }
    await this.machine.exec(["iptables-restore", "--noflush"], { input: this.#rules() });
    await this.machine.exec(["mkdir", "-p", "/run/flannel"]);
    const mtu = this.#backend === "vxlan" ? 1450 : 1500;
    const env = `FLANNEL_NETWORK=${NETWORK}\n${this.subnetLine}\nFLANNEL_MTU=${mtu}\nFLANNEL_IPMASQ=true\n`;
    this.machine.writeRunFile("flannel/subnet.env", env, 0o644);
  }

  /** What flanneld puts for each peer, at its start and when one joins: replaced where it is there. */
  async meet(peers: readonly FlannelNode[]): Promise<void> {
    for (const peer of peers.filter((one) => one !== this)) {
      const { ip } = peer.machine.id;
      const subnet = `${peer.#prefix}.0/24`;
      if (this.#backend === "host-gw") {
        await this.#ip("route", "replace", subnet, "via", ip, "dev", "eth0");
        continue;
      }
      const vtep = `${peer.#prefix}.0`;
      const dev = ["dev", "flannel.1"];
      await this.#ip("neigh", "replace", vtep, "lladdr", peer.#mac, ...dev, "nud", "permanent");
      const fdb = ["bridge", "fdb", "replace", peer.#mac, ...dev, "dst", ip, "self", "permanent"];
      await this.machine.exec(fdb);
      await this.#ip("route", "replace", subnet, "via", vtep, ...dev, "onlink");
    }
  }

  /** A new lease of a day and a blind put: how flanneld takes its old lease again (contract 1.4.2). */
  async putKey(): Promise<void> {
    const granted = await this.#lab.registry.etcdctl(["lease", "grant", DAY_SECONDS]);
    const lease = granted.split(" ")[1] ?? "";
    const put = ["put", `--lease=${lease}`, this.key];
    await this.#lab.registry.etcdctl(put, { input: this.value });
  }

  /** The interface number: another one would be another device. Empty for host-gw. */
  async deviceIndex(): Promise<string> {
    if (this.#backend === "host-gw") return "";
    return (await this.machine.exec(["cat", "/sys/class/net/flannel.1/ifindex"])).trim();
  }

  #ip(...argv: readonly string[]): Promise<string> {
    return this.machine.exec(["ip", ...argv]);
  }

  #rules(): string {
    const masq = '-m comment --comment "flanneld masq" -j';
    const forward = '-m comment --comment "flanneld forward" -j';
    const own = `${this.#prefix}.0/24`;
    return `*nat
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING ${masq} FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark ${RESERVED_MARK} ${masq} RETURN
-A FLANNEL-POSTRTG -s ${own} -d ${NETWORK} ${masq} RETURN
-A FLANNEL-POSTRTG -s ${NETWORK} -d ${own} ${masq} RETURN
-A FLANNEL-POSTRTG ! -s ${NETWORK} -d ${own} ${masq} RETURN
-A FLANNEL-POSTRTG -s ${NETWORK} ! -d 224.0.0.0/4 ${masq} MASQUERADE --random-fully
-A FLANNEL-POSTRTG ! -s ${NETWORK} -d ${NETWORK} ${masq} MASQUERADE --random-fully
COMMIT
*filter
:FLANNEL-FWD - [0:0]
-A FORWARD ${forward} FLANNEL-FWD
-A FLANNEL-FWD -s ${NETWORK} ${forward} ACCEPT
-A FLANNEL-FWD -d ${NETWORK} ${forward} ACCEPT
COMMIT
`;
  }
}

/** The lab's nodes without anything of Twill: no agent runs, no lease is known. */
export async function becomeFlannel(
  lab: Lab,
  backend: "vxlan" | "host-gw",
): Promise<readonly FlannelNode[]> {
  for (const machine of lab.nodes) {
    await lab.unit(machine.name).stop();
    await machine.exec(["twill-agent", "cleanup", "--purge"]);
  }
  await lab.registry.etcdctl(["del", "--prefix", SUBNETS]);
  await lab.registry.etcdctl(["del", "--prefix", `${PREFIX}/twill/nodes/`]);
  const nodes = lab.nodes.map((machine) => new FlannelNode(lab, machine, backend));
  for (const node of nodes) await node.begin();
  for (const node of nodes) await node.meet(nodes);
  return nodes;
}
