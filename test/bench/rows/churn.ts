/**
 * Row 8: leases change all the time, and agents must neither fall behind nor grow. Every tenth
 * change is followed to every agent.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { nowMs } from "../support/clock.ts";
import { ControlPlane } from "../support/control-plane.ts";
import type { Histogram } from "../support/fleet-orders.ts";
import { cpuMsOf, rssMibOf } from "../support/machine.ts";
import { type Bench, below, type Row } from "../support/row.ts";
import { addHistograms, histogramPercentile } from "../support/statistics.ts";

const FULL = { nodes: [1000], leases: 5000, seconds: 60 } as const;
const QUICK = { nodes: [100], leases: 500, seconds: 4 } as const;
const PER_SECOND = 200;
const FOLLOWED = 10;
const TARGET_P99_MS = 500;
/** No lease is written twice with the same value within these: that would be no change. */
const VERSIONS = 65_536;
/** A lag that doubles from the first to the last third grows. */
const GROWTH = 2;
const MEMORY_GROWTH_MIB = 48;

export const churn: Row = {
  name: "churn",
  what: "200 changes a second, all agents following",
  async run(bench: Bench): Promise<void> {
    const size = bench.quick ? QUICK : FULL;
    for (const nodes of bench.nodes ?? size.nodes) await measure(bench, { ...size, nodes });
  },
};

interface Size {
  readonly nodes: number;
  readonly leases: number;
  readonly seconds: number;
}

async function measure(bench: Bench, { nodes, leases, seconds }: Size): Promise<void> {
  await using plane = await ControlPlane.start({ agents: nodes, bench });
  await plane.putLeases(0, leases);
  await plane.fleet.connect();
  const pid = plane.first.pid ?? 0;
  // The first seconds fill the history and warm the code up.
  await changes(plane, { leases, seconds: Math.ceil(seconds / 10), from: 0 });
  const before = { rssMib: rssMibOf(pid), cpuMs: cpuMsOf(pid), atMs: nowMs() };
  const lags = await changes(plane, { leases, seconds, from: PER_SECOND * seconds });
  const tookMs = nowMs() - before.atMs;
  const cpu = ((cpuMsOf(pid) - before.cpuMs) / tookMs) * 100;
  const growth = rssMibOf(pid) - before.rssMib;
  await plane.mustBeClean();
  const third = Math.floor(lags.length / 3);
  const first = histogramPercentile(addHistograms(lags.slice(0, third)), 50);
  const last = histogramPercentile(addHistograms(lags.slice(-third)), 50);
  const all = addHistograms(lags);
  const p99 = histogramPercentile(all, 99);
  const rate = (PER_SECOND * seconds * 1000) / tookMs;
  const of = { nodes, leases, seconds };
  bench.report({ figure: "churn.rate", value: rate, unit: "changes/s", of });
  bench.report({
    ...{ figure: "churn.lag_p50", value: histogramPercentile(all, 50), unit: "ms", of },
  });
  bench.report({
    ...{ figure: "churn.lag_p99", value: p99, unit: "ms", of },
    ...below(TARGET_P99_MS, p99, "ms"),
  });
  bench.report({
    ...{ figure: "churn.lag_growth", value: last / Math.max(1, first), unit: "times", of },
    ...below(GROWTH, last / Math.max(1, first), "times"),
  });
  bench.report({
    ...{ figure: "churn.memory_growth", value: growth, unit: "MiB", of },
    ...below(MEMORY_GROWTH_MIB, growth, "MiB"),
  });
  bench.report({ figure: "churn.controller_cpu", value: cpu, unit: "% of a core", of });
}

/** Changes leases one after the other at the rate; the lags of those that were followed. */
async function changes(
  plane: ControlPlane,
  { leases, seconds, from }: Omit<Size, "nodes"> & { readonly from: number },
): Promise<readonly Histogram[]> {
  const fromMs = nowMs();
  const marks: Promise<Histogram>[] = [];
  for (let index = 0; index < PER_SECOND * seconds; index += 1) {
    const aheadMs = fromMs + (index * 1000) / PER_SECOND - nowMs();
    if (aheadMs > 1) await sleep(aheadMs);
    const askedMs = nowMs();
    const revision = await plane.write([index % leases], (from + index) % VERSIONS);
    if (index % FOLLOWED === 0) marks.push(plane.fleet.mark(revision, askedMs));
  }
  return Promise.all(marks);
}
