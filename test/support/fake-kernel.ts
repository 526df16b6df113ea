/**
 * The Kernel port over a small Linux in memory (fake-network.ts), for tests without root.
 * Every write and read is logged as one line, and failures can be ordered for any line; a
 * test ends with `assertConsumed()`, so that no ordered failure goes unused.
 */
import assert from "node:assert/strict";
import type {
  AddressState,
  ChangeFailure,
  FdbState,
  Kernel,
  KernelChange,
  KernelEvent,
  LinkChange,
  LinkState,
  NeighbourState,
  RouteLookup,
  RouteState,
  WireguardPeerState,
} from "../../agent/kernel/kernel.ts";
import { formatWireguardPeer } from "../../agent/plan/kernel-object.ts";
import {
  addressKey,
  fdbKey,
  type LinkSpec,
  neighbourKey,
  routeKey,
  wireguardPeerKey,
} from "../../agent/plan/kernel-state.ts";
import { assertNever, TwillError } from "../../common/errors.ts";
import { formatCidr, parseInterfaceAddress } from "../../common/net/cidr.ts";
import { type Family, formatIp, type Ip } from "../../common/net/ip.ts";
import { macFromBytes } from "../../common/net/mac.ts";
import { FakeNetwork, type Verdict } from "./fake-network.ts";

export interface FakeKernelOptions {
  /** Link types this kernel has no module for. */
  readonly unsupported?: readonly string[];
}

interface OrderedFailure {
  /** Start of the log lines it is for. */
  readonly line: string;
  readonly errno: string;
  readonly message: string;
  left: number;
}

export class FakeKernel implements Kernel {
  /**
   * What was asked for, in order: "put route 10.244.1.0/24", "delete fdb flannel.1 02:…",
   * "create link flannel.1", "set link flannel.1", "list routes", "look up 10.0.0.1" …
   */
  readonly log: string[] = [];
  readonly network: FakeNetwork;
  readonly #unsupported: ReadonlySet<string>;
  readonly #failures: OrderedFailure[] = [];
  readonly #listeners = new Set<(event: KernelEvent) => void>();
  #eventsToLose = 0;

  constructor(options: FakeKernelOptions = {}) {
    this.#unsupported = new Set(options.unsupported);
    this.network = new FakeNetwork((event) => this.#emit(event));
  }

  /** Adds a network card that is up, with its addresses ("10.99.0.1/24"). */
  addCard(name: string, ...addresses: readonly string[]): void {
    const mac = macFromBytes(Uint8Array.of(2, 0, 0x5e, 0, 0, this.network.links.size + 1));
    this.network.addDevice({ name, mac, up: true });
    for (const text of addresses) {
      const address = parseInterfaceAddress(text);
      assert.ok(address, `"${text}" is no address with a prefix`);
      this.network.putAddress({ device: name, ...address });
    }
  }

  /**
   * The next `times` calls whose log line starts with `line` fail with `errno`: "put route",
   * "put route 10.244.3.0/24", "list fdb", "create link" … "list routes" with EINTR is a dump
   * that never came out whole.
   */
  failNext(line: string, errno: string, times = 1, message = ""): void {
    this.#failures.push({ line, errno, message, left: times });
  }

  /** The next `count` events are lost and become one gap. */
  dropEvents(count: number): void {
    this.#eventsToLose += count;
  }

  /** Ordered failures that did not happen (yet), one line each. */
  unconsumed(): readonly string[] {
    const failures = this.#failures
      .filter(({ left }) => left > 0)
      .map(({ line, errno, left }) => `${left} x ${errno} at "${line}"`);
    return this.#eventsToLose > 0
      ? [...failures, `${this.#eventsToLose} events to lose`]
      : failures;
  }

  assertConsumed(): void {
    assert.deepEqual(this.unconsumed(), [], "ordered failures that no call met");
  }

  /** Log lines of writes, reads left out. */
  writes(): readonly string[] {
    return this.log.filter((line) => !/^(list|look up|default)/.test(line));
  }

  /** Number of listeners; 0 after everybody has gone home. */
  get watchers(): number {
    return this.#listeners.size;
  }

  /** Everything that is there, one sorted line per object, for whole-state comparison. */
  describe(): string {
    const { links, addresses, neighbours, fdb, wireguardPeers, routes } = this.network;
    return [
      ...[...links.values()].map(describeLink).sort(),
      ...[...addresses.values()].map((a) => `address ${addressKey(a)}`).sort(),
      ...[...neighbours.values()].map((n) => `neighbour ${neighbourKey(n)} ${n.mac}`).sort(),
      ...[...fdb.values()].map((f) => `fdb ${fdbKey(f)} dst ${formatIp(f.remote)}`).sort(),
      ...[...wireguardPeers.values()].map((p) => `wireguard ${formatWireguardPeer(p)}`).sort(),
      ...[...routes.values()].map(describeRoute).sort(),
    ].join("\n");
  }

  async listLinks(signal: AbortSignal): Promise<readonly LinkState[]> {
    await this.#called("list links", signal);
    return [...this.network.links.values()];
  }

  async listAddresses(signal: AbortSignal): Promise<readonly AddressState[]> {
    await this.#called("list addresses", signal);
    return [...this.network.addresses.values()];
  }

  async listNeighbours(device: string, signal: AbortSignal): Promise<readonly NeighbourState[]> {
    await this.#called(`list neighbours ${device}`, signal);
    return [...this.network.neighbours.values()].filter((n) => n.device === device);
  }

  async listFdb(device: string, signal: AbortSignal): Promise<readonly FdbState[]> {
    await this.#called(`list fdb ${device}`, signal);
    return [...this.network.fdb.values()].filter((entry) => entry.device === device);
  }

  async listWireguardPeers(
    device: string,
    signal: AbortSignal,
  ): Promise<readonly WireguardPeerState[]> {
    await this.#called(`list wireguard ${device}`, signal);
    return [...this.network.wireguardPeers.values()].filter((peer) => peer.device === device);
  }

  async listRoutes(signal: AbortSignal): Promise<readonly RouteState[]> {
    await this.#called("list routes", signal);
    return [...this.network.routes.values()];
  }

  async lookUpRoute(destination: Ip, signal: AbortSignal): Promise<RouteLookup | undefined> {
    await this.#called(`look up ${formatIp(destination)}`, signal);
    return this.network.lookUp(destination);
  }

  async defaultRouteDevice(family: Family, signal: AbortSignal): Promise<string | undefined> {
    await this.#called(`default route device ${family}`, signal);
    const [first] = [...this.network.routes.values()]
      .filter(({ destination }) => destination.prefix === 0 && destination.ip.family === family)
      .sort((a, b) => a.metric - b.metric);
    return first?.device;
  }

  async createLink(link: LinkSpec, signal: AbortSignal): Promise<void> {
    await this.#called(`create link ${link.name}`, signal);
    if (this.#unsupported.has(link.kind)) {
      throw new TwillError(
        "KERNEL_UNSUPPORTED",
        `the kernel cannot make ${link.name}: it has no module "${link.kind}"`,
        { context: { device: link.name, module: link.kind, errno: "EOPNOTSUPP" } },
      );
    }
    throwRefusal(`create link ${link.name}`, this.network.createLink(link));
  }

  async setLink(name: string, set: LinkChange, signal: AbortSignal): Promise<void> {
    await this.#called(`set link ${name}`, signal);
    throwRefusal(`set link ${name}`, this.network.setLink(name, set));
  }

  async deleteLink(name: string, signal: AbortSignal): Promise<void> {
    await this.#called(`delete link ${name}`, signal);
    const verdict = this.network.deleteLink(name);
    if (verdict.errno !== "ENODEV") throwRefusal(`delete link ${name}`, verdict);
  }

  async apply(
    changes: readonly KernelChange[],
    signal: AbortSignal,
  ): Promise<readonly ChangeFailure[]> {
    signal.throwIfAborted();
    await Promise.resolve();
    const failures: ChangeFailure[] = [];
    for (const change of changes) {
      const line = `${change.op} ${change.kind} ${changeKey(change)}`;
      this.log.push(line);
      const { errno, message } = this.#ordered(line) ?? this.#make(change);
      const gone = change.op === "delete" && NOT_THERE.has(errno);
      if (errno !== "" && !gone) failures.push({ change, errno, message });
    }
    return failures;
  }

  watch(listener: (event: KernelEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  #make(change: KernelChange): Verdict {
    const put = change.op === "put";
    const { network } = this;
    switch (change.kind) {
      case "address":
        return put ? network.putAddress(change.object) : network.deleteAddress(change.object);
      case "neighbour":
        return put ? network.putNeighbour(change.object) : network.deleteNeighbour(change.object);
      case "fdb":
        return put ? network.putFdb(change.object) : network.deleteFdb(change.object);
      case "wireguard":
        return network.changeWireguardPeer(change.op, change.object);
      case "route":
        return put ? network.putRoute(change.object) : network.deleteRoute(change.object);
      default:
        return assertNever(change);
    }
  }

  async #called(line: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await Promise.resolve();
    this.log.push(line);
    throwRefusal(line, this.#ordered(line) ?? { errno: "", message: "" });
  }

  #ordered(line: string): Verdict | undefined {
    const failure = this.#failures.find((f) => f.left > 0 && line.startsWith(f.line));
    if (failure === undefined) return undefined;
    failure.left -= 1;
    return failure;
  }

  /** Events arrive later than the call that caused them, in order. */
  #emit(event: KernelEvent): void {
    const lost = this.#eventsToLose > 0;
    if (lost) this.#eventsToLose -= 1;
    if (lost && this.#eventsToLose > 0) return;
    const told: KernelEvent = lost ? { kind: "gap" } : event;
    for (const listener of this.#listeners) {
      queueMicrotask(() => {
        if (this.#listeners.has(listener)) listener(told);
      });
    }
  }
}

/** errno of a delete whose object, or whose device, is not there. */
const NOT_THERE: ReadonlySet<string> = new Set(["ENODEV", "ENOENT", "ESRCH", "EADDRNOTAVAIL"]);

function changeKey(change: KernelChange): string {
  switch (change.kind) {
    case "address":
      return addressKey(change.object);
    case "neighbour":
      return neighbourKey(change.object);
    case "fdb":
      return fdbKey(change.object);
    case "wireguard":
      return wireguardPeerKey(change.object);
    case "route":
      return routeKey(change.object);
    default:
      return assertNever(change);
  }
}

function throwRefusal(what: string, { errno, message }: Verdict): void {
  if (errno === "") return;
  const sentence = message === "" ? "" : ` (${message})`;
  throw new TwillError("KERNEL_REFUSED", `${what}: ${errno}${sentence}`, { context: { errno } });
}

function describeLink(link: LinkState): string {
  const { name, kind, up, running, mtuBytes, mac, vxlan } = link;
  const state = up ? (running ? "up" : "up no-carrier") : "down";
  const tunnel =
    vxlan === undefined
      ? ""
      : ` id ${vxlan.vni} local ${vxlan.local === undefined ? "-" : formatIp(vxlan.local)} port ${vxlan.port}${vxlan.learning ? " learning" : ""}${vxlan.gbp ? " gbp" : ""}`;
  return `link ${name} ${kind === "" ? "card" : kind}${tunnel} mtu ${mtuBytes} ${mac ?? ""} ${state}`;
}

function describeRoute(route: RouteState): string {
  const { destination, gateway, device, onlink, metric, type, protocol } = route;
  const parts = [
    type === "blackhole" ? "blackhole " : "",
    formatCidr(destination),
    gateway === undefined ? "" : ` via ${formatIp(gateway)}`,
    device === undefined ? "" : ` dev ${device}`,
    metric === 0 ? "" : ` metric ${metric}`,
    onlink ? " onlink" : "",
  ];
  return `route ${parts.join("")} proto ${protocol}`;
}
