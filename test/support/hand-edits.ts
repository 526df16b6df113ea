/**
 * What hands and other daemons do to a node's kernel, edit by edit: each is undone and reported
 * once, and one who does it again and again is slowed down to, not fought with.
 */
import assert from "node:assert/strict";
import { systemClock } from "../../common/async/clock.ts";
import { readKernel } from "../../scripts/testbed/kernel-view.ts";
import type { Lab } from "../../scripts/testbed/lab.ts";
import { LineProcess } from "../../scripts/testbed/line-process.ts";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { until } from "../../scripts/testbed/poll.ts";
import type { LeaseRow } from "../../scripts/testbed/registry.ts";
import { cpuSeconds } from "./fault-run.ts";
import { metricSum, putForeignLease } from "./lab-checks.ts";
import { seededRandom, shuffled } from "./seeded-random.ts";

const SOON_MS = 20_000;
const FOREIGN_PEERS = { least: 60, most: 150 } as const;
const REPAIRS = "twill_drift_repaired_total";
const KINDS = 3;
/** How long the fight goes on when repairs have been slowed down. */
const SLOWED_MS = 5000;
const NEVER = new AbortController().signal;

/** One deleted route, neighbour or FDB entry after the other; the repair times as a figure. */
export async function handEdits(
  lab: Lab,
  node: Machine,
  { edits, seed }: { readonly edits: number; readonly seed: number },
): Promise<string> {
  const { least, most } = FOREIGN_PEERS;
  // Enough peers that no object is edited so often that repairs of it are slowed down.
  const peerCount = Math.min(Math.max(Math.ceil(edits / KINDS), least), most);
  for (let n = 1; n <= peerCount; n += 1) await putForeignLease(lab, 100 + n);
  await lab.waitConverged();
  const peers = (await lab.registry.leases()).filter(({ publicIp }) => publicIp !== node.id.ip);
  const objects = peers.flatMap((peer) =>
    Array.from({ length: KINDS }, (_, kind) => ({ peer, kind })),
  );
  const random = seededRandom(seed);
  const order: { readonly peer: LeaseRow; readonly kind: number }[] = [];
  while (order.length < edits) order.push(...shuffled(objects, random));
  const before = await metricSum(node, REPAIRS);
  const times: number[] = [];
  for (const { peer, kind } of order.slice(0, edits)) times.push(await handEdit(node, peer, kind));
  // The last repair is seen in the kernel before it is in the metrics.
  const reports = await until("every edit is reported", { deadlineMs: SOON_MS }, async () => {
    const count = (await metricSum(node, REPAIRS)) - before;
    return count >= edits ? count : undefined;
  });
  for (const { entry, publicIp } of await lab.registry.leases()) {
    if (publicIp.startsWith("10.99.200.")) await lab.registry.etcdctl(["del", entry.key]);
  }
  await lab.waitConverged();
  assert.equal(reports, edits, "each edit is reported once");
  times.sort((a, b) => a - b);
  const at = (share: number): number => Math.round(times[Math.floor(times.length * share)] ?? 0);
  return `${edits} edits (seed ${seed}), each repaired and reported once: median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1 - 1e-9)} ms`;
}

/** Five at once, then after 1, 2, 4 and 8 s; and a margin for a slow machine. */
const MOST_REPAIRS = 12;
/** Of a CPU, over the fight; what the deletions cost the agent to hear is in it. */
const MOST_CPU = 0.5;

/** Repairs get rarer, say so once, and the route is there when the other daemon has ended. */
export async function contested(lab: Lab, node: Machine): Promise<string> {
  const unit = lab.unit(node.name);
  const others = (await lab.registry.leases()).filter(({ publicIp }) => publicIp !== node.id.ip);
  const route = others[0]?.subnet ?? "";
  const before = { repairs: await metricSum(node, REPAIRS), cpu: await cpuSeconds(unit) };
  const since = systemClock.monotonicMs();
  const fight = `while :; do ip route del ${route} 2>/dev/null; sleep 0.05; done`;
  const daemon = new LineProcess(node.enter(["sh", "-c", fight]), () => undefined);
  try {
    await until(
      "the agent says that it is fought with",
      { deadlineMs: SOON_MS },
      async () => (await unit.log()).includes('"drift.contested"') || undefined,
    );
    await systemClock.sleep(SLOWED_MS, NEVER);
  } finally {
    await daemon.end("SIGKILL");
  }
  const seconds = (systemClock.monotonicMs() - since) / 1000;
  const cpu = (await cpuSeconds(unit)) - before.cpu;
  const repairs = (await metricSum(node, REPAIRS)) - before.repairs;
  assert.ok(repairs <= MOST_REPAIRS, `${repairs} repairs`);
  assert.ok(cpu <= seconds * MOST_CPU, `${cpu} s of CPU in ${seconds} s`);
  const ended = systemClock.monotonicMs();
  await until(
    "the route is back",
    { deadlineMs: SOON_MS, everyMs: 20 },
    async () =>
      (await readKernel(node)).routes.some(({ destination }) => destination === route) || undefined,
  );
  const backMs = Math.round(systemClock.monotonicMs() - ended);
  const share = ((100 * cpu) / seconds).toFixed(1);
  return `${repairs} repairs in ${seconds.toFixed(1)} s, ${share} % of a CPU; back ${backMs} ms after the end`;
}

async function handEdit(node: Machine, peer: LeaseRow, kind: number): Promise<number> {
  const gateway = peer.subnet.replace("/24", "");
  const edits = [
    ["ip", "route", "del", peer.subnet],
    ["ip", "neigh", "del", gateway, "dev", "flannel.1"],
    ["bridge", "fdb", "del", peer.vtepMac, "dev", "flannel.1"],
  ];
  await node.exec(edits[kind] ?? []);
  const since = systemClock.monotonicMs();
  await until(
    `edit ${kind} of ${peer.subnet} is undone`,
    { deadlineMs: SOON_MS, everyMs: 5 },
    async () => {
      const { routes, neighbours, fdb } = await readKernel(node);
      const has = [
        routes.some(({ destination }) => destination === peer.subnet),
        neighbours.some(({ ip, mac }) => ip === gateway && mac === peer.vtepMac),
        fdb.some(({ mac, remote }) => mac === peer.vtepMac && remote === peer.publicIp),
      ];
      return has[kind] === true ? true : undefined;
    },
  );
  return systemClock.monotonicMs() - since;
}
