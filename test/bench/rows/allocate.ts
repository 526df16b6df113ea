/**
 * Row 5: how many leases a second one leader gives out, all nodes asking at once; and that none
 * is lost and none given twice. etcd has fsync on, its data lies on a memory disk.
 */
import { nowMs } from "../support/clock.ts";
import { ControlPlane } from "../support/control-plane.ts";
import { cpuMsOf } from "../support/machine.ts";
import { above, type Bench, mustBe, type Row } from "../support/row.ts";
import { median } from "../support/statistics.ts";

const FULL = { nodes: [2000], rounds: 3 } as const;
const QUICK = { nodes: [200], rounds: 1 } as const;
const TARGET_PER_SECOND = 1000;

export const allocate: Row = {
  name: "allocate",
  what: "leases given out per second",
  async run(bench: Bench): Promise<void> {
    const size = bench.quick ? QUICK : FULL;
    for (const nodes of bench.nodes ?? size.nodes) {
      const runs: { rate: number; cpuMs: number }[] = [];
      for (let round = 0; round < size.rounds; round += 1) runs.push(await once(nodes, bench));
      const rate = median(runs.map((run) => run.rate));
      const of = { nodes, rounds: size.rounds };
      const unit = "leases/s";
      bench.report({
        ...{ figure: "allocate.rate", value: rate, unit, of },
        ...above(TARGET_PER_SECOND, rate, unit),
      });
      const cpuMs = median(runs.map((run) => run.cpuMs));
      bench.report({ figure: "allocate.controller_cpu", value: cpuMs, unit: "ms/lease", of });
    }
  },
};

async function once(nodes: number, bench: Bench): Promise<{ rate: number; cpuMs: number }> {
  await using plane = await ControlPlane.start({ agents: nodes, bench });
  await plane.fleet.connect();
  const pid = plane.first.pid ?? 0;
  const before = { atMs: nowMs(), cpuMs: cpuMsOf(pid) };
  const { atMs, leases } = await plane.fleet.register();
  const cpuMs = cpuMsOf(pid) - before.cpuMs;
  const stored = await plane.leases();
  mustBe(stored.length === nodes, `${nodes} nodes asked, etcd holds ${stored.length} leases`);
  mustBe(new Set(leases.values()).size === nodes, "two nodes were given the same lease");
  await plane.mustBeClean();
  return { rate: (nodes * 1000) / (atMs - before.atMs), cpuMs: cpuMs / nodes };
}
