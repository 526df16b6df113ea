/**
 * The network under the overlay: one bridge in a namespace of its own, without a way out.
 * Machines are cut off here, by frame filters between their ports, so that a cut machine
 * sees no carrier loss and any pair can be separated.
 */
import { run, tryRun } from "./command.ts";
import type { Machine } from "./machine.ts";
import type { Site } from "./site.ts";
import {
  GATEWAY,
  GATEWAY6,
  switchNamespace,
  UNDERLAY_PREFIX,
  UNDERLAY_PREFIX6,
} from "./topology.ts";

/** Frames between cut pairs and a share of the frames from lossy machines are dropped. */
const FILTER = `
table bridge lab {
  set cut { type ether_addr . ether_addr; }
  chain loss { }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ether saddr . ether daddr @cut drop
    jump loss
  }
}
`;

export class Underlay {
  readonly #namespace: string;

  constructor(site: Site) {
    this.#namespace = switchNamespace(site.name);
  }

  async create(): Promise<void> {
    await run(["ip", "netns", "add", this.#namespace]);
    await this.#ip([
      "link set dev lo up",
      "link add name br0 type bridge forward_delay 0 mcast_snooping 0",
      "link set dev br0 up",
      `address add ${GATEWAY}/${UNDERLAY_PREFIX} dev br0`,
      `address add ${GATEWAY6}/${UNDERLAY_PREFIX6} dev br0 nodad`,
    ]);
    await this.#nft(FILTER);
  }

  /** Gives a machine its eth0 with addresses and default routes. */
  async attach(machine: Machine): Promise<void> {
    const { name, mac, ip, ip6 } = machine.id;
    await this.#ip([
      `link add name ${name} type veth peer name eth0 address ${mac} netns ${machine.namespace}`,
      `link set dev ${name} master br0 up`,
    ]);
    const setUp = [
      "link set dev lo up",
      "link set dev eth0 up",
      `address add ${ip}/${UNDERLAY_PREFIX} dev eth0`,
      `address add ${ip6}/${UNDERLAY_PREFIX6} dev eth0 nodad`,
      `route add default via ${GATEWAY} dev eth0`,
      `route add ::/0 via ${GATEWAY6} dev eth0`,
    ];
    await run(["ip", "-n", machine.namespace, "-batch", "-"], { input: setUp.join("\n") });
  }

  /** Drops every frame between the two, both ways. */
  async cut(a: Machine, b: Machine): Promise<void> {
    await this.#nft(`add element bridge lab cut { ${pair(a, b)}, ${pair(b, a)} }`);
  }

  async heal(a: Machine, b: Machine): Promise<void> {
    await this.#nft(`delete element bridge lab cut { ${pair(a, b)}, ${pair(b, a)} }`);
  }

  /** Undoes every cut and loss. */
  async healAll(): Promise<void> {
    await this.#nft("flush set bridge lab cut\nflush chain bridge lab loss");
  }

  /** From now on this share of the frames that the machine sends or is sent is lost; 0 undoes it for all. */
  async lose(machine: Machine, percent: number): Promise<void> {
    if (percent === 0) return this.#nft("flush chain bridge lab loss");
    const rules = ["saddr", "daddr"].map(
      (side) =>
        `add rule bridge lab loss ether ${side} ${machine.id.mac} numgen random mod 100 < ${percent} drop`,
    );
    await this.#nft(rules.join("\n"));
  }

  /** Drops frames that match, in nft's words ("udp dport 8472"), until `healAll`. */
  async drop(match: string): Promise<void> {
    await this.#nft(`add rule bridge lab loss ${match} drop`);
  }

  /**
   * Limits what the machine is sent to `kbitPerSecond` (a queue builds up behind it, so that
   * traffic is late as on a slow line); undefined: no limit.
   */
  async slow(machine: Machine, kbitPerSecond: number | undefined): Promise<void> {
    const { name } = machine.id;
    await tryRun(["tc", "-n", this.#namespace, "qdisc", "del", "dev", name, "root"]);
    if (kbitPerSecond === undefined) return;
    const limit = ["rate", `${kbitPerSecond}kbit`, "burst", "4kb", "latency", "2s"];
    await run(["tc", "-n", this.#namespace, "qdisc", "add", "dev", name, "root", "tbf", ...limit]);
  }

  /** The machine's cable: unplugged, it loses carrier. */
  async setCable(machine: Machine, plugged: boolean): Promise<void> {
    await this.#ip([`link set dev ${machine.id.name} ${plugged ? "up" : "down"}`]);
  }

  /** The switch forwards IPv4 between machines that send to it as their gateway, and keeps quiet about it. */
  async routeBetween(): Promise<void> {
    const settings = ["conf.all.send_redirects=0", "conf.br0.send_redirects=0", "ip_forward=1"];
    for (const setting of settings) {
      const sysctl = ["sysctl", "-qw", `net.ipv4.${setting}`];
      await run(["ip", "netns", "exec", this.#namespace, ...sysctl]);
    }
  }

  async destroy(): Promise<void> {
    await tryRun(["ip", "netns", "del", this.#namespace]);
  }

  async #ip(lines: readonly string[]): Promise<void> {
    await run(["ip", "-n", this.#namespace, "-batch", "-"], { input: lines.join("\n") });
  }

  async #nft(script: string): Promise<void> {
    await run(["ip", "netns", "exec", this.#namespace, "nft", "-f", "-"], { input: script });
  }
}

function pair(from: Machine, to: Machine): string {
  return `${from.id.mac} . ${to.id.mac}`;
}
