/**
 * A start without controllers: the node works from the table that the last run has left. It
 * is said once, and after a while that table is good enough for containers: docker is not held up
 * for a controller that may not come. Nothing is taken away before one has (in-sync gate).
 */
import type { Clock } from "../../common/async/clock.ts";
import type { Logger } from "../../common/log.ts";
import type { CachedTable } from "../host/table-cache.ts";
import type { ControllerLog } from "./controller-log.ts";
import type { NodeStatus } from "./node-status.ts";

export interface CachedStartParts {
  /** undefined: there is nothing to start from. */
  readonly cached: CachedTable | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A first round of three replicas of which none answers. */
export const CACHE_PATIENCE_MS = 10_000;

export class CachedStart {
  readonly #parts: CachedStartParts;
  readonly #status: NodeStatus;
  readonly #controllers: ControllerLog;
  #isNoted = false;

  constructor(parts: CachedStartParts, status: NodeStatus, controllers: ControllerLog) {
    this.#parts = parts;
    this.#status = status;
    this.#controllers = controllers;
  }

  /** An attempt failed; only worth a word when no controller is there to make it right at once. */
  attemptFailed(isInSync: boolean): void {
    const { cached, log } = this.#parts;
    if (cached === undefined || this.#isNoted || isInSync) return;
    this.#isNoted = true;
    const message = "no controller yet: working from the cached table, add-only until in sync";
    const { revision, leases } = cached;
    log.event("cache.loaded", message, { revision, leases: leases.length });
  }

  /** Waits; `accepted` is called when the node may be ready on its cache. */
  async run(accepted: () => void, signal: AbortSignal): Promise<void> {
    const { cached, clock } = this.#parts;
    if (cached === undefined || cached.ownKey === "") return;
    await clock.sleep(CACHE_PATIENCE_MS, signal);
    if (this.#controllers.hasConnected) return;
    this.#status.acceptCache();
    accepted();
  }
}
