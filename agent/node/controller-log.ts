/**
 * Connections to controllers as transitions for log and health: the first failure of an outage
 * in full, then silence until something changes, then one line of recovery. Staleness is shown
 * for as long as it lasts.
 */
import type { Clock } from "../../common/async/clock.ts";
import { ERROR_TRAITS, type TwillError } from "../../common/errors.ts";
import type { HealthComponent } from "../../common/health.ts";
import { errorFields, type Logger } from "../../common/log.ts";
import type { Welcome } from "../rpc/controller-message.ts";

export interface ControllerLogOptions {
  readonly log: Logger;
  readonly health: HealthComponent;
  readonly clock: Clock;
}

export class ControllerLog {
  readonly #options: ControllerLogOptions;
  /** What was already said of each endpoint in this outage. */
  readonly #said = new Map<string, string>();
  #leader: string | undefined;
  #lostAtMs: number | undefined;
  #controller = "";
  #hasConnected = false;

  constructor(options: ControllerLogOptions) {
    this.#options = options;
  }

  /** The replica that the stream is with; empty while there is none. */
  get controller(): string {
    return this.#controller;
  }

  /** True once a controller has answered since this process started. */
  get hasConnected(): boolean {
    return this.#hasConnected;
  }

  /** As the last controller saw it; empty: none. */
  get leader(): string {
    return this.#leader ?? "";
  }

  connected(welcome: Welcome, endpoint: string): void {
    const { log, health, clock } = this.#options;
    const away = this.#lostAtMs === undefined ? 0 : clock.monotonicMs() - this.#lostAtMs;
    this.#said.clear();
    this.#lostAtMs = undefined;
    this.#controller = welcome.controller;
    this.#hasConnected = true;
    health.ok();
    log.event("controller.connected", `the stream with controller ${endpoint} is up`, {
      endpoint,
      controller: welcome.controller,
      version: welcome.version,
      instance: welcome.instance,
      away_s: Math.round(away / 1000),
    });
  }

  disconnected(error: TwillError, endpoint: string, wasConnected: boolean): void {
    const { log, health, clock } = this.#options;
    this.#controller = "";
    this.#lostAtMs ??= clock.monotonicMs();
    health.degraded(`no controller: ${error.message}`);
    if (wasConnected) {
      log.event("controller.lost", `the stream with controller ${endpoint} ended`, {
        key: endpoint,
        endpoint,
        ...errorFields(error),
      });
    } else if (this.#said.get(endpoint) !== error.message) {
      this.#said.set(endpoint, error.message);
      const isRefusal = ERROR_TRAITS[error.code].level === "error";
      const name = isRefusal ? "stream.rejected" : "controller.unreachable";
      log.event(name, `no stream with controller ${endpoint}; the data plane stays as it is`, {
        key: endpoint,
        endpoint,
        ...errorFields(error),
      });
    }
  }

  sawLeader(leader: string): void {
    if (this.#leader !== undefined && this.#leader !== leader) {
      const who = leader === "" ? "nobody leads the controllers" : `${leader} leads now`;
      this.#options.log.event("leader.changed", who, { leader });
    }
    this.#leader = leader;
  }

  /** How long no controller has been there; undefined while one is, or before the first attempt. */
  awayMs(): number | undefined {
    return this.#lostAtMs === undefined
      ? undefined
      : this.#options.clock.monotonicMs() - this.#lostAtMs;
  }
}
