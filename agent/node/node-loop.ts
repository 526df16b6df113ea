/**
 * The order of a node's life (contract 2.3, improved): config, interface, device, lease,
 * addresses and routes, packet filter, in sync, subnet.env, ready. One loop walks it again
 * from the start after every change; each step is skipped while what it needs is missing, so
 * boot, restart, a new address and a new config are one way.
 */
import type { Clock } from "../../common/async/clock.ts";
import { kickOrTimeout } from "../../common/async/kick-or-timeout.ts";
import { Trigger } from "../../common/async/trigger.ts";
import type { NetworkConfig } from "../../common/config/network-config.ts";
import type { Lease } from "../../common/lease/lease.ts";
import { formatIp, type Ip } from "../../common/net/ip.ts";
import type { HostChoice } from "../host/host-facts.ts";
import type { SubnetEnv } from "../host/subnet-env.ts";
import type { Claim } from "../lease/lease-holder.ts";
import type { TableChange } from "../peers/peer-table.ts";
import type { NodeIdentity } from "../plan/backend-planner.ts";
import { familiesOf } from "../plan/peer-context.ts";
import type { NodeInput, NodeReconciler, ReconcileReport } from "../reconcile/node-reconciler.ts";
import { fitsNetwork, peerAddresses, subnetEnvOf, wantsDirect } from "./node-input.ts";

/** What the loop walks over; each is the newest of its kind. */
export interface NodeLoopPorts {
  readonly config: () => NetworkConfig | undefined;
  /** What accompanies the config while the backend is changed live. */
  readonly transition: () => { readonly also: NetworkConfig | undefined; readonly mark: string };
  readonly host: {
    need(families: readonly (4 | 6)[]): void;
    readonly choice: HostChoice | undefined;
    direct(addresses: Iterable<Ip>, signal: AbortSignal): Promise<ReadonlySet<string>>;
  };
  readonly identity: (config: NetworkConfig, signal: AbortSignal) => Promise<NodeIdentity>;
  /** The lease that the data plane stands on. */
  readonly lease: () => Lease | undefined;
  readonly leases: () => Iterable<Lease>;
  readonly reconciler: NodeReconciler;
  /** What peers need of this node; asked for once the device works. */
  readonly claim: (claim: Claim) => void;
  /** False: could not be written, to be tried again. */
  readonly writeEnv: (env: SubnetEnv) => Promise<boolean>;
  /** --ip-masq: containers are told (contract 2.5). */
  readonly ipMasq: boolean;
  /** True when the table came from the cache: containers may be told before a controller is there. */
  readonly isCached: boolean;
  readonly clock: Clock;
}

/** A file that could not be written is tried again this often. */
const RETRY_MS = 5_000;
const NO_PEERS: ReadonlySet<string> = new Set();

export class NodeLoop {
  readonly #ports: NodeLoopPorts;
  readonly #wake = new Trigger();
  #changes: TableChange[] = [];
  #input: NodeInput | undefined;
  #report: ReconcileReport | undefined;
  #mustRetry = false;

  constructor(ports: NodeLoopPorts) {
    this.#ports = ports;
  }

  /** Something that a step looks at has changed. */
  kick(): void {
    this.#wake.kick();
  }

  tableChanged(change: TableChange): void {
    this.#changes.push(change);
    this.#wake.kick();
  }

  reported(report: ReconcileReport): void {
    this.#report = report;
    this.#wake.kick();
  }

  /** What is planned from now. */
  get input(): NodeInput | undefined {
    return this.#input;
  }

  /** What would be planned from if this were the config; undefined while nothing is. */
  async inputUnder(config: NetworkConfig, signal: AbortSignal): Promise<NodeInput | undefined> {
    const now = this.#input;
    if (now === undefined) return undefined;
    const identity = await this.#ports.identity(config, signal);
    const direct = await this.#direct(config, signal);
    return { config, identity, own: now.own, host: { ...now.host, direct } };
  }

  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const limitMs = this.#mustRetry ? RETRY_MS : Number.POSITIVE_INFINITY;
      await kickOrTimeout(this.#wake, limitMs, this.#ports.clock, signal);
      await this.#walk(signal);
    }
  }

  async #walk(signal: AbortSignal): Promise<void> {
    const config = this.#ports.config();
    if (config !== undefined) this.#ports.host.need(familiesOf(config));
    const { choice } = this.#ports.host;
    if (config === undefined || choice === undefined) {
      this.#passOn();
      return;
    }
    const isPlanned = await this.#plan(config, choice, signal);
    this.#register(choice);
    if (isPlanned) await this.#hand(config);
  }

  /** False while what was planned before stays in force. */
  async #plan(config: NetworkConfig, choice: HostChoice, signal: AbortSignal): Promise<boolean> {
    const identity = await this.#ports.identity(config, signal);
    const direct = await this.#direct(config, signal);
    const lease = this.#ports.lease();
    const own = lease !== undefined && fitsNetwork(lease, config) ? lease : undefined;
    const before = this.#input;
    if (own === undefined && before?.own !== undefined) {
      // The network has changed and there is no lease in the new one yet: what works stays.
      this.#passOn();
      return false;
    }
    const { also, mark } = this.#ports.transition();
    const other = also && { config: also, identity: await this.#ports.identity(also, signal) };
    const host = { ...choice, direct };
    const input: NodeInput = { config, identity, own, host, also: other, mark };
    if (before !== undefined && sameInput(before, input)) {
      this.#passOn();
      return true;
    }
    // The whole table is read anew; the changes are in it.
    this.#changes = [];
    this.#input = input;
    this.#report = undefined;
    this.#ports.reconciler.setNode(input);
    return true;
  }

  #passOn(): void {
    const changes = this.#changes;
    this.#changes = [];
    if (this.#input === undefined) return;
    for (const change of changes) this.#ports.reconciler.setPeers(change);
  }

  async #direct(config: NetworkConfig, signal: AbortSignal): Promise<ReadonlySet<string>> {
    if (!wantsDirect(config)) return NO_PEERS;
    return this.#ports.host.direct(peerAddresses(this.#ports.leases()), signal);
  }

  /** Only a node whose device works asks for a lease: no lease is wasted on a broken kernel. */
  #register({ publicIp, publicIpv6 }: HostChoice): void {
    const report = this.#report;
    if (report?.registration === undefined || !report.devicesWork) return;
    if (report.refusal !== undefined) return;
    this.#ports.claim({
      publicIp: publicIp === undefined ? "" : formatIp(publicIp),
      publicIpv6: publicIpv6 === undefined ? "" : formatIp(publicIpv6),
      ...report.registration,
    });
  }

  /** Containers are told of a network that is programmed, or was when the cache was written. */
  async #hand(config: NetworkConfig): Promise<void> {
    const [report, own] = [this.#report, this.#input?.own];
    if (report === undefined || own === undefined || report.applied === undefined) return;
    if (!report.rulesInPlace || (!report.isInSync && !this.#ports.isCached)) return;
    const env = subnetEnvOf(config, own, report, this.#ports.ipMasq);
    if (env === undefined) return;
    this.#mustRetry = !(await this.#ports.writeEnv(env));
  }
}

/** The choice and the config are the same objects until they change. */
function sameInput(a: NodeInput, b: NodeInput): boolean {
  return (
    a.config === b.config &&
    a.mark === b.mark &&
    a.also?.config === b.also?.config &&
    a.also?.identity === b.also?.identity &&
    a.identity === b.identity &&
    a.own?.key === b.own?.key &&
    a.host.external === b.host.external &&
    a.host.publicIp === b.host.publicIp &&
    a.host.publicIpv6 === b.host.publicIpv6 &&
    sameSet(a.host.direct, b.host.direct)
  );
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((item) => b.has(item));
}
