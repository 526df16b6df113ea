/** Chapters of the tour about change: a machine joins, and machines leave again. */

import { hasRouteForEachPeer } from "./kernel-view.ts";
import { POD } from "./lab.ts";
import { pingOnce } from "./pinger.ts";
import { type LeaseRow, SUBNETS } from "./registry.ts";
import { formatMs } from "./report.ts";
import { routeAdded, routeDeleted, Stopwatch } from "./stopwatch.ts";
import type { Tour } from "./tour-chapter.ts";

const CHANGE_MS = 30_000;

export async function join({ lab, report, settings }: Tour): Promise<void> {
  const before = [...lab.nodes];
  report.chapter("A machine joins", "a new lease is in every kernel a moment after it is in etcd");
  await using watch = new Stopwatch();
  watch.watchKeys(lab.machine("etcd1"), SUBNETS);
  if (hasRouteForEachPeer(settings.backend)) watch.watchRoutes(before);
  const started = watch.now();
  const node = await report.step("the machine is there and its agent runs", () => lab.addNode());
  const lease = await report.step("it has a lease", () => lab.leaseOf(node));
  const inEtcd = await watch.sighting("etcd1", keyPattern(lease), started, CHANGE_MS);
  if (hasRouteForEachPeer(settings.backend)) {
    const times = await Promise.all(
      before.map((peer) => watch.sighting(peer.name, routeAdded(lease.subnet), started, CHANGE_MS)),
    );
    const lastMs = Math.max(...times.map((seen) => seen.atMs - inEtcd.atMs), 0);
    const found = `${formatMs(lastMs)} after etcd had it`;
    report.check(`route to ${lease.subnet} in all ${before.length} kernels`, true, found);
  }
  await lab.waitConverged();
  const pod = await lab.addPod(node);
  const answers = await Promise.all(
    lab.pods.filter((other) => other !== pod).map((other) => pingOnce(other, pod)),
  );
  const good = answers.filter((answer) => answer).length;
  report.check(
    `its ${POD} answers every other pod`,
    good === answers.length,
    `${good} of ${answers.length}`,
  );
}

export async function leave({ lab, report, settings }: Tour): Promise<void> {
  const leaving = lab.nodes.filter((node) => node.id.index > settings.nodes);
  const names = leaving.map((node) => node.name).join(" and ");
  report.chapter(
    `${names} leave again`,
    "what a node had is withdrawn everywhere, nothing is left over",
  );
  await using watch = new Stopwatch();
  const staying = lab.nodes.filter((node) => !leaving.includes(node));
  watch.watchKeys(lab.machine("etcd1"), SUBNETS);
  if (hasRouteForEachPeer(settings.backend)) watch.watchRoutes(staying);
  for (const node of leaving) {
    const lease = await lab.leaseOf(node);
    const started = watch.now();
    await report.step(`${node.name}: agent stopped, lease given back`, () =>
      lab.removeNode(node.name),
    );
    if (!hasRouteForEachPeer(settings.backend)) continue;
    const gone = await watch.sighting("etcd1", keyPattern(lease), started, CHANGE_MS);
    const times = await Promise.all(
      staying.map((peer) =>
        watch.sighting(peer.name, routeDeleted(lease.subnet), started, CHANGE_MS),
      ),
    );
    const lastMs = Math.max(...times.map((seen) => seen.atMs - gone.atMs), 0);
    const found = `${formatMs(lastMs)} after etcd lost it`;
    report.check(`route to ${lease.subnet} gone from ${staying.length} kernels`, true, found);
  }
  await lab.waitConverged();
  report.check("kernels are as before, no route, ARP or FDB entry left over", true, "compared");
}

function keyPattern(lease: LeaseRow): RegExp {
  return new RegExp(`^${lease.entry.key.replaceAll(/[.&]/g, "\\$&")}$`);
}
