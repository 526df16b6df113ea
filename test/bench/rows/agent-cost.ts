/**
 * Row 9: what one agent with a thousand peers costs its machine: memory, CPU at rest, and the time
 * from its start to a kernel in sync; as installed, and in the small-memory profile.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Lab } from "../../../scripts/testbed/lab.ts";
import { until } from "../../../scripts/testbed/poll.ts";
import { SUBNETS } from "../../../scripts/testbed/registry.ts";
import type { Unit } from "../../../scripts/testbed/unit.ts";
import { leaseValue } from "../../support/lease-texts.ts";
import { numberedMac } from "../../support/leases.ts";
import { cpuMsOf, rssMibOf } from "../support/machine.ts";
import { type Bench, below, type Row } from "../support/row.ts";
import { median } from "../support/statistics.ts";

const PEERS = 1000;
const CONFIG = '{"Network":"10.0.0.0/8","SubnetLen":24,"Backend":{"Type":"vxlan"}}';
const PER_TRANSACTION = 100;
const RESTARTS = 5;
/** Garbage of the start is gone, and several rounds of heartbeats are in it. */
const IDLE_MS = 40_000;
const PROFILES = {
  installed: { flags: [], rssMib: 70 },
  small: { flags: ["--lite-mode", "--max-semi-space-size=1", "--v8-pool-size=1"], rssMib: 58 },
} as const;
type Profile = keyof typeof PROFILES;
const TARGETS = { idleCpu: 0.2, startMs: 500 } as const;
const SOON = { deadlineMs: 60_000, everyMs: 20 };

export const agentCost: Row = {
  name: "agent",
  what: "memory, CPU and start of one agent with 1,000 peers",
  needsRoot: true,
  async run(bench: Bench): Promise<void> {
    if (bench.quick) return;
    const size = { nodes: 1, controllers: 1, etcdMembers: 1, config: CONFIG };
    await using lab = await Lab.start({ name: "bench", ...size });
    await putPeers(lab);
    const agent = lab.unit("node1");
    const argv = agent.spec.argv;
    for (const profile of ["installed", "small"] as const) {
      const [node = "", ...rest] = argv;
      agent.replace([node, ...PROFILES[profile].flags, ...rest]);
      await measure(bench, agent, profile);
    }
  },
};

async function measure(bench: Bench, agent: Unit, profile: Profile): Promise<void> {
  const starts: number[] = [];
  for (let round = 0; round < RESTARTS; round += 1) starts.push(await restart(agent));
  await sleep(IDLE_MS / 4);
  const pid = agent.pid ?? 0;
  const beforeMs = cpuMsOf(pid);
  await sleep(IDLE_MS);
  const cpu = ((cpuMsOf(pid) - beforeMs) / IDLE_MS) * 100;
  const rssMib = rssMibOf(pid);
  const startMs = median(starts);
  const of = { peers: PEERS, profile };
  const limit = PROFILES[profile].rssMib;
  bench.report({
    figure: "agent.rss",
    value: rssMib,
    unit: "MiB",
    of,
    ...below(limit, rssMib, "MiB"),
  });
  bench.report({ figure: "agent.private", value: privateMib(pid), unit: "MiB", of });
  bench.report({
    ...{ figure: "agent.idle_cpu", value: cpu, unit: "%", of },
    ...below(TARGETS.idleCpu, cpu, "%"),
  });
  bench.report({
    ...{ figure: "agent.start_to_in_sync", value: startMs, unit: "ms", of },
    ...(profile === "installed" ? below(TARGETS.startMs, startMs, "ms") : {}),
  });
}

/** From the start of the process to its own word that the whole table is programmed. */
async function restart(agent: Unit): Promise<number> {
  await agent.stop();
  const before = (await agent.log()).length;
  const fromMs = Date.now();
  agent.start();
  return until("the agent is in sync", SOON, async () => {
    const fresh = (await agent.log()).slice(before);
    const line = fresh.split("\n").find((each) => each.includes('"event":"snapshot.applied"'));
    const at = /"timestamp":"([^"]+)"/.exec(line ?? "")?.[1];
    return at === undefined ? undefined : Date.parse(at) - fromMs;
  });
}

async function putPeers(lab: Lab): Promise<void> {
  for (let from = 0; from < PEERS; from += PER_TRANSACTION) {
    const puts = Array.from({ length: PER_TRANSACTION }, (_, index) => {
      const n = 1000 + from + index;
      const value = leaseValue(`100.64.${n >> 8}.${n & 255}`, numberedMac(n));
      return `put ${SUBNETS}10.${n >> 8}.${n & 255}.0-24 ${JSON.stringify(value)}`;
    });
    // No compares, then what is done, then what would be done otherwise: nothing.
    await lab.registry.etcdctl(["txn"], { input: `\n${puts.join("\n")}\n\n\n` });
  }
  await until("the agent has its peers", SOON, async () => {
    const [node] = lab.nodes;
    const routes = await node?.exec(["ip", "route", "show", "dev", "flannel.1"]);
    return (routes?.split(" via ").length ?? 0) > PEERS || undefined;
  });
}

/** Pages that no other process maps: what one more agent costs a machine that runs node already. */
function privateMib(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const kib = [...text.matchAll(/Private_(?:Clean|Dirty):\s+(\d+)/g)].map(([, each]) =>
    Number(each),
  );
  return kib.reduce((sum, each) => sum + each, 0) / 1024;
}
