/**
 * Rows 6 and 7: one agent meets a table of so many leases, from the plan to the last route in
 * the kernel and the look at what was written; compared with `ip -batch` and `bridge -batch`
 * doing the same entries in the same run, or with a command of yours (--system; it finds the
 * lines in $IP_BATCH and $BRIDGE_BATCH). And what the
 * regular comparison of everything costs when nothing has changed.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KernelChange } from "../../../agent/kernel/kernel.ts";
import type { KernelObject } from "../../../agent/plan/kernel-object.ts";
import { crowdLeases } from "../../support/crowd.ts";
import { KernelNode } from "../../support/kernel-node.ts";
import { nowMs } from "../support/clock.ts";
import { batchLine, batchTimed } from "../support/ip-batch.ts";
import { type Bench, below, mustBe, type Row } from "../support/row.ts";
import { median } from "../support/statistics.ts";

const FULL = { peers: [100, 1000, 5000, 20_000], rounds: 5 } as const;
const QUICK = { peers: [200], rounds: 1 } as const;
const TARGETS = { ratio: 1.2, coldMs: 3000, resyncMs: 300, largest: 20_000 } as const;

const NEVER = new AbortController().signal;

export const kernel: Row = {
  name: "kernel",
  what: "one node meets many leases; the kernel is compared when nothing changed",
  needsRoot: true,
  async run(bench: Bench): Promise<void> {
    const { peers, rounds } = bench.quick ? QUICK : FULL;
    for (const count of bench.nodes ?? peers) await measure(bench, count, rounds);
  },
};

async function measure(bench: Bench, peers: number, rounds: number): Promise<void> {
  const runs: { coldMs: number; batchMs: number; resyncMs: number }[] = [];
  // The first warms both sides up.
  for (let round = bench.quick ? 1 : 0; round <= rounds; round += 1) {
    const run = await once(bench, peers);
    if (round > 0) runs.push(run);
  }
  const of = { peers, rounds };
  const coldMs = median(runs.map((run) => run.coldMs));
  const ratio = median(runs.map((run) => run.coldMs / run.batchMs));
  const resyncMs = median(runs.map((run) => run.resyncMs));
  const isLargest = peers === TARGETS.largest;
  const [ms, times] = ["ms", "times"];
  bench.report({
    ...{ figure: "kernel.programmed", value: coldMs, unit: ms, of },
    ...(isLargest ? below(TARGETS.coldMs, coldMs, ms) : {}),
  });
  bench.report({
    ...{ figure: "kernel.to_batch", value: ratio, unit: times, of },
    ...below(TARGETS.ratio, ratio, times),
  });
  bench.report({
    ...{ figure: "kernel.resync", value: resyncMs, unit: ms, of },
    ...(isLargest ? below(TARGETS.resyncMs, resyncMs, ms) : {}),
  });
}

async function once(
  bench: Bench,
  peers: number,
): Promise<{ coldMs: number; batchMs: number; resyncMs: number }> {
  await using node = await KernelNode.create();
  await node.start([]);
  const leases = crowdLeases(1, peers);
  const fromMs = nowMs();
  const report = await node.change(leases);
  const coldMs = nowMs() - fromMs;
  mustBe(report.failureCount === 0, `${report.failureCount} objects failed`);
  const { route, neighbour, fdb } = report.counts;
  mustBe(Math.min(route.put, neighbour.put, fdb.put) === peers, "some objects were not put");
  const auditedMs = nowMs();
  const quiet = await node.audit();
  const resyncMs = nowMs() - auditedMs;
  const written = Object.values(quiet.counts).reduce(
    (sum, { put, deleted }) => sum + put + deleted,
    0,
  );
  mustBe(written === 0, `${written} writes where nothing had changed`);
  return { coldMs, batchMs: await otherSide(bench, node.planned), resyncMs };
}

/** The same entries, made by somebody else on a node of its own, which has the device already. */
async function otherSide(bench: Bench, objects: readonly KernelObject[]): Promise<number> {
  await using node = await KernelNode.create();
  await node.start([]);
  await node.stop();
  const changes = objects
    .filter(({ kind }) => kind !== "address")
    .map((item): KernelChange => ({ op: "put", ...item }));
  const netns = node.namespace.name;
  const tookMs =
    bench.system === undefined
      ? batchTimed(netns, changes)
      : runSystem(bench.system, netns, changes);
  const routes = await node.kernel.listRoutes(NEVER);
  const made = routes.filter(({ device, gateway }) => device !== undefined && gateway).length;
  mustBe(made >= changes.length / 3, `the other side made ${made} of ${changes.length / 3} routes`);
  return tookMs;
}

/** CMD finds the lines that `ip -batch` and `bridge -batch` would be given in two files. */
function runSystem(command: string, netns: string, changes: readonly KernelChange[]): number {
  const folder = mkdtempSync(join(tmpdir(), "twill-bench-"));
  try {
    const files = { ip: join(folder, "ip"), bridge: join(folder, "bridge") };
    const linesOf = (isBridge: boolean): string =>
      changes
        .filter(({ kind }) => (kind === "fdb") === isBridge)
        .map((change) => `${batchLine(change)}\n`)
        .join("");
    writeFileSync(files.ip, linesOf(false));
    writeFileSync(files.bridge, linesOf(true));
    const env = { ...process.env, IP_BATCH: files.ip, BRIDGE_BATCH: files.bridge };
    const fromMs = nowMs();
    execFileSync("ip", ["netns", "exec", netns, "sh", "-c", command], { env, stdio: "inherit" });
    return nowMs() - fromMs;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
