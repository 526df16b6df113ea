/**
 * Row 4: the only controller is killed and started again; until every agent is connected, holds
 * its lease and has acknowledged the table. They resume by revision: nobody is sent a snapshot.
 */
import { nowMs } from "../support/clock.ts";
import { ControlPlane } from "../support/control-plane.ts";
import { cpuMsOf, rssMibOf } from "../support/machine.ts";
import { type Bench, below, mustBe, type Row } from "../support/row.ts";

const FULL = { nodes: [1000, 5000] } as const;
const QUICK = { nodes: [200] } as const;
const TARGETS = {
  plaintext: { seconds: 10, rssMib: 300 },
  mTLS: { seconds: 30, rssMib: 900 },
} as const;
/** What agents are told that come before the new process has read etcd. */
const JUST_STARTED = /"event":"stream.rejected".*it has just started/;
type Transport = keyof typeof TARGETS;

/** How a stream ends when its controller is killed, and how a connection fails while it starts. */
const FROM_THE_KILL = [
  "the connection closed",
  "read ECONNRESET",
  "write EPIPE",
  "write ECONNRESET",
  "socket hang up",
];
/** Not listening yet, or listening without a table yet. */
const WHILE_AWAY = ["connect ECONNREFUSED", "the controller ended the stream"];

export const restart: Row = {
  name: "restart",
  what: "a controller is killed and started again, until all agents are in sync",
  async run(bench: Bench): Promise<void> {
    for (const nodes of bench.nodes ?? (bench.quick ? QUICK : FULL).nodes) {
      await measure(bench, nodes, "plaintext");
      await measure(bench, nodes, "mTLS");
    }
  },
};

async function measure(bench: Bench, nodes: number, transport: Transport): Promise<void> {
  const tls = transport === "mTLS";
  await using plane = await ControlPlane.start({ agents: nodes, tls, bench });
  const { fleet, first } = plane;
  await fleet.connect();
  await fleet.register();
  const revision = await plane.write([1]);
  await plane.acknowledged(revision);
  const before = await fleet.report();
  await first.kill();
  const fromMs = nowMs();
  await first.restart();
  await plane.acknowledged(revision);
  const seconds = (nowMs() - fromMs) / 1000;
  const pid = first.pid ?? 0;
  const rssMib = rssMibOf(pid);
  const after = await fleet.report();
  const ends = lostStreams(after.lost);
  if (plane.isStrict) {
    mustBe(ends.failed === 0, `connections failed: ${JSON.stringify(after.lost)}`);
    mustBe(ends.killed <= nodes, `${ends.killed} streams of ${nodes} agents ended`);
  }
  mustBe(after.snapshots === before.snapshots, "agents were sent the table anew");
  await plane.mustBeClean({ lost: ends.killed + ends.refused, log: JUST_STARTED });
  const of = { nodes, leases: nodes, transport };
  const isTarget = nodes === 5000;
  const limit = TARGETS[transport];
  bench.report({
    ...{ figure: "restart.all_in_sync", value: seconds, unit: "s", of },
    ...(isTarget ? below(limit.seconds, seconds, "s") : {}),
  });
  bench.report({
    ...{ figure: "restart.rss", value: rssMib, unit: "MiB", of },
    ...(isTarget ? below(limit.rssMib, rssMib, "MiB") : {}),
  });
  bench.report({ figure: "restart.cpu", value: cpuMsOf(pid) / nodes, unit: "ms/agent", of });
}

function lostStreams(lost: Readonly<Record<string, number>>): {
  readonly killed: number;
  readonly refused: number;
  readonly failed: number;
} {
  const counted = { killed: 0, refused: 0, failed: 0 };
  for (const [reason, count] of Object.entries(lost)) {
    if (FROM_THE_KILL.includes(reason)) counted.killed += count;
    else if (WHILE_AWAY.some((start) => reason.startsWith(start))) counted.refused += count;
    else counted.failed += count;
  }
  return counted;
}
