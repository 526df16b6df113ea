/**
 * Keeps the cached table on disk near the one in use, so that a node that boots without
 * controllers starts from what was true a moment ago. Rarely, because a table of 20,000
 * leases is megabytes; and once more at the end.
 */
import type { Clock } from "../../common/async/clock.ts";
import { kickOrTimeout } from "../../common/async/kick-or-timeout.ts";
import { Trigger } from "../../common/async/trigger.ts";
import type { Lease } from "../../common/lease/lease.ts";
import type { CachedTable } from "../host/table-cache.ts";
import type { PeerTable } from "../peers/peer-table.ts";
import type { AcceptedConfig } from "./config-intake.ts";

/** After a change others often follow at once. */
export const SETTLE_MS = 1_000;
/**
 * Between two writes, a millisecond per lease: a small table is never old on disk, and the
 * churn of a large one does not become disk load (20,000 leases are megabytes).
 */
export const INTERVAL_MS = { min: 1_000, max: 15_000 } as const;

export interface TableKeeperOptions {
  readonly clock: Clock;
  /** The table as it stands; undefined while there is none worth keeping. */
  readonly read: () => CachedTable | undefined;
  readonly write: (table: CachedTable) => Promise<void>;
}

export class TableKeeper {
  readonly #options: TableKeeperOptions;
  readonly #changed = new Trigger();
  #isDirty = false;

  constructor(options: TableKeeperOptions) {
    this.#options = options;
  }

  changed(): void {
    this.#isDirty = true;
    this.#changed.kick();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      await kickOrTimeout(this.#changed, Number.POSITIVE_INFINITY, clock, signal);
      await clock.sleep(SETTLE_MS, signal);
      const leases = await this.flush();
      const intervalMs = Math.min(Math.max(leases, INTERVAL_MS.min), INTERVAL_MS.max);
      await clock.sleep(intervalMs, signal);
    }
  }

  /** Writes what has not been written, at the end of the process too; how many leases that were. */
  async flush(): Promise<number> {
    if (!this.#isDirty) return 0;
    const table = this.#options.read();
    if (table === undefined) return 0;
    this.#isDirty = false;
    await this.#options.write(table);
    return table.leases.length;
  }
}

export interface KeptParts {
  readonly node: string;
  readonly accepted: AcceptedConfig | undefined;
  readonly table: PeerTable;
  readonly own: Lease | undefined;
}

/** undefined: what is known is not whole. */
export function tableToKeep({ node, accepted, table, own }: KeptParts): CachedTable | undefined {
  if (accepted === undefined || !table.isInSync) return undefined;
  const { instance, revision } = table.position;
  return {
    ...{ node, instance, revision },
    configRevision: accepted.revision,
    configJson: accepted.json,
    ownKey: own?.key ?? "",
    leases: [...table.leases()],
  };
}
