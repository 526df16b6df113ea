/**
 * What each part of a process says of itself, and what follows for the two questions asked
 * from outside: live (would a restart help?) and ready (may work be sent here?). A part
 * starts degraded; nothing is healthy before it says so.
 */
import type { Clock } from "./async/clock.ts";

export type ComponentState =
  | { readonly kind: "ok" }
  | { readonly kind: "degraded"; readonly reason: string };

/** What a degraded component makes of the process. */
export type Gate =
  /** Stuck beyond help: neither live nor ready. */
  | "live"
  /** Not ready, but a restart would not help. */
  | "ready"
  /** Shown, gates nothing. */
  | "none";

export interface ComponentReport {
  readonly name: string;
  readonly gate: Gate;
  readonly state: ComponentState;
  /** How long it has been in this state. */
  readonly forMs: number;
}

export interface HealthReport {
  readonly isLive: boolean;
  readonly isReady: boolean;
  readonly components: readonly ComponentReport[];
}

export interface ComponentOptions {
  readonly gate: Gate;
  /** `ok()` must be repeated at least this often, or the component counts as stuck. */
  readonly staleAfterMs?: number;
}

export class Health {
  readonly #clock: Clock;
  readonly #components: HealthComponent[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  component(name: string, options: ComponentOptions): HealthComponent {
    const component = new HealthComponent(name, options, this.#clock, () => this.#tell());
    this.#components.push(component);
    this.#tell();
    return component;
  }

  report(): HealthReport {
    const components = this.#components.map((component) => component.report());
    const degraded = components.filter(({ state }) => state.kind === "degraded");
    const isLive = !degraded.some(({ gate }) => gate === "live");
    return {
      isLive,
      isReady: isLive && !degraded.some(({ gate }) => gate === "ready"),
      components,
    };
  }

  /** Calls back after every change of any state; answers how to stop it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** One part's handle; idempotent, cheap enough to be called in every pass of a loop. */
export class HealthComponent {
  readonly name: string;
  readonly #options: ComponentOptions;
  readonly #clock: Clock;
  readonly #changed: () => void;
  #state: ComponentState = { kind: "degraded", reason: "starting" };
  #sinceMs: number;
  #beatMs: number;

  constructor(name: string, options: ComponentOptions, clock: Clock, changed: () => void) {
    this.name = name;
    this.#options = options;
    this.#clock = clock;
    this.#changed = changed;
    this.#sinceMs = clock.monotonicMs();
    this.#beatMs = this.#sinceMs;
  }

  ok(): void {
    this.#beatMs = this.#clock.monotonicMs();
    if (this.#state.kind !== "ok") this.#set({ kind: "ok" });
  }

  degraded(reason: string): void {
    if (this.#state.kind === "ok" || this.#state.reason !== reason) {
      this.#set({ kind: "degraded", reason });
    }
  }

  report(): ComponentReport {
    const now = this.#clock.monotonicMs();
    const silentMs = now - this.#beatMs;
    const { gate, staleAfterMs = Number.POSITIVE_INFINITY } = this.#options;
    const isStale = this.#state.kind === "ok" && silentMs > staleAfterMs;
    const reason = `no sign of life for ${Math.floor(silentMs / 1000)} s`;
    return isStale
      ? {
          name: this.name,
          gate,
          state: { kind: "degraded", reason },
          forMs: silentMs - staleAfterMs,
        }
      : { name: this.name, gate, state: this.#state, forMs: now - this.#sinceMs };
  }

  #set(state: ComponentState): void {
    this.#state = state;
    this.#sinceMs = this.#clock.monotonicMs();
    this.#changed();
  }
}

/** One line for people: "ready", or the first reasons why not. */
export function summarise(report: HealthReport): string {
  const reasons = report.components.flatMap(({ name, gate, state }) =>
    state.kind === "degraded" && gate !== "none" ? [`${name}: ${state.reason}`] : [],
  );
  return reasons.length === 0 ? "ready" : reasons.join("; ");
}
