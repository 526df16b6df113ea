/**
 * How the node is, in one place: the components behind /healthz and /readyz, the state that
 * operators see in `twillctl nodes`, and the moment of readiness. A peer that cannot be
 * programmed is reported, but does not make the node unready: one bad lease in the table must
 * not keep containers from starting on every machine.
 */
import type { Health, HealthComponent } from "../../common/health.ts";
import { summarise } from "../../common/health.ts";
import type { ReconcileReport } from "../reconcile/node-reconciler.ts";
import type { ObjectFailure } from "../reconcile/report.ts";

/** Failures of these concern the whole node, not one peer. */
const OWN_KINDS: ReadonlySet<string> = new Set([
  "link",
  "address",
  "rule",
  "tunnel",
  "own-command",
]);

const ON_CACHE = "the cached table is in force, add-only, until a controller answers";

export interface NodeState {
  readonly state: "starting" | "cached" | "in-sync" | "degraded";
  readonly reason: string;
}

export class NodeStatus {
  readonly config: HealthComponent;
  readonly host: HealthComponent;
  readonly controllers: HealthComponent;
  readonly lease: HealthComponent;
  readonly file: HealthComponent;
  readonly #dataPlane: HealthComponent;
  readonly #peers: HealthComponent;
  readonly #health: Health;
  #isInSync = false;
  #isCached = false;
  /** Containers may start on the cached table. */
  #isCacheGoodEnough = false;
  #report: ReconcileReport | undefined;

  constructor(health: Health) {
    this.#health = health;
    this.config = health.component("config", { gate: "ready" });
    this.host = health.component("interface", { gate: "ready" });
    // The data plane does not depend on them: a node without controllers stays ready.
    this.controllers = health.component("controllers", { gate: "none" });
    this.lease = health.component("lease", { gate: "ready" });
    this.#dataPlane = health.component("data-plane", { gate: "ready" });
    this.#peers = health.component("peers", { gate: "none" });
    this.file = health.component("subnet-file", { gate: "ready" });
  }

  get isInSync(): boolean {
    return this.#isInSync;
  }

  /** In a few words, for people; empty: all is well. */
  get trouble(): string {
    const { state, reason } = this.state();
    return reason === "" ? "" : `${state}: ${reason}`;
  }

  /** Started from the cached table. */
  cached(): void {
    this.#isCached = true;
  }

  /**
   * No controller has answered for a while. The network of before is programmed, and containers
   * that wait for a better one wait for nothing: the node is ready, and says on what it stands.
   */
  acceptCache(): void {
    this.#isCacheGoodEnough = true;
    this.lease.ok();
    if (this.#report !== undefined) this.reconciled(this.#report);
  }

  reconciled(report: ReconcileReport): void {
    this.#report = report;
    this.#isInSync ||= report.isInSync;
    const trouble = ownTrouble(report);
    const isProgrammed =
      report.isInSync || (this.#isCacheGoodEnough && report.applied !== undefined);
    if (trouble !== undefined) this.#dataPlane.degraded(trouble);
    else if (isProgrammed && report.rulesInPlace) this.#dataPlane.ok();
    else this.#dataPlane.degraded(this.#waitingFor(report));
    const others = report.failures.filter(({ kind }) => !OWN_KINDS.has(kind));
    const count = others.length + report.problems.length;
    const first = others[0] === undefined ? report.problems[0]?.reason : describe(others[0]);
    if (count === 0) this.#peers.ok();
    else this.#peers.degraded(`${count} not programmed: ${first ?? ""}`);
  }

  /** For reports to the controller and for systemd. */
  state(): NodeState {
    const report = this.#health.report();
    const reason = report.isReady ? "" : summarise(report);
    if (report.isReady && !this.#isInSync) return { state: "cached", reason: ON_CACHE };
    if (report.isReady) {
      const stale = report.components.find(
        ({ gate, state }) => gate === "none" && state.kind !== "ok",
      );
      return stale?.state.kind === "degraded"
        ? { state: "degraded", reason: `${stale.name}: ${stale.state.reason}` }
        : { state: "in-sync", reason };
    }
    if (this.#isInSync) return { state: "degraded", reason };
    return { state: this.#isCached ? "cached" : "starting", reason };
  }

  #waitingFor(report: ReconcileReport): string {
    if (this.#isCached && !report.isInSync) return ON_CACHE;
    if (report.applied === undefined) return "waiting for a lease";
    return report.isInSync ? "waiting for the packet-filter rules" : "waiting for the whole table";
  }
}

/** What keeps this node's own part of the data plane from working; undefined: nothing. */
export function ownTrouble(report: ReconcileReport): string | undefined {
  if (report.refusal !== undefined) return report.refusal;
  const failure = report.failures.find(({ kind }) => OWN_KINDS.has(kind));
  return failure === undefined ? undefined : describe(failure);
}

function describe({ kind, key, code, message }: ObjectFailure): string {
  return `${kind} ${key}: ${code}${message === "" ? "" : ` ${message}`}`;
}
