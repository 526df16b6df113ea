/**
 * Two nodes with a pod each, for the udp tunnel: four network namespaces, the nodes joined by a
 * veth pair with the usual MTU. Each end of the tunnel is a process, ours or the plain proxy.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { TunnelStats } from "../../agent/tunnel/tunnel-stats.ts";
import type { TunnelTuning } from "../../agent/tunnel/udp-tunnel.ts";
import { type CommandResult, run, tryRun } from "../../scripts/testbed/command.ts";
import { until } from "../../scripts/testbed/poll.ts";
import type { PeerWords, TunnelProcessOptions } from "./fixtures/tunnel-process.ts";

export const DEVICE = "flannel0";
export const PORT = 8285;
const NETWORK = "10.77.0.0/16";
const MTU = 1472;
const READY_MS = 15_000;

/** "ours" is agent/tunnel, "plain" the proxy that moves one packet per system call. */
export type EndKind = "ours" | "plain";

export interface Node {
  readonly index: 1 | 2;
  readonly namespace: string;
  readonly pod: string;
  /** Underlay address. */
  readonly ip: string;
  /** The device's address, the subnet's first. */
  readonly address: string;
  readonly subnet: string;
  readonly podIp: string;
}

let beds = 0;

export class TunnelBed implements AsyncDisposable {
  readonly nodes: readonly [Node, Node];
  readonly #folder = mkdtempSync(join(tmpdir(), "tunnel-"));
  readonly #ends = new Map<number, TunnelEnd>();

  private constructor(name: string) {
    this.nodes = [node(name, 1), node(name, 2)];
  }

  static async create(): Promise<TunnelBed> {
    beds += 1;
    const bed = new TunnelBed(`tu-${process.pid}-${beds}`);
    try {
      await bed.#build();
    } catch (error) {
      await bed[Symbol.asyncDispose]();
      throw error;
    }
    return bed;
  }

  /** Starts this end and sets up the device as the agent does: address, MTU, up, route. */
  async start(at: Node, kind: EndKind, tuning: Partial<TunnelTuning> = {}): Promise<TunnelEnd> {
    const end = new TunnelEnd(
      await this.#argv(at, kind, { peers: [this.peerOf(at)], ...this.options(at), tuning }),
    );
    this.#ends.set(at.index, end);
    await end.ready();
    await this.configure(at);
    return end;
  }

  options(at: Node): Omit<TunnelProcessOptions, "peers" | "tuning"> {
    return { deviceName: DEVICE, bind: at.ip, port: PORT, address: at.address };
  }

  peerOf(at: Node): PeerWords {
    const other = this.nodes[at.index === 1 ? 1 : 0];
    return [other.subnet, other.ip, PORT];
  }

  async configure(at: Node): Promise<void> {
    await ip(at.namespace, [
      `address replace ${at.address}/32 dev ${DEVICE}`,
      `link set dev ${DEVICE} mtu ${MTU} up`,
      `route replace ${NETWORK} dev ${DEVICE}`,
    ]);
  }

  /** Ends the process at this node and removes the device. */
  async remove(at: Node): Promise<void> {
    await this.#ends.get(at.index)?.kill();
    await tryRun(["ip", "-n", at.namespace, "link", "del", DEVICE]);
  }

  /** argv of our end, to be run by hand. */
  ours(at: Node, options: TunnelProcessOptions): string[] {
    const program = fileURLToPath(new URL("./fixtures/tunnel-process.js", import.meta.url));
    return inNamespace(at.namespace, [process.execPath, program, JSON.stringify(options)]);
  }

  async #argv(at: Node, kind: EndKind, options: TunnelProcessOptions): Promise<string[]> {
    if (kind === "ours") return this.ours(at, options);
    const [subnet, remote] = this.peerOf(at);
    const route = [...subnet.split("/"), remote, String(PORT)];
    const program = await this.#compileProxy();
    const words = [program, DEVICE, at.ip, String(PORT), at.address, ...route];
    return inNamespace(at.namespace, words);
  }

  async #compileProxy(): Promise<string> {
    const source = new URL("../../../test/support/fixtures/plain-proxy.c", import.meta.url);
    const program = join(this.#folder, "plain-proxy");
    await run(["cc", "-O2", "-o", program, fileURLToPath(source)]);
    return program;
  }

  async #build(): Promise<void> {
    const [one, two] = this.nodes;
    for (const { namespace, pod } of this.nodes) {
      for (const name of [namespace, pod]) {
        await run(["ip", "netns", "add", name]);
        await ip(name, ["link set dev lo up"]);
      }
    }
    await ip(one.namespace, [`link add eth0 type veth peer name eth0 netns ${two.namespace}`]);
    for (const at of this.nodes) {
      const gateway = at.address.replace(/0$/, "1");
      await ip(at.namespace, [
        `address add ${at.ip}/24 dev eth0`,
        "link set dev eth0 up",
        `link add pod0 mtu ${MTU} type veth peer name eth0 mtu ${MTU} netns ${at.pod}`,
        `address add ${gateway}/24 dev pod0`,
        "link set dev pod0 up",
      ]);
      await ip(at.pod, [
        `address add ${at.podIp}/24 dev eth0`,
        "link set dev eth0 up",
        `route add default via ${gateway}`,
      ]);
      await run(inNamespace(at.namespace, ["sysctl", "-qw", "net.ipv4.ip_forward=1"]));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends.values()) await end.kill();
    for (const { namespace, pod } of this.nodes) {
      await tryRun(["ip", "netns", "del", namespace]);
      await tryRun(["ip", "netns", "del", pod]);
    }
    rmSync(this.#folder, { recursive: true });
  }
}

/** One end's process. */
export class TunnelEnd {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: string[] = [];
  readonly #exited: Promise<number>;

  constructor(argv: readonly string[]) {
    const [file = "", ...args] = ["setpriv", "--pdeathsig", "KILL", "--", ...argv];
    this.#child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#lines.push(line));
    this.#exited = new Promise((resolve) => {
      this.#child.once("close", (code) => resolve(code ?? -1));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async ready(): Promise<void> {
    await this.said(/^ready$/);
  }

  /** The next line that matches, seen already or yet to come. */
  said(pattern: RegExp): Promise<string> {
    const options = { deadlineMs: READY_MS, everyMs: 5 };
    return until(`the tunnel says ${pattern}`, options, () =>
      this.#lines.find((line) => pattern.test(line)),
    );
  }

  setPeers(peers: readonly PeerWords[]): void {
    this.#child.stdin.write(`${JSON.stringify(peers)}\n`);
  }

  async stats(): Promise<TunnelStats> {
    const before = this.#lines.length;
    this.#child.stdin.write("stats\n");
    const options = { deadlineMs: READY_MS, everyMs: 5 };
    const line = await until("the tunnel's counters", options, () => this.#lines[before]);
    return JSON.parse(line) as TunnelStats;
  }

  /** Asks it to stop; its exit code. */
  async stop(): Promise<number> {
    this.#child.kill("SIGTERM");
    return this.#exited;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  get exited(): Promise<number> {
    return this.#exited;
  }
}

export function inNamespace(namespace: string, argv: readonly string[]): string[] {
  return ["ip", "netns", "exec", namespace, ...argv];
}

/** Runs a program in a pod or node; its failure is an answer. */
export function execIn(namespace: string, argv: readonly string[]): Promise<CommandResult> {
  return tryRun(inNamespace(namespace, argv));
}

export async function ip(namespace: string, lines: readonly string[]): Promise<void> {
  await run(["ip", "-n", namespace, "-batch", "-"], { input: lines.join("\n") });
}

function node(name: string, index: 1 | 2): Node {
  return {
    index,
    namespace: `${name}-node${index}`,
    pod: `${name}-pod${index}`,
    ip: `10.98.0.${index}`,
    address: `10.77.${index}.0`,
    subnet: `10.77.${index}.0/24`,
    podIp: `10.77.${index}.2`,
  };
}
