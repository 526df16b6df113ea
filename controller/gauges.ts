/** Metrics that are read when Prometheus asks, from what the parts know anyway. */
import type { Metrics } from "../common/metrics.ts";
import type { LeaseService } from "./lease/lease-service.ts";
import type { Hub } from "./rpc/hub.ts";
import type { LeaseView } from "./view/lease-view.ts";

export interface GaugeParts {
  readonly metrics: Metrics;
  readonly view: LeaseView;
  readonly hub: Hub;
  readonly service: LeaseService;
}

export function readGauges({ metrics, view, hub, service }: GaugeParts): void {
  const { table, chain } = view;
  const rows = [...table.rows.values()];
  const twill = rows.filter(({ lease }) => lease.node !== "").length;
  const reserved = rows.filter(({ lease, etcdLease }) => lease.node === "" && etcdLease === "0");
  metrics.set("twill_leader", {}, service.isLeading ? 1 : 0);
  metrics.set("twill_table_revision", {}, chain.head.revision);
  metrics.set("twill_withdrawals_held", {}, view.heldBack.size);
  metrics.set("twill_malformed_keys", {}, table.malformed.size);
  metrics.set("twill_leases", { holder: "twill" }, twill);
  metrics.set("twill_leases", { holder: "nobody" }, reserved.length);
  metrics.set("twill_leases", { holder: "foreign" }, rows.length - twill - reserved.length);
  metrics.set("twill_streams", {}, hub.size);
  metrics.set("twill_applied_revision_min", {}, lowestApplied(hub) ?? chain.head.revision);
}

function lowestApplied(hub: Hub): number | undefined {
  let lowest: number | undefined;
  for (const { applied } of hub.subscribers) {
    const revision = applied?.revision ?? 0;
    lowest = Math.min(lowest ?? revision, revision);
  }
  return lowest;
}
