/**
 * One node's way from leases to the real kernel, in a network namespace: plan book, reconciler
 * and netlink as in an agent, with leases handed over by the test instead of a stream.
 */
import { NetlinkKernel } from "../../agent/kernel/netlink-kernel.ts";
import { type KernelObject, objectsOf } from "../../agent/plan/kernel-object.ts";
import { makePlanner } from "../../agent/plan/make-planner.ts";
import { networksOf } from "../../agent/plan/peer-context.ts";
import { PlanBook } from "../../agent/plan/plan-book.ts";
import type { PlanStamp } from "../../agent/reconcile/board.ts";
import { Reconciler } from "../../agent/reconcile/reconciler.ts";
import type { PassReport } from "../../agent/reconcile/report.ts";
import { systemClock } from "../../common/async/clock.ts";
import type { Lease } from "../../common/lease/lease.ts";
import { silentLogger } from "../../common/log.ts";
import { crowdConfig, crowdLease } from "./crowd.ts";
import { plannerInput } from "./leases.ts";
import { NetworkNamespace } from "./netns.ts";

const NOTHING = { puts: [], removes: [] };

export class KernelNode implements AsyncDisposable {
  readonly namespace: NetworkNamespace;
  readonly kernel: NetlinkKernel;
  readonly #waiting = new Map<number, (report: PassReport) => void>();
  #book = freshBook();
  #reconciler: Reconciler | undefined;
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #revision = 0;

  private constructor(namespace: NetworkNamespace) {
    this.namespace = namespace;
    this.kernel = new NetlinkKernel({ netns: namespace.path });
  }

  /** A machine with eth0 10.99.0.1/16; nothing of ours is there yet. */
  static async create(): Promise<KernelNode> {
    const namespace = await NetworkNamespace.create();
    await namespace.addCard("eth0", "10.99.0.1/16");
    return new KernelNode(namespace);
  }

  /** An agent that starts with this table: it finds the kernel as it is. */
  async start(leases: Iterable<Lease>): Promise<PassReport> {
    this.#book = freshBook();
    this.#stop = new AbortController();
    this.#reconciler = new Reconciler({
      kernel: this.kernel,
      sysctl: { write: async () => true },
      clock: systemClock,
      log: silentLogger,
      random: () => 0.5,
      report: (report) => this.#reported(report),
    });
    const { signal } = this.#stop;
    this.#running = this.#reconciler.run(signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    this.#book.update(leases, []);
    const { links, ...objects } = this.#book.state();
    const { v4, v6 } = networksOf(crowdConfig());
    const networks = [v4, v6].filter((network) => network !== undefined);
    const whole = { kind: "whole" as const, links, objects: objectsOf({ links, ...objects }) };
    return this.#planned((stamp) => this.#reconciler?.plan({ ...whole, networks, stamp }));
  }

  /** What the table says has changed. */
  async change(upserts: readonly Lease[], removes: readonly string[] = []): Promise<PassReport> {
    const delta = this.#book.update(upserts, removes);
    return this.#planned((stamp) => this.#reconciler?.plan({ kind: "patch", delta, stamp }));
  }

  /** What the plan wants, but for the device. */
  get planned(): readonly KernelObject[] {
    return objectsOf(this.#book.state());
  }

  /** Everything is listed and compared. */
  async audit(): Promise<PassReport> {
    return this.#planned((stamp) => {
      this.#reconciler?.audit();
      this.#reconciler?.plan({ kind: "patch", delta: NOTHING, stamp });
    });
  }

  /** The agent ends; the kernel stays as it is. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error("the node stops"));
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.kernel[Symbol.asyncDispose]();
    await this.namespace[Symbol.asyncDispose]();
  }

  #planned(plan: (stamp: PlanStamp) => void): Promise<PassReport> {
    this.#revision += 1;
    const position = { instance: "etcd-1", revision: this.#revision, digest: "" };
    const stamp = { position, isInSync: true, receivedMs: systemClock.monotonicMs() };
    return new Promise((resolve) => {
      this.#waiting.set(this.#revision, resolve);
      plan(stamp);
    });
  }

  #reported(report: PassReport): void {
    const revision = report.stamp.position?.revision ?? 0;
    this.#waiting.get(revision)?.(report);
    this.#waiting.delete(revision);
  }
}

function freshBook(): PlanBook {
  const made = makePlanner(plannerInput(crowdConfig()));
  if (made.kind === "refused") throw new Error(made.reason);
  return new PlanBook(made.planner, crowdLease(0));
}
