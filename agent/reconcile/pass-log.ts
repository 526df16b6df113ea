/**
 * What passes say to the log: transitions, not heartbeats. The first failure of a kind in full,
 * nothing while it lasts, one line when it is over; every repaired drift once, up to a limit.
 */
import type { Logger } from "../../common/log.ts";
import type { PassResult } from "./kernel-pass.ts";
import type { DriftRepair, ObjectFailure } from "./report.ts";

/** Beyond this many repairs in one pass (somebody flushed a table) the rest is one line. */
const MAX_DRIFT_LINES = 100;

export class PassLog {
  readonly #log: Logger;
  #failingKinds: ReadonlySet<string> = new Set();

  constructor(log: Logger) {
    this.#log = log;
  }

  write(result: PassResult, durationMs: number): void {
    this.#changes(result, durationMs);
    this.#failures(result.failures);
    this.#drift(result.drift);
    for (const { kind, key, found } of result.contested) {
      this.#log.event(
        "drift.contested",
        `somebody keeps changing ${kind} ${key}; repairing it less often`,
        {
          key: `${kind} ${key}`,
          kind,
          found,
        },
      );
    }
  }

  #changes({ put, deleted }: PassResult, durationMs: number): void {
    const fields = {
      put: Object.fromEntries(put),
      deleted: Object.fromEntries(deleted),
      duration_ms: Math.round(durationMs),
    };
    const [puts, deletes] = [sum(put), sum(deleted)];
    if (puts + deletes === 0) return;
    this.#log.event(
      "reconcile.applied",
      `wrote ${puts} and deleted ${deletes} kernel objects`,
      fields,
    );
  }

  #failures(failures: readonly ObjectFailure[]): void {
    const kinds = new Map<string, ObjectFailure[]>();
    for (const failure of failures) {
      kinds.set(failure.kind, [...(kinds.get(failure.kind) ?? []), failure]);
    }
    for (const [kind, [first, ...more]] of kinds) {
      if (first === undefined || this.#failingKinds.has(kind)) continue;
      const rest = more.length === 0 ? "" : `, and ${more.length} more`;
      this.#log.event(
        "reconcile.failed",
        `${kind} ${first.key}: ${first.message || first.code}${rest}`,
        {
          key: kind,
          kind,
          object: first.key,
          code: first.code,
          count: more.length + 1,
        },
      );
    }
    for (const kind of this.#failingKinds) {
      if (kinds.has(kind)) continue;
      this.#log.event("reconcile.recovered", `every ${kind} that had failed is programmed`, {
        kind,
      });
    }
    this.#failingKinds = new Set(kinds.keys());
  }

  #drift(drift: readonly DriftRepair[]): void {
    for (const { kind, key, expected, found, repairedMs } of drift.slice(0, MAX_DRIFT_LINES)) {
      this.#log.event(
        "drift.repaired",
        `${kind} ${key} was changed by somebody and is right again`,
        {
          key: `${kind} ${key}`,
          kind,
          expected,
          found,
          repaired_ms: repairedMs,
        },
      );
    }
    const more = drift.length - MAX_DRIFT_LINES;
    if (more > 0) {
      this.#log.event("drift.repaired", `${more} more objects were changed and are right again`, {
        key: "more",
        count: more,
      });
    }
  }
}

function sum(counts: ReadonlyMap<unknown, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}
