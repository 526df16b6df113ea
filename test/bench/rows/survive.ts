/**
 * Row 12: what restarts cost the packets. Every pod pings the next a thousand times a second
 * while one agent, all agents, and all controllers are killed and come back.
 */
import { DEFAULT_CONFIG, Lab } from "../../../scripts/testbed/lab.ts";
import { LineProcess } from "../../../scripts/testbed/line-process.ts";
import { readPing } from "../../../scripts/testbed/ping-report.ts";
import type { Pod } from "../../../scripts/testbed/pods.ts";
import { until } from "../../../scripts/testbed/poll.ts";
import { waitReady, withPods } from "../../support/lab-checks.ts";
import { type Bench, mustBe, type Row } from "../support/row.ts";

const NODES = 4;
const SOON = { deadlineMs: 30_000 };
const ANSWERS = 1000;
const WHO = ["one agent", "all agents", "all controllers"] as const;

export const survive: Row = {
  name: "survive",
  what: "pings lost while agents and controllers are killed",
  needsRoot: true,
  async run(bench: Bench): Promise<void> {
    if (bench.quick) return;
    const size = { nodes: NODES, controllers: 3, etcdMembers: 1, config: DEFAULT_CONFIG };
    await using lab = await Lab.start({ name: "bench", ...size });
    await withPods(lab);
    for (const killed of WHO) {
      const { sent, lost } = await pinged(lab, () => killAndAwait(lab, killed));
      mustBe(sent > ANSWERS, `only ${sent} pings were sent`);
      bench.report({
        ...{ figure: "survive.lost", value: lost, unit: "pings", of: { killed, sent } },
        ...{ target: "0 pings", isMet: lost === 0 },
      });
    }
  },
};

async function killAndAwait(lab: Lab, killed: (typeof WHO)[number]): Promise<void> {
  const role = killed === "all controllers" ? "controller" : "node";
  const all = lab.units.filter(({ machine }) => machine.id.role === role);
  const units = killed === "one agent" ? all.slice(0, 1) : all;
  await Promise.all(units.map((unit) => unit.crash({ restart: true })));
  for (const { machine } of units) await waitReady(machine);
  await lab.waitConverged();
}

async function pinged(
  lab: Lab,
  work: () => Promise<void>,
): Promise<{ readonly sent: number; readonly lost: number }> {
  const pods = lab.pods;
  const pingers = pods.map(
    (pod, index) => new FastPing(pod, pods[(index + 1) % pods.length] ?? pod),
  );
  for (const pinger of pingers) await pinger.answered(ANSWERS);
  await work();
  for (const pinger of pingers) await pinger.answered(ANSWERS);
  const reports = await Promise.all(pingers.map((pinger) => pinger.stop()));
  return {
    sent: reports.reduce((sum, report) => sum + report.sent, 0),
    lost: reports.reduce((sum, report) => sum + report.lost, 0),
  };
}

class FastPing {
  readonly #lines: string[] = [];
  readonly #process: LineProcess;

  constructor(from: Pod, to: Pod) {
    const ping = ["ping", "-n", "-D", "-i", "0.001", to.ip];
    const onLine = (line: string): void => {
      this.#lines.push(line);
    };
    this.#process = new LineProcess(from.machine.enter(ping, from.name), onLine);
  }

  /** So many more answers. */
  async answered(count: number): Promise<void> {
    const before = this.#lines.length;
    await until(`${count} answers`, SOON, () => this.#lines.length >= before + count || undefined);
  }

  async stop(): Promise<ReturnType<typeof readPing>> {
    await this.#process.end("SIGINT");
    return readPing(this.#lines);
  }
}
