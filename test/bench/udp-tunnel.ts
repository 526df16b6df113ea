/**
 * How fast the udp backend's tunnel is, against a proxy that moves one packet per system call
 * as flannel's does, both measured in alternating rounds on this machine:
 *   node dist/test/bench/udp-tunnel.js [--rounds 5] [--seconds 3] [--steps]
 *     [--also '{"threads":1}']...
 * One JSON line per measurement, then one per kind with the medians and their ratios to the
 * plain proxy. --steps also measures what each technique adds, --also another tuning. Needs
 * root, iperf3, ping, cc.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { TunnelTuning } from "../../agent/tunnel/udp-tunnel.ts";
import { iperf } from "../support/iperf.ts";
import {
  type EndKind,
  execIn,
  type Node,
  TunnelBed,
  type TunnelEnd,
} from "../support/tunnel-bed.ts";

interface Kind {
  readonly name: string;
  readonly end: EndKind;
  readonly tuning?: Partial<TunnelTuning>;
}

const PLAIN: Kind = { name: "plain", end: "plain" };
const OURS: Kind = { name: "ours", end: "ours" };
const NO_JOINS = { joinTcp: false, joinUdp: false };
/** Each adds one technique to the one before; "ours" adds the last. */
const STEPS: readonly Kind[] = [
  { name: "1 call per packet", end: "ours", tuning: { offloads: false, batch: 1, ...NO_JOINS } },
  { name: "+ batches of 32", end: "ours", tuning: { offloads: false, ...NO_JOINS } },
  { name: "+ segmentation offload", end: "ours", tuning: { ...NO_JOINS } },
  { name: "+ joining TCP", end: "ours", tuning: { joinUdp: false } },
];

interface Figures {
  readonly tcp1Gbps: number;
  readonly tcp4Gbps: number;
  readonly rttMicros: number;
  readonly rtt99Micros: number;
  /** 64-byte datagrams a second that reached the pod, as fast as one sender can. */
  readonly udpKpps: number;
  /** CPU of both ends for one gigabyte of TCP. */
  readonly cpuSecondsPerGb: number;
  readonly rssMib: number;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    steps: { type: "boolean", default: false },
    also: { type: "string", multiple: true, default: [] },
  },
});
const rounds = Number(values.rounds);
const seconds = values.seconds;
const also = values.also.map((json): Kind => ({ name: json, end: "ours", tuning: tuningOf(json) }));
const kinds = [PLAIN, ...(values.steps ? STEPS : []), OURS, ...also];

const results = new Map<string, Figures[]>(kinds.map(({ name }) => [name, []]));
const bed = await TunnelBed.create();
try {
  for (let round = 1; round <= rounds; round += 1) {
    for (const kind of kinds) {
      const figures = await measure(kind);
      results.get(kind.name)?.push(figures);
      print({ round, kind: kind.name, ...figures });
    }
  }
} finally {
  await bed[Symbol.asyncDispose]();
}
summarise();

function tuningOf(json: string): Partial<TunnelTuning> {
  // Typed by hand on the command line of a benchmark.
  return JSON.parse(json) as Partial<TunnelTuning>;
}

async function measure({ end, tuning }: Kind): Promise<Figures> {
  const [one, two] = bed.nodes;
  const ends = [await bed.start(one, end, tuning), await bed.start(two, end, tuning)];
  const from = { namespace: one.pod };
  const to = { namespace: two.pod, ip: two.podIp };
  try {
    // Compiles the loops; what a daemon that runs for months does once.
    await iperf(from, to, ["-t", "1"]);
    const rtts = await pingMicros(one, two);
    const cpuBefore = cpuSeconds(ends);
    const tcp1 = await iperf(from, to, ["-t", seconds]);
    const cpu = cpuSeconds(ends) - cpuBefore;
    const tcp4 = await iperf(from, to, ["-t", seconds, "-P", "4"]);
    const udpKpps = await deliveredKpps(two, () =>
      iperf(from, to, ["-t", seconds, "-u", "-b", "0", "-l", "64"]),
    );
    return {
      tcp1Gbps: tcp1.bitsPerSecond / 1e9,
      tcp4Gbps: tcp4.bitsPerSecond / 1e9,
      rttMicros: quantile(rtts, 0.5),
      rtt99Micros: quantile(rtts, 0.99),
      udpKpps,
      cpuSecondsPerGb: cpu / ((tcp1.bitsPerSecond * Number(seconds)) / 8e9),
      rssMib: Math.max(...ends.map(({ pid }) => rssMib(pid))),
    };
  } finally {
    for (const node of bed.nodes) await bed.remove(node);
  }
}

async function pingMicros(from: Node, to: Node): Promise<number[]> {
  const { stdout } = await execIn(from.pod, ["ping", "-n", "-i", "0.003", "-c", "600", to.podIp]);
  return [...stdout.matchAll(/time=([0-9.]+) ms/g)].map((match) => Number(match[1]) * 1000);
}

/** What reached the pod, read or not: the receiving program is not what is measured. */
async function deliveredKpps(to: Node, load: () => Promise<unknown>): Promise<number> {
  const before = await udpArrived(to);
  const started = performance.now();
  await load();
  const elapsedMs = performance.now() - started;
  const arrived = (await udpArrived(to)) - before;
  return arrived / Math.min(elapsedMs, Number(seconds) * 1000);
}

async function udpArrived(at: Node): Promise<number> {
  const { stdout } = await execIn(at.pod, ["cat", "/proc/net/snmp"]);
  const [names = [], numbers = []] = stdout
    .split("\n")
    .filter((line) => line.startsWith("Udp:"))
    .map((line) => line.split(" "));
  const column = (name: string): number => Number(numbers[names.indexOf(name)]);
  return column("InDatagrams") + column("InErrors");
}

/** User and system time; a namespace's process keeps its pid through ip netns exec. */
function cpuSeconds(ends: readonly TunnelEnd[]): number {
  const ticks = ends.map(({ pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((a, b) => a + b, 0) / 100;
}

function rssMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+([0-9]+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? 0;
}

function summarise(): void {
  const mediansOf = (name: string): Record<string, number> => {
    const figures = results.get(name) ?? [];
    const names = Object.keys(figures[0] ?? {});
    const column = (key: string): number[] =>
      figures.map((one) => Number(Object.entries(one).find(([name]) => name === key)?.[1]));
    return Object.fromEntries(names.map((key) => [key, quantile(column(key), 0.5)]));
  };
  const plain = mediansOf(PLAIN.name);
  for (const { name } of kinds) {
    const medians = mediansOf(name);
    const ratio = (key: string): number => (medians[key] ?? 0) / (plain[key] ?? 1);
    print({
      kind: name,
      medians: true,
      rounds,
      ...medians,
      tcp1Ratio: ratio("tcp1Gbps"),
      tcp4Ratio: ratio("tcp4Gbps"),
      rttRatio: ratio("rttMicros"),
      udpRatio: ratio("udpKpps"),
    });
  }
}

function print(line: Readonly<Record<string, unknown>>): void {
  const rounded = Object.entries(line).map(([key, value]) => [
    key,
    typeof value === "number" ? Number(value.toPrecision(4)) : value,
  ]);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(rounded))}\n`);
}
