/** The tunnel's counters as metrics: read when somebody looks, not followed. */
import type { Metrics } from "../../common/metrics.ts";
import { NO_STATS, type TunnelStats } from "./tunnel-stats.ts";

const DROPS = [
  "noRoute",
  "unknownSource",
  "malformed",
  "ttlExpired",
  "sendFailed",
  "writeFailed",
] as const;

export function showTunnel(metrics: Metrics, read: () => TunnelStats): void {
  let shown = NO_STATS;
  metrics.beforeScrape(() => {
    const now = read();
    const grown = (name: keyof TunnelStats): number => now[name] - shown[name];
    for (const direction of ["sent", "received"] as const) {
      metrics.add("twill_tunnel_packets_total", { direction }, grown(`${direction}Packets`));
      metrics.add("twill_tunnel_bytes_total", { direction }, grown(`${direction}Bytes`));
    }
    for (const reason of DROPS) {
      metrics.add("twill_tunnel_drops_total", { reason }, grown(reason));
    }
    shown = now;
  });
}
