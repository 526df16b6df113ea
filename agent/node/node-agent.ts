/**
 * All parts of a running agent and how they are wired: what the session hears goes to the
 * table, the lease and the loop; what the reconciler reaches goes back as acks and reports.
 * docs/architecture.md follows a change through it.
 */
import { aborted } from "../../common/async/aborted.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import { VERSION } from "../../common/version.ts";
import { HostWatch } from "../host/host-facts.ts";
import { StateDir } from "../host/state-dir.ts";
import { type PreviousEnv, previousKey } from "../host/subnet-env.ts";
import type { CachedTable } from "../host/table-cache.ts";
import type { PeerSources } from "../inspect/peer-states.ts";
import { QUERY_FEATURE } from "../inspect/query-responder.ts";
import { LeaseHolder } from "../lease/lease-holder.ts";
import type { AgentOptions } from "../options.ts";
import { PeerTable } from "../peers/peer-table.ts";
import { type ExternalInterface, sameAddresses } from "../plan/host-facts.ts";
import type { NodeReconciler, ReconcileReport } from "../reconcile/node-reconciler.ts";
import { ControllerChoice } from "../rpc/controller-choice.ts";
import { Outbox } from "../rpc/outbox.ts";
import { newProcessId } from "../rpc/process-id.ts";
import { Session, type SessionEvents } from "../rpc/session.ts";
import { CachedStart } from "./cached-start.ts";
import { ConfigAnswers, TRANSITION_FEATURE } from "./config-answers.ts";
import { type AcceptedConfig, ConfigIntake } from "./config-intake.ts";
import { ControllerLog } from "./controller-log.ts";
import { describeNode } from "./describe-node.ts";
import { IdentitySource } from "./identity.ts";
import { LeaseLog } from "./lease-log.ts";
import type { NodeAgentPorts } from "./node-agent-ports.ts";
import { failuresOf } from "./node-failures.ts";
import { NodeLoop } from "./node-loop.ts";
import { NodeMetrics } from "./node-metrics.ts";
import { NodeStatus } from "./node-status.ts";
import { OperatorQueries } from "./operator-queries.ts";
import { releaseLease } from "./release-lease.ts";
import { SubnetFile } from "./subnet-file.ts";
import { TableKeeper, tableToKeep } from "./table-keeper.ts";

/** What earlier runs left on disk. */
interface Remembered {
  readonly state: StateDir;
  readonly file: SubnetFile;
  readonly previous: PreviousEnv;
  readonly cached: CachedTable | undefined;
}

export class NodeAgent {
  readonly #options: AgentOptions;
  readonly #ports: NodeAgentPorts;
  readonly #remembered: Remembered;
  readonly #table = new PeerTable();
  readonly #lease: LeaseHolder;
  readonly #config: ConfigIntake;
  readonly #status: NodeStatus;
  readonly #controllers: ControllerLog;
  readonly #cachedStart: CachedStart;
  readonly #leaseLog: LeaseLog;
  readonly #metrics: NodeMetrics;
  readonly #host: HostWatch;
  readonly #reconciler: NodeReconciler;
  readonly #session: Session;
  readonly #loop: NodeLoop;
  readonly #keeper: TableKeeper;
  readonly #queries: OperatorQueries;
  #report: ReconcileReport | undefined;
  #external: ExternalInterface | undefined;

  static async open(options: AgentOptions, ports: NodeAgentPorts): Promise<NodeAgent> {
    const { log } = ports;
    const randomBytes = (): Uint8Array => ports.randomBytes(6);
    const state = new StateDir({ path: options.stateDir, log, randomBytes });
    const file = new SubnetFile(options, log);
    const previous = await file.previous();
    const cached = await state.readTable(options.node);
    return new NodeAgent(options, ports, { state, file, previous, cached });
  }

  private constructor(options: AgentOptions, ports: NodeAgentPorts, remembered: Remembered) {
    const { clock, health, log } = ports;
    this.#options = options;
    this.#ports = ports;
    this.#remembered = remembered;
    this.#status = new NodeStatus(health);
    this.#metrics = new NodeMetrics(ports.metrics, this.#table);
    this.#config = new ConfigIntake(log, this.#status.config);
    this.#controllers = new ControllerLog({ log, clock, health: this.#status.controllers });
    const start = { ...remembered, clock, log };
    this.#cachedStart = new CachedStart(start, this.#status, this.#controllers);
    this.#leaseLog = new LeaseLog(log, this.#status.lease);
    this.#lease = new LeaseHolder({
      node: options.node,
      previousSubnet: previousKey(remembered.previous),
      onSubnetTaken: options.onSubnetTaken,
    });
    this.#reconciler = ports.makeReconciler(this.#table, remembered.previous);
    this.#host = this.#makeHost();
    this.#loop = this.#makeLoop();
    this.#keeper = this.#makeKeeper();
    this.#queries = this.#makeQueries();
    this.#session = this.#makeSession();
  }

  get trouble(): string {
    return this.#status.trouble;
  }

  /** What /debug/state shows. */
  describe(): Readonly<Record<string, unknown>> {
    return describeNode({
      ...{ node: this.#options.node, status: this.#status, controllers: this.#controllers },
      ...{ lease: this.#lease, table: this.#table, config: this.#config },
    });
  }

  /** Runs until aborted. The kernel stays as it is; the lease too, unless --release-on-exit. */
  async run(signal: AbortSignal): Promise<void> {
    this.#restore();
    this.#reconciler.onReport((report) => this.#reconciled(report));
    const unsubscribe = this.#ports.health.onChange(() => this.#tellState());
    const group = new TaskGroup();
    group.spawn((inner) => this.#host.run(inner));
    group.spawn((inner) => this.#reconciler.run(inner));
    group.spawn((inner) => this.#loop.run(inner));
    group.spawn((inner) => this.#keeper.run(inner));
    group.spawn((inner) => this.#session.run(inner));
    group.spawn((inner) => this.#cachedStart.run(() => this.#tellState(), inner));
    group.spawn((inner) => this.#queries.run(inner));
    group.spawn((inner) => this.#untilStopped(signal, inner));
    this.#loop.kick();
    try {
      await group.join();
    } finally {
      unsubscribe();
      await this.#keeper.flush();
    }
  }

  /** Ends the group when the process is to end, after what has to be said has been said. */
  async #untilStopped(stop: AbortSignal, inner: AbortSignal): Promise<void> {
    await aborted(stop, inner);
    if (this.#options.releaseOnExit) {
      const { clock, log } = this.#ports;
      const held = { session: this.#session, lease: this.#lease, table: this.#table };
      await releaseLease(held, clock, log);
    }
    throw stop.reason;
  }

  #makeHost(): HostWatch {
    const { clock, kernel, log } = this.#ports;
    const { wish } = this.#options;
    const onChange = (): void => {
      this.#renewStream();
      this.#loop.kick();
    };
    return new HostWatch({ kernel, wish, clock, log, health: this.#status.host, onChange });
  }

  /** A connection from an address that is gone would be noticed by keep-alive, 10 s later. */
  #renewStream(): void {
    const [before, now] = [this.#external, this.#host.choice?.external];
    if (now === undefined) return;
    this.#external = now;
    if (before !== undefined && !sameAddresses(before, now)) this.#session.renew();
  }

  #makeLoop(): NodeLoop {
    const { kernel, clock } = this.#ports;
    const { state, file, cached } = this.#remembered;
    const identity = new IdentitySource(kernel, state, this.#options.wireguardKeyFile);
    return new NodeLoop({
      config: () => this.#config.accepted?.config,
      transition: () => this.#config.accepted ?? { also: undefined, mark: "" },
      host: this.#host,
      identity: (config, signal) => identity.of(config, signal),
      lease: () => this.#lease.lease,
      leases: () => this.#table.leases(),
      reconciler: this.#reconciler,
      claim: (claim) => this.#session.claim(claim),
      writeEnv: async (env) => {
        const unwritten = await file.write(env);
        if (unwritten === undefined) this.#status.file.ok();
        else this.#status.file.degraded(`${unwritten} cannot be written`);
        return unwritten === undefined;
      },
      ipMasq: this.#options.rules.ipMasq,
      isCached: cached !== undefined,
      clock,
    });
  }

  #makeKeeper(): TableKeeper {
    return new TableKeeper({
      clock: this.#ports.clock,
      read: () =>
        tableToKeep({
          node: this.#options.node,
          accepted: this.#config.accepted,
          table: this.#table,
          own: this.#lease.lease,
        }),
      write: (table) => this.#remembered.state.writeTable(table),
    });
  }

  #makeQueries(): OperatorQueries {
    const sources = (): PeerSources => ({
      leases: [...this.#table.leases()],
      ownKey: this.#lease.lease?.key ?? "",
      report: this.#report,
    });
    const accepted = (): AcceptedConfig | undefined => this.#config.accepted;
    const config = new ConfigAnswers({ sources, accepted, loop: this.#loop, host: this.#host });
    return new OperatorQueries({
      ...{ ...this.#ports, ...this.#ports.inspect },
      ...{ sources, config },
      answer: (answer) => this.#session.answer(answer),
    });
  }

  #makeSession(): Session {
    const { clock, openStream, random, randomBytes } = this.#ports;
    const { node, controllers } = this.#options;
    return new Session({
      ...{ node, version: VERSION, process: newProcessId(randomBytes) },
      features: [QUERY_FEATURE, TRANSITION_FEATURE],
      open: openStream,
      choice: new ControllerChoice(controllers, random),
      table: this.#table,
      lease: this.#lease,
      outbox: new Outbox(),
      events: this.#sessionEvents(),
      clock,
    });
  }

  #sessionEvents(): SessionEvents {
    return {
      connecting: () => undefined,
      connected: (welcome, endpoint) => this.#controllers.connected(welcome, endpoint),
      disconnected: (error, endpoint, wasConnected) => {
        this.#controllers.disconnected(error, endpoint, wasConnected);
        this.#queries.streamEnded();
        this.#cachedStart.attemptFailed(this.#table.isInSync);
      },
      leader: (leader) => this.#controllers.sawLeader(leader),
      config: ({ json, revision, transition }) => {
        if (!this.#config.take(json, revision, transition)) return;
        // The lease may be no longer what the config allows; only the leader knows.
        this.#session.claimAgain();
        this.#loop.kick();
        this.#keeper.changed();
      },
      table: (change) => {
        this.#loop.tableChanged(change);
        this.#keeper.changed();
      },
      registered: (answer, news, before) => {
        this.#leaseLog.registered(answer, news, before);
        this.#loop.kick();
        this.#keeper.changed();
      },
      refused: (refusal) => this.#leaseLog.refused(refusal),
      leaseLost: (key) => this.#leaseLog.lost(key),
      query: (query) => this.#queries.heard(query),
    };
  }

  /** From the cache: add-only, until a controller confirms it (in-sync gate). */
  #restore(): void {
    const { cached } = this.#remembered;
    if (cached === undefined) return;
    this.#config.take(cached.configJson, cached.configRevision);
    this.#table.restore(cached.instance, cached.revision, cached.leases);
    const own = cached.leases.find(({ key }) => key === cached.ownKey);
    if (own !== undefined) this.#lease.restore(own);
    this.#status.cached();
  }

  #reconciled(report: ReconcileReport): void {
    this.#report = report;
    this.#status.reconciled(report);
    this.#metrics.reconciled(report);
    const { applied, applyMs, isInSync } = report;
    if (isInSync && applied !== undefined) {
      this.#session.applied({ position: applied, failures: failuresOf(report), applyMs });
    }
    this.#tellState(report.repaired);
    this.#loop.reported(report);
  }

  #tellState(repaired: ReconcileReport["repaired"] = []): void {
    const drift = repaired.map((one) => ({ ...one, repairedMs: Math.round(one.repairedMs) }));
    this.#session.report({ ...this.#status.state(), drift });
  }
}
