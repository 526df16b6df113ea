/**
 * Row 11: pod to pod between two nodes, per backend, against the raw underlay between the same
 * two nodes in the same run, in turns. The figure that means something is the ratio.
 */
import { Lab } from "../../../scripts/testbed/lab.ts";
import { LineProcess } from "../../../scripts/testbed/line-process.ts";
import type { Machine } from "../../../scripts/testbed/machine.ts";
import type { Pod } from "../../../scripts/testbed/pods.ts";
import { until } from "../../../scripts/testbed/poll.ts";
import { withPods } from "../../support/lab-checks.ts";
import { type Bench, mustBe, type Row } from "../support/row.ts";
import { median } from "../support/statistics.ts";

const BACKENDS = ["vxlan", "host-gw", "udp"] as const;
const ROUNDS = 3;
const SECONDS = "2";
const PINGS = "200";
const SOON = { deadlineMs: 20_000, everyMs: 50 };

/** A place that packets leave from or come to. */
interface End {
  readonly machine: Machine;
  readonly pod: string | undefined;
  readonly ip: string;
}

interface Sample {
  readonly one: number;
  readonly four: number;
  readonly rttUs: number;
}

export const dataPlane: Row = {
  name: "data-plane",
  what: "throughput and latency pod to pod, against the raw underlay",
  needsRoot: true,
  async run(bench: Bench): Promise<void> {
    if (bench.quick) return;
    for (const backend of BACKENDS) await measure(bench, backend);
  },
};

async function measure(bench: Bench, backend: string): Promise<void> {
  const config = JSON.stringify({ Network: "10.244.0.0/16", Backend: { Type: backend } });
  const size = { nodes: 2, controllers: 1, etcdMembers: 1 };
  await using lab = await Lab.start({ name: "bench", ...size, config });
  await withPods(lab);
  const [a, b] = lab.pods;
  mustBe(a !== undefined && b !== undefined, "there are two pods");
  if (a === undefined || b === undefined) return;
  const samples: { pods: Sample; raw: Sample }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const pods = await sample(podEnd(a), podEnd(b));
    samples.push({ pods, raw: await sample(nodeEnd(a), nodeEnd(b)) });
  }
  for (const [name, unit] of [
    ["one", "Gbit/s"],
    ["four", "Gbit/s"],
    ["rttUs", "µs"],
  ] as const) {
    const figure = `data-plane.${NAMES[name]}`;
    const pods = median(samples.map((each) => each.pods[name]));
    const raw = median(samples.map((each) => each.raw[name]));
    const ratio = median(samples.map((each) => each.pods[name] / each.raw[name]));
    bench.report({ figure, value: pods, unit, of: { backend } });
    bench.report({ figure, value: raw, unit, of: { backend: "raw underlay", beside: backend } });
    bench.report({ figure: `${figure}_to_raw`, value: ratio, unit: "times", of: { backend } });
  }
}

const NAMES = { one: "tcp_1", four: "tcp_4", rttUs: "rtt" } as const;

async function sample(from: End, to: End): Promise<Sample> {
  return {
    one: await tcp(from, to, "1"),
    four: await tcp(from, to, "4"),
    rttUs: await rtt(from, to),
  };
}

async function tcp(from: End, to: End, streams: string): Promise<number> {
  await using _server = new LineProcess(to.machine.enter(["iperf3", "-s", "-1"], to.pod), () => {
    // What it says is in the client's report.
  });
  await until("iperf3 listens", SOON, async () => {
    const listening = await run(to, ["ss", "-Hltn", "sport = :5201"]);
    return listening.includes(":5201") || undefined;
  });
  const client = ["iperf3", "-J", "-t", SECONDS, "-P", streams, "-c", to.ip];
  const bits = /"sum_received":\s*\{[^}]*"bits_per_second":\s*([0-9.e+]+)/.exec(
    await run(from, ["timeout", "-s", "KILL", "60", ...client]),
  )?.[1];
  mustBe(bits !== undefined, "iperf3 told no throughput");
  return Number(bits) / 1e9;
}

/** Mean round trip; ping's own rounding is microseconds. */
async function rtt(from: End, to: End): Promise<number> {
  const told = await run(from, ["ping", "-n", "-q", "-i", "0.002", "-c", PINGS, to.ip]);
  const mean = /= [0-9.]+\/([0-9.]+)\//.exec(told)?.[1];
  return Number(mean) * 1000;
}

function run({ machine, pod }: End, argv: readonly string[]): Promise<string> {
  return pod === undefined ? machine.exec(argv) : machine.execInPod(pod, argv);
}

function podEnd({ machine, name, ip }: Pod): End {
  return { machine, pod: name, ip };
}

function nodeEnd({ machine }: Pod): End {
  return { machine, pod: undefined, ip: machine.id.ip };
}
