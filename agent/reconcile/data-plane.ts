/**
 * What the node is told, turned into plans for the reconciler: the config and the host choose
 * the planner, the peer table fills the plan book, every change becomes a whole plan or a patch.
 * It makes no calls of its own.
 *
 * A plan is in sync only with an own lease *and* a confirmed table: without the lease no peer
 * can be planned, and an empty plan that may delete would tear down a data plane that works.
 */
import type { Clock } from "../../common/async/clock.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import type { Lease } from "../../common/lease/lease.ts";
import type { Logger } from "../../common/log.ts";
import { type Cidr, sameCidr } from "../../common/net/cidr.ts";
import type { ExtensionFailure } from "../extension/extension-driver.ts";
import type { PeerProblem } from "../peers/peer-problem.ts";
import type { TableChange, TablePosition } from "../peers/peer-table.ts";
import type { BackendPlanner, Registration } from "../plan/backend-planner.ts";
import { blackholeRoutes } from "../plan/blackhole.ts";
import { makeNodePlanner } from "../plan/both-backends.ts";
import { planFirewall } from "../plan/firewall.ts";
import { objectsOf } from "../plan/kernel-object.ts";
import type { LinkSpec } from "../plan/kernel-state.ts";
import { networksOf } from "../plan/peer-context.ts";
import { PlanBook } from "../plan/plan-book.ts";
import { withoutTxChecksum } from "../plan/tx-checksum.ts";
import type { PlanStamp } from "./board.ts";
import type { ExtensionPort, TunnelPort } from "./data-path-ports.ts";
import type { DataPlaneOptions } from "./data-plane-options.ts";
import { FirewallDriver, type FirewallPorts, type FirewallReport } from "./firewall-driver.ts";
import type { NodeInput, NodeReconciler, ReconcileReport } from "./node-reconciler.ts";
import { Reconciler, type ReconcilerPorts } from "./reconciler.ts";
import { MAX_FAILURES, type ObjectFailure, type PassReport } from "./report.ts";

/** The peer table as it stands; read when everything must be planned anew. */
export interface PlannedTable {
  readonly isInSync: boolean;
  readonly position: TablePosition;
  leases(): Iterable<Lease>;
}

export type DataPlanePorts = Omit<ReconcilerPorts & FirewallPorts, "report"> & {
  readonly table: PlannedTable;
  readonly tunnel: TunnelPort;
  readonly extension: ExtensionPort;
};

export class DataPlane implements NodeReconciler {
  readonly #table: PlannedTable;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #options: DataPlaneOptions;
  readonly #reconciler: Reconciler;
  readonly #tunnel: TunnelPort;
  readonly #extension: ExtensionPort;
  readonly #firewall: FirewallDriver;
  readonly #listeners: ((report: ReconcileReport) => void)[] = [];
  #networks: readonly Cidr[];
  #planner: BackendPlanner | undefined;
  #own: Lease | undefined;
  #book: PlanBook | undefined;
  #refusal: string | undefined;
  #mark = "";
  #problems: readonly PeerProblem[] = [];
  #wasInSync = false;
  /** Of the last pass; what changes without one is told with it. */
  #pass: PassReport | undefined;
  #rules: FirewallReport = { isInPlace: false, failures: [], repaired: [] };

  constructor(ports: DataPlanePorts, options: DataPlaneOptions) {
    this.#table = ports.table;
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.#options = options;
    this.#tunnel = ports.tunnel;
    this.#tunnel.onChange(() => this.#tellAgain());
    this.#extension = ports.extension;
    this.#extension.onChange(() => this.#tellAgain());
    this.#networks = options.previousNetworks;
    this.#reconciler = new Reconciler({ ...ports, report: (report) => this.#onPass(report) });
    const report = (rules: FirewallReport): void => this.#onRules(rules);
    this.#firewall = new FirewallDriver({ ...ports, report }, options.firewallResyncMs);
  }

  /** Peers that are programmed now. */
  get peerCount(): number {
    return this.#book?.peerCount ?? 0;
  }

  setNode(input: NodeInput): void {
    const made = makeNodePlanner(input, input.also);
    if (made.kind === "refused") {
      // What was programmed stays: a refusal is for people, not a reason to cut anybody off.
      this.#refusal = made.reason;
      this.#tell({ ...this.#report(), registration: undefined, devicesWork: false });
      return;
    }
    this.#refusal = undefined;
    this.#mark = input.mark ?? "";
    this.#planner = made.planner;
    this.#rememberNetworks(input);
    // A lease that is lost is not unlearned: what stands on it stays (fail static).
    this.#own = input.own ?? this.#own;
    this.#wantExtension(made.planner, this.#own);
    if (this.#own === undefined) {
      this.#planDevices(made.planner);
      return;
    }
    const extra = this.#options.blackholeRoute ? blackholeRoutes(this.#own) : [];
    this.#book = new PlanBook(made.planner, this.#own, extra);
    this.#book.update(this.#table.leases(), []);
    this.#planAll(this.#book);
    this.#wantTunnel(made.planner, this.#own);
    this.#fillExtension(this.#book);
    const { firewall } = this.#options;
    this.#firewall.setDesired(
      planFirewall(input.config, this.#own.subnets, firewall, this.#networks),
    );
  }

  setPeers(change: TableChange): void {
    if (this.#book === undefined) return;
    const delta = this.#book.update(change.upserts, change.removes);
    this.#noteProblems(this.#book);
    this.#fillTunnel(this.#book);
    this.#fillExtension(this.#book);
    const stamp = this.#stamp(change.position, this.#table.isInSync);
    this.#reconciler.plan({ kind: "patch", delta, stamp });
  }

  onReport(listener: (report: ReconcileReport) => void): void {
    this.#listeners.push(listener);
  }

  /** Compares everything with the kernel soon. */
  audit(): void {
    this.#reconciler.audit();
  }

  async run(signal: AbortSignal): Promise<void> {
    const group = new TaskGroup(signal);
    group.spawn((inner) => this.#reconciler.run(inner));
    group.spawn((inner) => this.#firewall.run(inner));
    group.spawn((inner) => this.#tunnel.run(inner));
    group.spawn((inner) => this.#extension.run(inner));
    await group.join();
    signal.throwIfAborted();
  }

  /** What is reported changes without a pass. */
  #tellAgain(): void {
    if (this.#pass !== undefined) this.#tell(this.#report());
  }

  #planDevices({ links }: BackendPlanner): void {
    const stamp = this.#stamp(undefined, false);
    const networks = this.#networks;
    this.#reconciler.plan({
      kind: "whole",
      links: this.#linksOf(links),
      objects: [],
      networks,
      stamp,
    });
  }

  #linksOf(links: readonly LinkSpec[]): readonly LinkSpec[] {
    return this.#options.txChecksumOff ? links.map(withoutTxChecksum) : links;
  }

  #planAll(book: PlanBook): void {
    const state = book.state();
    this.#noteProblems(book);
    this.#reconciler.plan({
      kind: "whole",
      links: this.#linksOf(state.links),
      objects: objectsOf(state),
      networks: this.#networks,
      stamp: this.#stamp(this.#table.position, this.#table.isInSync),
    });
  }

  /** Peers first: a tunnel that opens without them would refuse everybody for a moment. */
  #wantTunnel({ tunnel }: BackendPlanner, own: Lease): void {
    const address = own.subnets.v4?.ip;
    const isWanted = tunnel !== undefined && address !== undefined;
    if (isWanted && this.#book !== undefined) this.#fillTunnel(this.#book);
    this.#tunnel.setWanted(isWanted ? { ...tunnel, address } : undefined);
  }

  #fillTunnel(book: PlanBook): void {
    if (this.#planner?.tunnel !== undefined) this.#tunnel.setPeers(book.tunnelPeers());
  }

  #wantExtension({ extension }: BackendPlanner, own: Lease | undefined): void {
    this.#extension.setWanted(
      extension && {
        preStartup: extension.preStartup,
        postStartup: own && extension.postStartup(own),
        hasLease: own !== undefined,
      },
    );
  }

  #fillExtension(book: PlanBook): void {
    if (this.#planner?.extension === undefined) return;
    this.#extension.setPeers(book.extensionPeers(), this.#table.isInSync);
  }

  #stamp(position: TablePosition | undefined, isInSync: boolean): PlanStamp {
    return { position, isInSync, receivedMs: this.#clock.monotonicMs(), mark: this.#mark };
  }

  /** Networks of before stay ours as long as we run: their leftovers are removed in sync. */
  #rememberNetworks({ config }: NodeInput): void {
    const { v4, v6 } = networksOf(config);
    const fresh = [v4, v6].filter(
      (network): network is Cidr =>
        network !== undefined && !this.#networks.some((known) => sameCidr(known, network)),
    );
    this.#networks = [...fresh, ...this.#networks];
  }

  /** Each problem is told once, when it is new. */
  #noteProblems(book: PlanBook): void {
    const known = new Set(this.#problems.map(problemText));
    this.#problems = book.problems();
    for (const problem of this.#problems) {
      const text = problemText(problem);
      if (known.has(text)) continue;
      const { key, node, family, reason } = problem;
      this.#log.event("peer.invalid", text, { key: `${key} ${family}`, node, reason });
    }
  }

  #onPass(pass: PassReport): void {
    const { stamp } = pass;
    if (stamp.isInSync && !this.#wasInSync) {
      const { peerCount } = this;
      const message = `in sync: the whole table is programmed, ${peerCount} peers`;
      this.#log.event("snapshot.applied", message, { ...stamp.position, peers: peerCount });
    }
    this.#wasInSync ||= stamp.isInSync;
    this.#pass = pass;
    this.#tell({ ...this.#report(), repaired: pass.drift, applyMs: pass.applyMs });
  }

  #onRules(rules: FirewallReport): void {
    this.#rules = rules;
    this.#tell({ ...this.#report(), repaired: rules.repaired });
  }

  /** How things stand, without what is told only once. */
  #report(): ReconcileReport {
    const { stamp, devicesWork = false, failures = [] } = this.#pass ?? {};
    const foreign = failures.find(({ code }) => code === "DEVICE_FOREIGN");
    return {
      applied: stamp?.position,
      isInSync: stamp?.isInSync ?? false,
      mark: stamp?.mark ?? "",
      devicesWork,
      rulesInPlace: this.#rules.isInPlace,
      registration: this.#registration(),
      mtuBytes: this.#planner?.mtuBytes,
      refusal: this.#refusal ?? foreign?.message,
      failures: [
        ...failures,
        ...this.#rules.failures,
        ...this.#tunnelFailures(),
        ...this.#extension.failures.slice(0, MAX_FAILURES).map(commandFailure),
      ],
      problems: this.#problems,
      repaired: [],
      applyMs: 0,
    };
  }

  /** An extension's data is what a command says; there is no lease without it. */
  #registration(): Registration | undefined {
    const { registration, extension } = this.#planner ?? {};
    if (registration === undefined || extension === undefined) return registration;
    const { data } = this.#extension;
    return data === undefined ? undefined : { ...registration, backendData: data };
  }

  #tunnelFailures(): readonly ObjectFailure[] {
    const { problem } = this.#tunnel;
    const key = this.#planner?.tunnel?.deviceName;
    if (problem === undefined || key === undefined) return [];
    return [{ kind: "tunnel", key, code: problem.code, message: problem.message }];
  }

  #tell(report: ReconcileReport): void {
    for (const listener of this.#listeners) listener(report);
  }
}

function problemText({ key, node, family, reason }: PeerProblem): string {
  const holder = node === "" ? "" : ` of node ${node}`;
  return `lease ${key}${holder} is not used for IPv${family}: ${reason}`;
}

function commandFailure({ key, error, isOwn }: ExtensionFailure): ObjectFailure {
  const kind = isOwn ? "own-command" : "peer-command";
  return { kind, key, code: error.code, message: error.message };
}
