/**
 * Machines around one node whose packet filter is under test:
 *
 *   pod 10.244.1.2 ── node ── outside 10.78.0.2 (knows no way back to the network)
 *                     node ── peer 10.79.0.2 = another node, with 10.244.2.0/24 behind it
 *
 * What "outside" and "peer" see as the sender of a ping shows what was masqueraded.
 */
import type { TestContext } from "node:test";
import { commandRunner, type RunCommand } from "../../agent/kernel/command.ts";
import { run, tryRun } from "../../scripts/testbed/command.ts";
import { type NetworkNamespace, namespaceFor } from "./netns.ts";

export type Machine = "pod" | "node" | "outside" | "peer";

export class MasqueradeBed {
  readonly #machines: ReadonlyMap<Machine, NetworkNamespace>;

  private constructor(machines: ReadonlyMap<Machine, NetworkNamespace>) {
    this.#machines = machines;
  }

  static async open(t: TestContext): Promise<MasqueradeBed> {
    const names: readonly Machine[] = ["pod", "node", "outside", "peer"];
    const machines = new Map<Machine, NetworkNamespace>();
    for (const name of names) machines.set(name, await namespaceFor(t));
    const bed = new MasqueradeBed(machines);
    await bed.#build();
    return bed;
  }

  /** Path of the node's namespace. */
  get nodePath(): string {
    return this.#at("node").path;
  }

  /** Runs in the node's namespace, as the agent would on the node itself. */
  readonly run: RunCommand = ([program, ...args], options) =>
    commandRunner(process.env["PATH"])(
      ["ip", "netns", "exec", this.#at("node").name, program, ...args],
      options,
    );

  /** Runs a command line on a machine; its output. */
  on(machine: Machine, line: string): Promise<string> {
    return this.#at(machine).run(...line.split(" "));
  }

  /** Feeds text to a program on the node. */
  async feed(line: readonly [string, ...string[]], stdin: string): Promise<void> {
    await this.run(line, { signal: AbortSignal.timeout(10_000), stdin });
  }

  /** True when one ping is answered; `source`: an address of the machine itself. */
  async pings(machine: Machine, target: string, source?: string): Promise<boolean> {
    const from = source === undefined ? [] : ["-I", source];
    const argv = ["ping", "-c1", "-W1", "-q", ...from, target];
    const { code } = await tryRun(this.#at(machine).inside(argv));
    return code === 0;
  }

  /** The sender that the observer sees of pings from a machine. */
  async seenSource(
    from: { readonly machine: Machine; readonly source?: string },
    target: string,
    observer: Machine,
  ): Promise<string> {
    const isEcho = target.includes(":")
      ? "icmp6[icmp6type]=icmp6-echo"
      : "icmp[icmptype]=icmp-echo";
    const argv = ["timeout", "10", "tcpdump", "-nn", "-c1", "-i", "eth0", isEcho];
    let isOver = false;
    const capture = run(this.#at(observer).inside(argv)).finally(() => {
      isOver = true;
    });
    // Pings until the capture has caught one: nothing tells when it began.
    while (!isOver) await this.pings(from.machine, target, from.source);
    return /IP6? ([0-9a-f.:]+) >/.exec(await capture)?.[1] ?? "nothing";
  }

  async #build(): Promise<void> {
    await this.#join(
      "pod",
      ["10.244.1.2/24", "fd77:0:0:1::2/64"],
      ["10.244.1.1/24", "fd77:0:0:1::1/64"],
    );
    await this.#join("outside", ["10.78.0.2/24", "fd78::2/64"], ["10.78.0.1/24", "fd78::1/64"]);
    await this.#join("peer", ["10.79.0.2/24", "fd79::2/64"], ["10.79.0.1/24", "fd79::1/64"]);
    await this.on("peer", "ip addr add 10.244.2.2/24 dev lo");
    await this.on("peer", "ip addr add fd77:0:0:2::2/64 dev lo");
    await this.on("peer", "ip route add 10.244.1.0/24 via 10.79.0.1");
    await this.on("peer", "ip route add fd77:0:0:1::/64 via fd79::1");
    await this.on("node", "ip route add 10.244.2.0/24 via 10.79.0.2");
    await this.on("node", "ip route add fd77:0:0:2::/64 via fd79::2");
    await this.on("pod", "ip route add default via 10.244.1.1");
    await this.on("pod", "ip route add default via fd77:0:0:1::1");
    await this.on("node", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
  }

  /** A cable from the machine's eth0 to the node's to-<machine>. */
  async #join(machine: Machine, own: readonly string[], nodes: readonly string[]): Promise<void> {
    const near = this.#at("node").name;
    await this.on(machine, `ip link add eth0 type veth peer name to-${machine} netns ${near}`);
    for (const address of own) await this.on(machine, `ip addr add ${address} dev eth0`);
    for (const address of nodes) await this.on("node", `ip addr add ${address} dev to-${machine}`);
    await this.on(machine, "ip link set eth0 up");
    await this.on("node", `ip link set to-${machine} up`);
  }

  #at(machine: Machine): NetworkNamespace {
    const found = this.#machines.get(machine);
    if (found === undefined) throw new Error(`there is no machine ${machine}`);
    return found;
  }
}
