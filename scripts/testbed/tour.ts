/**
 * The main job, shown and checked: what `./scripts/lab` without a verb does. Each chapter
 * proves one promise on the real parts and puts its finding into the table at the end.
 */
import { dumpDiagnostics } from "./diagnostics.ts";
import { Lab } from "./lab.ts";
import type { Report } from "./report.ts";
import type { Settings } from "./settings.ts";
import { join, leave } from "./tour-change.ts";
import type { Tour } from "./tour-chapter.ts";
import { failOver } from "./tour-failover.ts";
import { showCluster, showNode } from "./tour-look.ts";
import { pingEveryPod } from "./tour-pings.ts";

const CHAPTERS: readonly ((tour: Tour) => Promise<void>)[] = [
  startNodes,
  showCluster,
  showNode,
  pingEveryPod,
  join,
  failOver,
  leave,
];

/** True when every check passed. The lab is gone afterwards, however it ended. */
export async function runTour(
  settings: Settings,
  report: Report,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await using lab = await build(settings, report, signal);
    await walk({ lab, report, settings, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    report.check("the lab was built", false, message(error));
  }
  report.summary();
  return report.isGood;
}

/** Goes through the chapters; the first that cannot go on ends the tour. */
async function walk(tour: Tour): Promise<void> {
  const { lab, report, signal } = tour;
  try {
    for (const chapter of CHAPTERS) {
      signal.throwIfAborted();
      await chapter(tour);
    }
  } catch (error) {
    if (signal.aborted) throw error;
    report.check("the tour came to its end", false, message(error));
  }
  if (!report.isGood)
    report.line(`logs, etcd and kernels are kept in ${await dumpDiagnostics(lab)}`);
}

async function build(settings: Settings, report: Report, signal: AbortSignal): Promise<Lab> {
  const { nodes, controllers, etcdMembers } = settings;
  report.chapter(
    "The machines",
    "each a network, mount and host-name namespace of its own, on one switch without a way out",
  );
  const what = `${nodes} nodes, ${controllers} controllers, ${etcdMembers} etcd, network config put`;
  return report.step(what, () => Lab.start({ ...settings, signal }));
}

async function startNodes({ lab, report }: Tour): Promise<void> {
  await report.step("every agent has its subnet and wrote subnet.env", async () => {
    for (const node of lab.nodes) await lab.subnetReady(node);
  });
  await report.step("every kernel holds every peer", () => lab.waitConverged());
  await report.step("a pod on every node, by the CNI plugins bridge and host-local", async () => {
    await Promise.all(lab.nodes.map((node) => lab.addPod(node)));
  });
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
