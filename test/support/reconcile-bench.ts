/**
 * A reconciler on a fake kernel with a manual clock: plans in, kernel state, reports and log
 * out. Time stands still between steps; `settle` lets everything that is due now happen.
 */

import { formatSysctl } from "../../agent/kernel/sysctl.ts";
import type { PeerTable } from "../../agent/peers/peer-table.ts";
import { objectsOf } from "../../agent/plan/kernel-object.ts";
import { makePlanner } from "../../agent/plan/make-planner.ts";
import { networksOf } from "../../agent/plan/peer-context.ts";
import { PlanBook } from "../../agent/plan/plan-book.ts";
import type { PlanStamp } from "../../agent/reconcile/board.ts";
import { DEBOUNCE_MS, Reconciler } from "../../agent/reconcile/reconciler.ts";
import type { PassReport } from "../../agent/reconcile/report.ts";
import type { NetworkConfig } from "../../common/config/network-config.ts";
import type { Lease } from "../../common/lease/lease.ts";
import { FakeKernel } from "./fake-kernel.ts";
import { dualLease, networkConfig, plannerInput, vxlanLease } from "./leases.ts";
import { LogCapture } from "./log-capture.ts";
import { ManualClock, settle } from "./manual-clock.ts";
import { seededRandom } from "./seeded-random.ts";

export interface BenchOptions {
  readonly config?: NetworkConfig;
  readonly own?: Lease;
  readonly direct?: readonly string[];
  readonly kernel?: FakeKernel;
}

export class ReconcileBench implements AsyncDisposable {
  readonly kernel: FakeKernel;
  readonly clock = new ManualClock();
  readonly log = new LogCapture();
  readonly reports: PassReport[] = [];
  readonly sysctls: string[] = [];
  readonly reconciler: Reconciler;
  book: PlanBook;
  readonly #config: NetworkConfig;
  readonly #direct: readonly string[];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #revision = 0;

  constructor(options: BenchOptions = {}) {
    this.#config = options.config ?? networkConfig();
    this.#direct = options.direct ?? [];
    this.kernel = options.kernel ?? machine();
    this.book = this.#freshBook(options.own);
    this.reconciler = new Reconciler({
      kernel: this.kernel,
      sysctl: {
        write: async (name, value) => {
          this.sysctls.push(`${formatSysctl(name)}=${value}`);
          return true;
        },
      },
      clock: this.clock,
      log: this.log,
      random: seededRandom(1),
      report: (report) => this.reports.push(report),
    });
    this.#running = this.reconciler.run(this.#stop.signal).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) throw error;
    });
  }

  get report(): PassReport | undefined {
    return this.reports.at(-1);
  }

  /** Hands over the whole plan. */
  async whole(isInSync = true): Promise<void> {
    const { links, ...objects } = this.book.state();
    const { v4, v6 } = networksOf(this.#config);
    this.reconciler.plan({
      kind: "whole",
      links,
      objects: objectsOf({ links, ...objects }),
      networks: [v4, v6].filter((network) => network !== undefined),
      stamp: this.#stamp(isInSync),
    });
    await this.settled();
  }

  /** Changes leases and hands over what that changes. */
  async change(upserts: readonly Lease[], removes: readonly string[] = []): Promise<void> {
    const delta = this.book.update(upserts, removes);
    this.reconciler.plan({ kind: "patch", delta, stamp: this.#stamp(true) });
    await this.settled();
  }

  /** Another own lease or config means another book. */
  newBook(own?: Lease): void {
    this.book = this.#freshBook(own);
  }

  /** Everything that is due now has happened; no time passes. */
  settled(): Promise<void> {
    return settled();
  }

  /** What drift repair needs: the debounce, and the pass after it. */
  async repaired(): Promise<void> {
    await this.settled();
    await this.clock.advance(DEBOUNCE_MS);
    await this.settled();
  }

  /** Lets time pass in small steps, so that passes that take many turns end in their own time. */
  async advance(ms: number): Promise<void> {
    const stepMs = Math.max(ms / 20, 1);
    for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
      await this.clock.advance(stepMs);
      await this.settled();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  #freshBook(own: Lease | undefined): PlanBook {
    const made = makePlanner(plannerInput(this.#config, { direct: new Set(this.#direct) }));
    if (made.kind === "refused") throw new Error(made.reason);
    return new PlanBook(made.planner, own ?? ownLease(this.#config));
  }

  #stamp(isInSync: boolean): PlanStamp {
    this.#revision += 1;
    const position: PeerTable["position"] = {
      instance: "etcd-1",
      revision: this.#revision,
      digest: "",
    };
    return { position, isInSync, receivedMs: this.clock.monotonicMs() };
  }
}

/** A machine with eth0. */
export function machine(): FakeKernel {
  const kernel = new FakeKernel();
  kernel.addCard("eth0", "10.99.0.1/16", "fd99::1/64");
  return kernel;
}

export function ownLease(config: NetworkConfig = networkConfig()): Lease {
  const words = { ip: "10.99.0.1", ip6: "fd99::1" };
  return config.v6 === undefined ? vxlanLease(1, words) : dualLease(1, words);
}

/** A pass is a chain of some dozen promises; this is several times as many turns. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await settle();
}
