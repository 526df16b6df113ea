/**
 * Table, history and config as one thing that is fed with listings and change sets and tells
 * its listeners, in the same turn, what each changed. Says in the log what an operator must
 * know: malformed keys once each, config accepted or rejected, another leader.
 */
import type { Clock } from "../../common/async/clock.ts";
import type { Revision } from "../../common/lease/lease.ts";
import type { Digest } from "../../common/lease/lease-digest.ts";
import type { Logger } from "../../common/log.ts";
import type { ChangeSet, Listing } from "../store/store.ts";
import { ConfigFollower, type ConfigStep, formatProblems } from "./config-follower.ts";
import { CrumbChain } from "./crumb-chain.ts";
import { ExpiryStorm, NO_STORM_LIMITS, type StormLimits } from "./expiry-storm.ts";
import type { History } from "./history.ts";
import { ROLLOUT_KEY } from "./keys.ts";
import { LeaseTable } from "./lease-table.ts";
import { type Rollout, readRollout } from "./rollout.ts";
import { type LeaseRow, type TableChange, tableChange } from "./table-change.ts";

export interface ViewChange {
  readonly change: TableChange;
  readonly config: ConfigStep;
  /** History began anew: no place and no revision from before means anything. */
  readonly isReset: boolean;
}

/** When withdrawals are held back, and the clock by which. */
export interface StormWatch {
  readonly limits: StormLimits;
  readonly clock: Pick<Clock, "monotonicMs">;
}

const NO_STORMS: StormWatch = { limits: NO_STORM_LIMITS, clock: { monotonicMs: () => 0 } };

export type ViewListener = (change: ViewChange) => void;

export class LeaseView {
  readonly table = new LeaseTable();
  readonly chain: CrumbChain;
  readonly #config = new ConfigFollower();
  readonly #listeners = new Set<ViewListener>();
  readonly #log: Logger;
  readonly #storm: ExpiryStorm;
  readonly #clock: StormWatch["clock"];
  #instance = "";
  #rollout: Rollout | undefined;

  constructor(log: Logger, { limits, clock }: StormWatch = NO_STORMS) {
    this.#log = log;
    this.#storm = new ExpiryStorm(limits);
    this.#clock = clock;
    this.chain = new CrumbChain(this.table);
  }

  /** The leases as agents are told of them: the table, and what is held back. */
  get published(): { readonly rows: ReadonlyMap<string, LeaseRow>; readonly digest: Digest } {
    const { held } = this.#storm;
    if (held.size === 0) return this.table;
    const rows = new Map([...this.table.rows, ...held]);
    return { rows, digest: this.#storm.digest(this.table.digest) };
  }

  /** Leases that have ended although agents are not told of it yet. */
  get heldBack(): ReadonlyMap<string, LeaseRow> {
    return this.#storm.held;
  }

  get isStormOver(): boolean {
    return this.#storm.isCalm(this.#clock.monotonicMs());
  }

  /** Tells agents what was held back; etcd has confirmed it. */
  passWithdrawals(): void {
    const { table, chain } = this;
    const removes = this.#storm.pass();
    if (removes.length === 0) return;
    const revision = Math.max(table.revision, chain.newestRevision);
    const message = `etcd has confirmed the end of ${removes.length} leases; agents are told`;
    this.#log.event("withdrawals.passed", message, { leases: removes.length, revision });
    const change = tableChange(revision, { removes });
    chain.append(change, table.digest);
    this.#tell(change, false);
  }

  /** Identity of the cluster and prefix; "" before the first load. */
  get instance(): string {
    return this.#instance;
  }

  /** The change of backend that is under way. */
  get rollout(): Rollout | undefined {
    return this.#rollout;
  }

  get config(): Pick<ConfigFollower, "accepted" | "fault"> {
    return this.#config;
  }

  /** Calls back after every change; answers how to stop it. */
  onChange(listener: ViewListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins (again) from a listing, with the history that led to it or none. */
  load(listing: Listing, instance: string, history?: History): TableChange {
    this.#instance = instance;
    const change = this.table.replace(listing);
    this.#storm.pass();
    this.chain.reset(history?.origin ?? this.table);
    for (const step of history?.steps ?? []) this.chain.append(step.change, step.digest);
    // History that does not lead here is none.
    if (this.chain.head.digest !== this.table.digest) this.chain.reset(this.table);
    this.chain.reach(this.table.revision);
    this.#tell(change, true);
    return change;
  }

  /** Takes what the watch brings; nothing happens when the table has it already. */
  apply(changes: ChangeSet): void {
    const change = this.table.apply(changes);
    if (change !== undefined) this.#append(change);
  }

  /**
   * Takes a listing read linearizably: the difference becomes one crumb. undefined: the listing
   * is of another cluster, or older than the table.
   */
  replace(listing: Listing, instance: string): TableChange | undefined {
    if (instance !== this.#instance || listing.revision < this.table.revision) return undefined;
    const change = this.table.replace(listing);
    this.#append(change);
    return change;
  }

  #append(change: TableChange): void {
    const wasHolding = this.heldBack.size > 0;
    const told = this.#storm.take(change, this.table.rows.size, this.#clock.monotonicMs());
    this.chain.append(told, this.#storm.digest(this.table.digest));
    if (!wasHolding && this.heldBack.size > 0) this.#logStorm(change.revision);
    this.#tell(told, false);
  }

  #logStorm(revision: Revision): void {
    const [example = ""] = this.heldBack.keys();
    const message =
      "a large share of the leases ended within seconds, which looks like lost keep-alives and " +
      `not like dead machines: nodes keep their routes until etcd has confirmed it (${example} and others)`;
    this.#log.event("withdrawals.held", message, { revision, example });
  }

  #tell(change: TableChange, isReset: boolean): void {
    const isConfigDue = change.configChanged || isReset;
    if (isConfigDue) this.#rollout = readRollout(this.table.entry(ROLLOUT_KEY));
    const config = isConfigDue ? this.#config.follow(this.table.config) : NOTHING;
    this.#logMalformed(change);
    this.#logConfig(config);
    this.#logAmbiguity(change.upserts, config);
    for (const listener of this.#listeners) listener({ change, config, isReset });
  }

  #logMalformed(change: TableChange): void {
    for (const { key, reason } of change.malformed) {
      this.#log.event("record.malformed", `${key} is skipped: ${reason}`, {
        key,
        reason,
        revision: change.revision,
      });
    }
  }

  #logConfig(step: ConfigStep): void {
    switch (step.kind) {
      case "unchanged":
        return;
      case "missing":
        this.#log.event("config.missing", `etcd holds no config key; ${this.#fallback()}`);
        return;
      case "rejected": {
        const problems = formatProblems(step.problems);
        this.#log.event(
          "config.rejected",
          `the config is invalid; ${this.#fallback()}: ${problems}`,
          {
            revision: step.revision,
            problems,
          },
        );
        return;
      }
      case "accepted": {
        const { revision, json } = step.accepted;
        // The text may hold a WireGuard PSK: it does not go into the log.
        const message = `network config of revision ${revision} is in force`;
        this.#log.event("config.accepted", message, { revision, bytes: json.length });
        for (const { path, message: warning } of step.warnings) {
          this.#log.event("config.warning", `${path}: ${warning}`, { key: path, revision });
        }
      }
    }
  }

  #fallback(): string {
    const accepted = this.#config.accepted;
    return accepted === undefined
      ? "nodes wait until it holds a valid one"
      : `the last good one (revision ${accepted.revision}) stays in force`;
  }

  /**
   * Foreign leases of the udp backend beside a config without Backend: real flannel reads that
   * config as udp, Twill as vxlan, so the two kinds of nodes cannot reach each other.
   */
  #logAmbiguity(upserts: readonly LeaseRow[], step: ConfigStep): void {
    if (this.#config.accepted?.isBackendless !== true) return;
    const rows = step.kind === "accepted" ? [...this.table.rows.values()] : upserts;
    const udp = rows.filter(({ lease }) => lease.attrs.backendType === "" && lease.node === "");
    const [first] = udp;
    if (first === undefined) return;
    const message =
      `the config has no Backend: Twill takes vxlan, but ${udp.length} foreign lease(s) such as ` +
      `${first.lease.key} look like flannel's udp backend, which real flannel takes here; ` +
      "nodes of the two kinds will not reach each other: write Backend into the config";
    this.#log.event("config.ambiguous", message, { leases: udp.length, example: first.lease.key });
  }
}

const NOTHING: ConfigStep = { kind: "unchanged" };
