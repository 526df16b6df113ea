/** The tunnel's counters as the metrics of the catalogue. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { showTunnel } from "../../../../agent/tunnel/tunnel-metrics.ts";
import { NO_STATS } from "../../../../agent/tunnel/tunnel-stats.ts";
import { createMetrics } from "../../../../common/metrics.ts";

it("shows what the tunnel has counted, every time as it is then", async () => {
  const metrics = await createMetrics("agent");
  let stats = { ...NO_STATS, sentPackets: 5, sentBytes: 500, noRoute: 1 };
  showTunnel(metrics, () => stats);
  const shown = async (): Promise<string[]> =>
    (await metrics.scrape()).body
      .split("\n")
      .filter((line) => /^twill_tunnel_.*(sent|noRoute)/.test(line));
  assert.deepEqual(await shown(), [
    'twill_tunnel_packets_total{direction="sent"} 5',
    'twill_tunnel_bytes_total{direction="sent"} 500',
    'twill_tunnel_drops_total{reason="noRoute"} 1',
  ]);
  stats = { ...stats, sentPackets: 9 };
  assert.equal((await shown())[0], 'twill_tunnel_packets_total{direction="sent"} 9');
});
