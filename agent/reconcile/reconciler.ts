/**
 * The one loop that makes the kernel equal to the plan. Plans, netlink events and timers only
 * kick it; it alone writes. A pass reads what it does not know, writes the difference in order,
 * looks at what it wrote, and reports what was really reached. docs/reconcile.md tells why.
 *
 * Never two passes at once; a kick during a pass means one more. Stopping it leaves the kernel
 * as it is.
 */
import type { Clock } from "../../common/async/clock.ts";
import { kickOrTimeout } from "../../common/async/kick-or-timeout.ts";
import { Trigger } from "../../common/async/trigger.ts";
import type { Logger } from "../../common/log.ts";
import type { Kernel, KernelEvent } from "../kernel/kernel.ts";
import type { ObjectKind } from "../plan/kernel-object.ts";
import { Board, type PlanStamp, type PlanUpdate } from "./board.ts";
import { isSmall, takeEvent } from "./event-watch.ts";
import { KernelPass, type PassResult } from "./kernel-pass.ts";
import type { KindDriver } from "./kind-driver.ts";
import { LinkDriver, type LinkPorts } from "./link-driver.ts";
import { PassLog } from "./pass-log.ts";
import { RepairPace } from "./repair-pace.ts";
import {
  type KindCounts,
  MAX_DRIFT,
  MAX_FAILURES,
  type ObjectFailure,
  type PassReport,
} from "./report.ts";
import { RetryBook } from "./retry-book.ts";

export interface ReconcilerPorts {
  readonly kernel: Kernel;
  readonly sysctl: LinkPorts["sysctl"];
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Called after every pass that had something to do; must not throw. */
  readonly report: (report: PassReport) => void;
}

/** Everything is listed and compared this often, whatever events said. */
export const AUDIT_MS = 60_000;
/** Linux tells nobody of a change of WireGuard peers: small tables of them are read this often. */
export const POLL_MS = 1_000;
/** Drift comes in bursts (a flush, a device that goes): a moment later it is one pass. */
export const DEBOUNCE_MS = 20;

/** Between passes that only a timer asks for: whatever is due and cannot be done, it never spins. */
const LEAST_PAUSE_MS = 50;

export class Reconciler {
  readonly #ports: ReconcilerPorts;
  readonly #board = new Board();
  readonly #trigger = new Trigger();
  readonly #links: LinkDriver;
  readonly #retries = new RetryBook<ObjectFailure>();
  readonly #pace = new RepairPace();
  readonly #passLog: PassLog;
  readonly #plans: PlanUpdate[] = [];
  #hasDrift = false;
  #nextAuditMs: number;
  #nextPollMs = 0;
  #failureCount = 0;
  /** Of the last pass. */
  #heldUntilMs = Number.POSITIVE_INFINITY;

  constructor(ports: ReconcilerPorts) {
    this.#ports = ports;
    this.#links = new LinkDriver(ports);
    this.#passLog = new PassLog(ports.log);
    this.#nextAuditMs = ports.clock.monotonicMs() + AUDIT_MS;
  }

  /** What the kernel should be from now on; applied by the loop, in the order of the calls. */
  plan(update: PlanUpdate): void {
    this.#plans.push(update);
    this.#trigger.kick();
  }

  /** Lists and compares everything soon. */
  audit(): void {
    this.#nextAuditMs = this.#ports.clock.monotonicMs();
    this.#trigger.kick();
  }

  /** Runs until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    using _watch = this.#ports.kernel.watch((event) => this.#onEvent(event));
    for (;;) {
      await this.#wait(signal);
      await this.#pass(signal);
    }
  }

  #onEvent(event: KernelEvent): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const verdict = takeEvent(this.#board, event, nowMs);
    if (verdict === "nothing") return;
    if (verdict === "gap") {
      this.#ports.log.event("kernel.overrun", "netlink events were lost; everything is read again");
    }
    if (verdict === "retry" && this.#retries.isEmpty) return;
    if (verdict === "retry" || verdict === "drift-and-retry") this.#retries.reset(nowMs);
    this.#hasDrift = true;
    this.#trigger.kick();
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    const dueMs = Math.min(
      this.#nextAuditMs,
      this.#isPolling() ? this.#nextPollMs : Number.POSITIVE_INFINITY,
      this.#retries.nextDueMs() ?? Number.POSITIVE_INFINITY,
      this.#heldUntilMs,
    );
    const pauseMs = Math.max(dueMs - clock.monotonicMs(), LEAST_PAUSE_MS);
    await kickOrTimeout(this.#trigger, pauseMs, clock, signal);
    // Drift alone may gather for a moment; a plan is waited for by somebody.
    const gatheredMs = clock.monotonicMs() + DEBOUNCE_MS;
    while (this.#hasDrift && this.#plans.length === 0 && clock.monotonicMs() < gatheredMs) {
      await kickOrTimeout(this.#trigger, gatheredMs - clock.monotonicMs(), clock, signal);
    }
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const { clock, kernel, random } = this.#ports;
    const startMs = clock.monotonicMs();
    this.#hasDrift = false;
    const plans = this.#plans.splice(0);
    for (const update of plans) this.#board.take(update);
    if (startMs >= this.#nextAuditMs) this.#startAudit(startMs);
    if (this.#isPolling() && startMs >= this.#nextPollMs) {
      this.#nextPollMs = startMs + POLL_MS;
      this.#board.drivers.wireguard.mustRead = true;
    }
    const { stamp } = this.#board;
    if (stamp === undefined) return;
    const pass = new KernelPass(this.#board, {
      kernel,
      clock,
      random,
      links: this.#links,
      retries: this.#retries,
      pace: this.#pace,
    });
    const result = await pass.run(signal);
    const endMs = clock.monotonicMs();
    this.#passLog.write(result, endMs - startMs);
    const receivedMs = Math.min(endMs, ...plans.map((update) => update.stamp.receivedMs));
    if (plans.length > 0 || this.#isNews(result)) {
      this.#ports.report(this.#reportOf(result, stamp, endMs - receivedMs));
    }
    this.#failureCount = result.failures.length;
    this.#heldUntilMs = result.heldUntilMs;
  }

  #isPolling(): boolean {
    const { wireguard } = this.#board.drivers;
    return wireguard.desiredCount > 0 && isSmall(wireguard);
  }

  #startAudit(nowMs: number): void {
    this.#nextAuditMs = nowMs + AUDIT_MS;
    this.#pace.tidy(nowMs);
    this.#board.suspectAll();
  }

  #isNews({ failures, drift, put, deleted }: PassResult): boolean {
    const isQuiet = put.size === 0 && deleted.size === 0 && drift.length === 0;
    return !isQuiet || failures.length !== this.#failureCount;
  }

  #reportOf(result: PassResult, stamp: PlanStamp, applyMs: number): PassReport {
    const { failures, drift } = result;
    return {
      stamp,
      devicesWork: !failures.some(
        ({ kind, key }) => kind === "link" && this.#board.realm.devices.has(key),
      ),
      failures: failures.slice(0, MAX_FAILURES),
      failureCount: failures.length,
      drift: drift.slice(0, MAX_DRIFT),
      driftCount: drift.length,
      counts: this.#countsOf(result),
      applyMs: Math.round(applyMs),
    };
  }

  #countsOf({ put, deleted }: PassResult): Readonly<Record<ObjectKind, KindCounts>> {
    const { address, neighbour, fdb, wireguard, route } = this.#board.drivers;
    const counts = (
      driver: Pick<KindDriver, "kind" | "desiredCount" | "missingCount">,
    ): KindCounts => ({
      desired: driver.desiredCount,
      missing: driver.missingCount,
      put: put.get(driver.kind) ?? 0,
      deleted: deleted.get(driver.kind) ?? 0,
    });
    return {
      address: counts(address),
      neighbour: counts(neighbour),
      fdb: counts(fdb),
      wireguard: counts(wireguard),
      route: counts(route),
    };
  }
}
