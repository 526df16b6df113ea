/**
 * Whether etcd answers, for health and log: every attempt's end is told here, only the
 * transitions come out. etcd counts as unavailable when as many attempts in a row failed as
 * there are endpoints, so one lost member of three is no transition.
 */

import type { TwillError } from "../../common/errors.ts";
import { errorFields, type Logger } from "../../common/log.ts";

export type StoreStatus =
  | { readonly kind: "unknown" }
  | { readonly kind: "connected" }
  | { readonly kind: "unavailable"; readonly error: TwillError };

export class StoreState {
  readonly #log: Logger;
  readonly #endpoints: readonly string[];
  #failures = 0;
  #status: StoreStatus = { kind: "unknown" };

  constructor(log: Logger, endpoints: readonly string[]) {
    this.#log = log;
    this.#endpoints = endpoints;
  }

  /** unknown: nothing was asked yet. */
  get status(): StoreStatus {
    return this.#status;
  }

  succeeded(endpoint: string): void {
    this.#failures = 0;
    if (this.#status.kind === "connected") return;
    this.#status = { kind: "connected" };
    this.#log.event("store.connected", `etcd answers at ${endpoint}`, { endpoint });
  }

  failed(error: TwillError): void {
    this.#failures += 1;
    if (this.#failures < this.#endpoints.length) return;
    const isTransition = this.#status.kind !== "unavailable";
    this.#status = { kind: "unavailable", error };
    if (!isTransition) return;
    this.#log.event("store.unavailable", error.message, {
      ...errorFields(error),
      endpoints: this.#endpoints.join(","),
    });
  }
}
