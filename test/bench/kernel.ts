/**
 * What programming the kernel costs, compared with `ip -batch` and `bridge -batch` doing the
 * same in the same run. Started by hand, as root, prints one JSON line per figure:
 *   node dist/test/bench/kernel.js [--peers 1000,10000] [--rounds 5] [--resync 20000]
 * Machines are noisy: compare ratios within a run, not times between runs.
 */
import { execFileSync } from "node:child_process";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import type { KernelChange } from "../../agent/kernel/kernel.ts";
import { NetlinkKernel } from "../../agent/kernel/netlink-kernel.ts";
import {
  deletion,
  ip,
  mac,
  putFdb,
  putNeighbour,
  putRoute,
  route,
  vxlan,
} from "../support/kernel-contract.ts";
import { NetworkNamespace } from "../support/netns.ts";
import { batchTimed } from "./support/ip-batch.ts";
import { median } from "./support/statistics.ts";

const { signal } = new AbortController();
/** Enough that the kernel's insertion is not quadratic: it hashes routes without the gateway. */
const METRICS = 1024;

const { values } = parseArgs({
  options: {
    peers: { type: "string", default: "1000,10000" },
    rounds: { type: "string", default: "5" },
    resync: { type: "string", default: "20000" },
  },
});

const rounds = Number(values.rounds);
for (const peers of values.peers.split(",").map(Number)) {
  await measureBatch({ peers, rounds, metrics: METRICS });
  await measureBatch({ peers, rounds, metrics: 1 });
}
await measureOnePeer();
await measureResync(Number(values.resync), rounds);
measureMemory();

interface Batch {
  readonly peers: number;
  readonly rounds: number;
  readonly metrics: number;
}

async function measureBatch({ peers, rounds, metrics }: Batch): Promise<void> {
  await using bed = await openBed();
  const puts = changesOf(peers, metrics);
  const deletes = puts.map(deletion);
  const samples: Record<"add" | "delete", { ours: number; theirs: number; lag: number }[]> = {
    add: [],
    delete: [],
  };
  // The first round warms both sides up and is not counted.
  for (let round = 0; round <= rounds; round += 1) {
    const ours = [await applyTimed(bed.kernel, puts), await applyTimed(bed.kernel, deletes)];
    const theirs = [batchTimed(bed.namespace.name, puts), batchTimed(bed.namespace.name, deletes)];
    if (round === 0) continue;
    for (const [index, phase] of (["add", "delete"] as const).entries()) {
      const { ms = 0, lag = 0 } = ours[index] ?? {};
      samples[phase].push({ ours: ms, theirs: theirs[index] ?? 0, lag });
    }
  }
  for (const phase of ["add", "delete"] as const) {
    const of = samples[phase];
    print(`kernel.${phase}`, {
      peers,
      metrics,
      twill_ms: median(of.map(({ ours }) => ours)),
      batch_ms: median(of.map(({ theirs }) => theirs)),
      batch_to_twill: median(of.map(({ ours, theirs }) => theirs / ours)),
      loop_lag_ms: median(of.map(({ lag }) => lag)),
      rounds,
    });
  }
}

async function measureOnePeer(): Promise<void> {
  const TIMES = 300;
  await using bed = await openBed();
  const puts = changesOf(TIMES, 1);
  const perPeer = puts.length / TIMES;
  const times: number[] = [];
  for (let at = 0; at < puts.length; at += perPeer) {
    times.push((await applyTimed(bed.kernel, puts.slice(at, at + perPeer))).ms);
  }
  print("kernel.one_peer", { p50_ms: median(times), times: TIMES });
}

async function measureResync(peers: number, rounds: number): Promise<void> {
  await using bed = await openBed();
  await bed.kernel.apply(changesOf(peers, METRICS), signal);
  const times: number[] = [];
  const lags: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const { ms, lag } = await timed(async () => {
      const [routes, neighbours, fdb] = [
        await bed.kernel.listRoutes(signal),
        await bed.kernel.listNeighbours("flannel.1", signal),
        await bed.kernel.listFdb("flannel.1", signal),
      ];
      if (Math.min(routes.length, neighbours.length, fdb.length) < peers) {
        throw new Error("the kernel does not hold what was put");
      }
    });
    if (round === 0) print("kernel.resync_cold", { peers, ms });
    else {
      times.push(ms);
      lags.push(lag);
    }
  }
  print("kernel.resync", { peers, ms: median(times), loop_lag_ms: median(lags), rounds });
}

/** In processes of their own: this one has the tests' helpers loaded. */
function measureMemory(): void {
  const kernelFile = new URL("../../agent/kernel/netlink-kernel.js", import.meta.url);
  const useKernel = `
    const { NetlinkKernel } = await import(${JSON.stringify(kernelFile.href)});
    const kernel = new NetlinkKernel();
    const watch = kernel.watch(() => undefined);
    const { signal } = new AbortController();
    await kernel.listLinks(signal);
    await kernel.listRoutes(signal);
    watch[Symbol.dispose]();`;
  for (const [what, use] of [
    ["bare", ""],
    ["kernel open", useKernel],
  ] as const) {
    const script = `
      import { readFileSync } from "node:fs";
      const started = performance.now();
      ${use}
      const used = performance.now() - started;
      process.stdout.write(used + " " + readFileSync("/proc/self/status", "utf8"));`;
    const argv = ["--input-type=module", "--eval", script];
    const told = execFileSync(process.execPath, argv, { encoding: "utf8" });
    const kib = Number(/VmRSS:\s+([0-9]+)/.exec(told)?.[1]);
    print("kernel.memory", {
      process: what,
      rss_mib: kib / 1024,
      first_use_ms: Number.parseFloat(told),
    });
  }
}

interface Bed extends AsyncDisposable {
  readonly kernel: NetlinkKernel;
  readonly namespace: NetworkNamespace;
}

async function openBed(): Promise<Bed> {
  const namespace = await NetworkNamespace.create();
  const kernel = new NetlinkKernel({ netns: namespace.path });
  await namespace.addCard("eth0", "10.99.0.1/24");
  await kernel.createLink(vxlan(), signal);
  await kernel.setLink("flannel.1", { up: true }, signal);
  return {
    kernel,
    namespace,
    [Symbol.asyncDispose]: async () => {
      await kernel[Symbol.asyncDispose]();
      await namespace[Symbol.asyncDispose]();
    },
  };
}

function changesOf(peers: number, metrics: number): readonly KernelChange[] {
  return Array.from({ length: peers }, (_, index) => {
    const network = `10.${64 + (index >> 8)}.${index & 255}.0`;
    const hex = (value: number): string => value.toString(16).padStart(2, "0");
    const lladdr = mac(`02:00:00:00:${hex(index >> 8)}:${hex(index & 255)}`);
    const metric = metrics === 1 ? {} : { metric: 1 + (index % metrics) };
    return [
      putNeighbour({ device: "flannel.1", ip: ip(network), mac: lladdr }),
      putFdb({ device: "flannel.1", mac: lladdr, remote: ip("10.99.0.2") }),
      putRoute(route(`${network}/24`, network, metric)),
    ];
  }).flat();
}

async function applyTimed(
  kernel: NetlinkKernel,
  changes: readonly KernelChange[],
): Promise<{ ms: number; lag: number }> {
  return timed(async () => {
    const failures = await kernel.apply(changes, signal);
    if (failures.length > 0) throw new Error(`refused: ${failures[0]?.errno}`);
  });
}

async function timed(work: () => Promise<void>): Promise<{ ms: number; lag: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const started = performance.now();
  await work();
  const ms = performance.now() - started;
  await new Promise((resolve) => setTimeout(resolve, 2));
  delay.disable();
  return { ms, lag: delay.max / 1e6 };
}

function print(figure: string, data: Readonly<Record<string, number | string>>): void {
  const rounded = Object.entries(data).map(([name, value]) => [
    name,
    typeof value === "number" ? Math.round(value * 100) / 100 : value,
  ]);
  process.stdout.write(`${JSON.stringify({ figure, ...Object.fromEntries(rounded) })}\n`);
}
