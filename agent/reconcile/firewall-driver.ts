/**
 * Packet-filter rules against the plan: at start, when the plan changes, every
 * --iptables-resync seconds, and when the kernel tells that somebody changed the ruleset. The
 * wanted mode is put right first, and only then the other mode is cleaned, so that at no
 * moment there are no rules.
 */
import type { Clock } from "../../common/async/clock.ts";
import { kickOrTimeout } from "../../common/async/kick-or-timeout.ts";
import { Trigger } from "../../common/async/trigger.ts";
import { TwillError } from "../../common/errors.ts";
import type { Logger } from "../../common/log.ts";
import type { RunCommand } from "../kernel/command.ts";
import type { FirewallPlan } from "../plan/firewall.ts";
import { IptablesBackend } from "./iptables-backend.ts";
import { NftBackend } from "./nft-backend.ts";
import { RepairPace } from "./repair-pace.ts";
import type { DriftRepair, ObjectFailure } from "./report.ts";
import type { RuleBackend, RuleChange } from "./rule-backend.ts";

export interface FirewallPorts {
  readonly run: RunCommand;
  readonly clock: Clock;
  readonly log: Logger;
  /** Calls back after every transaction on the ruleset (agent/kernel/ruleset-watch.ts). */
  readonly watchRuleset: (listener: () => void) => Disposable;
  /** Called after every pass that changed something, failed or recovered; must not throw. */
  readonly report: (report: FirewallReport) => void;
}

export interface FirewallReport {
  /** The rules of the present plan are written (and may be disturbed again at any time). */
  readonly isInPlace: boolean;
  readonly failures: readonly ObjectFailure[];
  readonly repaired: readonly DriftRepair[];
}

/** Others change their rules in bursts (a container that starts); one look is enough for all. */
export const EVENT_DEBOUNCE_MS = 100;
/** And however busy they are, we look at most this often. */
export const LEAST_INTERVAL_MS = 1_000;

const MAX_CLEARS = 5;

/** A plan and how far it has come. A pass works on the one it began with, whatever is wanted since. */
interface Wanted {
  readonly plan: FirewallPlan;
  /** It was new at the last look: what differs is no drift. */
  isFresh: boolean;
  /** How often the other mode may still be tried to be cleaned. */
  clearsLeft: number;
}

export class FirewallDriver {
  readonly #ports: FirewallPorts;
  readonly #resyncMs: number;
  readonly #trigger = new Trigger();
  readonly #backends: Readonly<Record<FirewallPlan["mode"], RuleBackend>>;
  readonly #pace = new RepairPace();
  #wanted: Wanted | undefined;
  #planText = "";
  /** A plan is waited for by somebody: no debounce. */
  #isUrgent = false;
  #isFailing = false;
  #lastPassMs = Number.NEGATIVE_INFINITY;
  #noticedMs: number | undefined;
  #passes = 0;

  constructor(ports: FirewallPorts, resyncMs: number) {
    this.#ports = ports;
    this.#resyncMs = resyncMs;
    this.#backends = {
      iptables: new IptablesBackend(ports.run),
      nftables: new NftBackend(ports.run),
    };
  }

  /** How often the rules were looked at; grows with every pass that has ended. */
  get passes(): number {
    return this.#passes;
  }

  /** The same plan again asks for nothing. */
  setDesired(plan: FirewallPlan): void {
    const text = planText(plan);
    if (text === this.#planText) return;
    this.#planText = text;
    this.#wanted = { plan, isFresh: true, clearsLeft: MAX_CLEARS };
    this.#isUrgent = true;
    this.#trigger.kick();
  }

  /** Runs until aborted; the rules stay. */
  async run(signal: AbortSignal): Promise<void> {
    using _watch = this.#ports.watchRuleset(() => this.#onEvent());
    for (;;) {
      await this.#wait(signal);
      if (this.#wanted !== undefined) await this.#pass(this.#wanted, signal);
    }
  }

  #onEvent(): void {
    if (this.#wanted === undefined) return;
    this.#noticedMs ??= this.#ports.clock.monotonicMs();
    this.#trigger.kick();
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    await kickOrTimeout(this.#trigger, this.#resyncMs, clock, signal);
    const nowMs = clock.monotonicMs();
    const readyMs = Math.max(nowMs + EVENT_DEBOUNCE_MS, this.#lastPassMs + LEAST_INTERVAL_MS);
    while (!this.#isUrgent && clock.monotonicMs() < readyMs) {
      await kickOrTimeout(this.#trigger, readyMs - clock.monotonicMs(), clock, signal);
    }
  }

  async #pass(wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    const { plan, isFresh } = wanted;
    const noticedMs = this.#noticedMs ?? clock.monotonicMs();
    wanted.isFresh = false;
    this.#isUrgent = false;
    this.#noticedMs = undefined;
    if (this.#pace.isHeld(plan.mode, clock.monotonicMs())) return;
    try {
      const changes = await this.#backends[plan.mode].ensure(plan, signal);
      if (wanted.clearsLeft > 0) await this.#clearOther(wanted, signal);
      this.#succeed(plan, changes, isFresh ? undefined : noticedMs);
    } catch (error) {
      signal.throwIfAborted();
      this.#fail(plan, TwillError.from(error));
      // What could not be written is not drift when it is written at last.
      wanted.isFresh ||= isFresh;
    } finally {
      this.#lastPassMs = clock.monotonicMs();
      this.#passes += 1;
    }
  }

  /** A mode that cannot even be asked has no rules that work; it is not tried for ever. */
  async #clearOther(wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { plan } = wanted;
    const other = plan.mode === "iptables" ? "nftables" : "iptables";
    const { log } = this.#ports;
    wanted.clearsLeft -= 1;
    try {
      const removed = await this.#backends[other].clear(plan, signal);
      wanted.clearsLeft = 0;
      if (removed.length === 0) return;
      const keys = removed.map(({ key }) => key).join(", ");
      log.event("rules.removed", `removed rules of the ${other} mode: ${keys}`, { keys });
    } catch (error) {
      signal.throwIfAborted();
      const message = `rules of the ${other} mode may be left: ${TwillError.from(error).message}`;
      log.event("rules.left", message, { key: other });
    }
  }

  /** `noticedMs` undefined: the plan was new, so that nothing of it is drift. */
  #succeed(
    { mode }: FirewallPlan,
    changes: readonly RuleChange[],
    noticedMs: number | undefined,
  ): void {
    const { log, clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    const repaired =
      noticedMs === undefined ? [] : changes.map((change) => repair(change, nowMs - noticedMs));
    if (noticedMs === undefined && changes.length > 0) {
      const keys = changes.map(({ key }) => key).join(", ");
      log.event("rules.written", `wrote packet-filter rules: ${keys}`, { keys });
    }
    for (const { key, expected, found, repairedMs } of repaired) {
      const message = `${key} was changed by somebody and is right again`;
      log.event("drift.repaired", message, {
        key: `rule ${key}`,
        kind: "rule",
        expected,
        found,
        repaired_ms: repairedMs,
      });
    }
    if (repaired.length > 0 && this.#pace.repaired(mode, nowMs)) {
      log.event(
        "drift.contested",
        "somebody keeps changing the packet-filter rules; repairing them less often",
        {
          key: "rules",
        },
      );
    }
    if (this.#isFailing)
      log.event("reconcile.recovered", "packet-filter rules are written", { kind: "rule" });
    const isNews = this.#isFailing || noticedMs === undefined || repaired.length > 0;
    if (isNews) this.#ports.report({ isInPlace: true, failures: [], repaired });
    this.#isFailing = false;
  }

  #fail({ mode }: FirewallPlan, error: TwillError): void {
    if (!this.#isFailing) {
      const fields = { key: "rule", kind: "rule", code: error.code };
      this.#ports.log.event("reconcile.failed", `${mode} rules: ${error.message}`, fields);
    }
    this.#isFailing = true;
    const failure: ObjectFailure = {
      kind: "rule",
      key: mode,
      code: error.code,
      message: error.message,
    };
    this.#ports.report({ isInPlace: false, failures: [failure], repaired: [] });
  }
}

function repair({ key, expected, found }: RuleChange, elapsedMs: number): DriftRepair {
  return { kind: "rule", key, expected, found, repairedMs: Math.round(elapsedMs) };
}

function planText(plan: FirewallPlan): string {
  return JSON.stringify(plan, (_key, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
}
