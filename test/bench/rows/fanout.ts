/**
 * Row 1: one change in etcd, until every agent has applied and acknowledged it, from the moment
 * etcd was asked to the moment a controller says so. The agents are connected and quiet, and the
 * table has as many leases as there are agents.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { nowMs } from "../support/clock.ts";
import { ControlPlane } from "../support/control-plane.ts";
import type { Histogram } from "../support/fleet-orders.ts";
import { cpuMsOf } from "../support/machine.ts";
import { type Bench, below, mustBe, type Row } from "../support/row.ts";
import { addHistograms, histogramPercentile, median, percentile } from "../support/statistics.ts";

const FULL = { nodes: [10, 100, 1000, 5000, 10_000], changes: 40 } as const;
const QUICK = { nodes: [200], changes: 5 } as const;
/** Changes before those that count: code is compiled meanwhile. */
const WARM_UP = 5;
/** Between two changes, so that each finds the hub at rest. */
const REST_MS = 150;
const TARGET_MS: Readonly<Record<number, number>> = { 1000: 250, 5000: 1000 };

export const fanout: Row = {
  name: "fanout",
  what: "one change in etcd, until all agents have acknowledged it",
  async run(bench: Bench): Promise<void> {
    const size = bench.quick ? QUICK : FULL;
    for (const nodes of bench.nodes ?? size.nodes) {
      await measure(bench, { nodes, changes: size.changes, transport: "plaintext" });
    }
    if (!bench.quick) await measure(bench, { nodes: 1000, changes: 20, transport: "mTLS" });
  },
};

interface Size {
  readonly nodes: number;
  readonly changes: number;
  readonly transport: "plaintext" | "mTLS";
}

async function measure(bench: Bench, { nodes, changes, transport }: Size): Promise<void> {
  const tls = transport === "mTLS";
  await using plane = await ControlPlane.start({ agents: nodes, tls, bench });
  await plane.putLeases(0, nodes);
  await plane.fleet.connect();
  for (let index = 0; index < WARM_UP; index += 1) await change(plane, index, index + 1);
  const pid = plane.first.pid ?? 0;
  const before = { cpuMs: cpuMsOf(pid), bytes: await sentBytes(plane) };
  const all: number[] = [];
  const each: Histogram[] = [];
  for (let index = 0; index < changes; index += 1) {
    await sleep(REST_MS);
    const { allMs, lags } = await change(plane, index % nodes, 1000 + index);
    all.push(allMs);
    each.push(lags);
  }
  const deliveries = nodes * changes;
  const cpuUs = ((cpuMsOf(pid) - before.cpuMs) * 1000) / deliveries;
  const bytes = ((await sentBytes(plane)) - before.bytes) / deliveries;
  await plane.mustBeClean();
  const of = { nodes, changes, transport };
  const p99 = percentile(all, 99);
  const limit = TARGET_MS[nodes];
  const target = limit === undefined || tls ? {} : below(limit, p99, "ms");
  const ms = "ms";
  bench.report({ figure: "fanout.all_acknowledged_p50", value: median(all), unit: ms, of });
  bench.report({ figure: "fanout.all_acknowledged_p99", value: p99, unit: ms, of, ...target });
  const one = histogramPercentile(addHistograms(each), 50);
  bench.report({ figure: "fanout.one_agent_p50", value: one, unit: ms, of });
  bench.report({ figure: "fanout.controller_cpu", value: cpuUs, unit: "µs/agent", of });
  bench.report({ figure: "fanout.bytes", value: bytes, unit: "B/agent", of });
}

async function change(
  plane: ControlPlane,
  lease: number,
  version: number,
): Promise<{ allMs: number; lags: Histogram }> {
  const fromMs = nowMs();
  const revision = await plane.write([lease], version);
  const lags = await plane.fleet.mark(revision, fromMs);
  await plane.acknowledged(revision);
  const count = Object.values(lags).reduce((sum, times) => sum + times, 0);
  mustBe(count === plane.fleet.size, `${count} of ${plane.fleet.size} agents acknowledged`);
  return { allMs: nowMs() - fromMs, lags };
}

async function sentBytes(plane: ControlPlane): Promise<number> {
  const [scrape] = await plane.scrapeControllers();
  return scrape?.sum("twill_sent_bytes_total", 'kind="delta"') ?? 0;
}
