/** The agent's figures, from its reports and its table. */
import type { Metrics } from "../../common/metrics.ts";
import type { PeerTable } from "../peers/peer-table.ts";
import type { ReconcileReport } from "../reconcile/node-reconciler.ts";

export class NodeMetrics {
  readonly #metrics: Metrics;

  constructor(metrics: Metrics, table: PeerTable) {
    this.#metrics = metrics;
    metrics.beforeScrape(() => metrics.set("twill_peers", {}, table.size));
  }

  reconciled(report: ReconcileReport): void {
    const metrics = this.#metrics;
    metrics.set("twill_in_sync", {}, report.isInSync ? 1 : 0);
    if (report.isInSync && report.applied !== undefined) {
      metrics.set("twill_applied_revision", {}, report.applied.revision);
    }
    metrics.clear("twill_kernel_failures");
    for (const [kind, count] of countByKind(report.failures)) {
      metrics.set("twill_kernel_failures", { kind }, count);
    }
    for (const [kind, count] of countByKind(report.repaired)) {
      metrics.add("twill_drift_repaired_total", { kind }, count);
    }
  }
}

function countByKind(items: readonly { readonly kind: string }[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { kind } of items) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}
