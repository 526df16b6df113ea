/**
 * One fault after the other on one living lab. While a fault is made and survived, every pod
 * pings the next 100 times a second; afterwards every kernel must hold what etcd says, a new
 * lease must reach every node, and no daemon may have repeated itself in its log.
 */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { systemClock } from "../../common/async/clock.ts";
import { isJsonObject } from "../../common/config/json-fields.ts";
import { REPEAT_MS } from "../../common/log.ts";
import type { Lab } from "../../scripts/testbed/lab.ts";
import { Pinger } from "../../scripts/testbed/pinger.ts";
import { until } from "../../scripts/testbed/poll.ts";
import type { Unit } from "../../scripts/testbed/unit.ts";
import { changesArrive } from "./lab-checks.ts";

export interface Fault {
  readonly name: string;
  /** Makes the fault and waits until it is over; what it answers is put into the report. */
  readonly run: () => Promise<string>;
  /** Pings may be lost: the fault takes the network under the overlay, or the overlay itself, away. */
  readonly costsPings?: boolean;
}

/** Timers and clocks of a busy machine are not exact. */
const RATE_SLACK_MS = 100;
const LEADER_MS = 30_000;

export async function survive(t: TestContext, lab: Lab, fault: Fault): Promise<void> {
  await t.test(fault.name, async (sub) => {
    const { pods } = lab;
    const pingers = await Promise.all(
      pods.map((from, index) => Pinger.start(from, pods[(index + 1) % pods.length] ?? from)),
    );
    let told = "";
    let settledMs = 0;
    try {
      told = await fault.run();
      const since = systemClock.monotonicMs();
      await changesArrive(lab);
      settledMs = systemClock.monotonicMs() - since;
    } finally {
      await repair(lab);
      const reports = await Promise.all(pingers.map((pinger) => pinger.stop()));
      const sum = (count: "sent" | "lost"): number => reports.reduce((n, r) => n + r[count], 0);
      const pings = `${sum("lost")} of ${sum("sent")} pings lost`;
      sub.diagnostic(`${fault.name}: ${pings}; ${told}; changes arrive ${settledMs | 0} ms later`);
      if (fault.costsPings !== true) assert.equal(sum("lost"), 0, JSON.stringify(reports));
    }
  });
}

/** Whatever a fault that was not survived has left, so that the next one is judged alone. */
async function repair(lab: Lab): Promise<void> {
  await lab.underlay.healAll();
  for (const unit of lab.units) {
    unit.resume();
    unit.start();
  }
}

/** The controller that leads, by etcd. */
export function leaderOf(lab: Lab, other?: Unit): Promise<Unit> {
  return until("a controller leads", { deadlineMs: LEADER_MS, everyMs: 20 }, async () => {
    const unit = await lab.leader();
    return unit === other ? undefined : unit;
  });
}

/** How long a new node waits for its lease from now on; the node is taken away again. */
export async function nextAllocation(lab: Lab): Promise<number> {
  const since = systemClock.monotonicMs();
  const node = await lab.addNode();
  await lab.leaseOf(node);
  const took = systemClock.monotonicMs() - since;
  await lab.waitConverged();
  await lab.removeNode(node.name);
  await lab.waitConverged();
  return Math.round(took);
}

/** Warnings and errors about one thing come once in so long, in every log of the lab. */
export async function assertQuietLogs(lab: Lab): Promise<void> {
  const found: string[] = [];
  for (const unit of lab.units.filter(({ machine }) => machine.id.role !== "etcd")) {
    found.push(...repeats(unit.name, await unit.log()));
  }
  assert.deepEqual(found, []);
}

export function repeats(name: string, log: string): string[] {
  const last = new Map<string, number>();
  const found: string[] = [];
  for (const line of log.split("\n")) {
    const entry = parse(line);
    if (entry === undefined) continue;
    const { event, level, key, atMs } = entry;
    // A process that was started again may say it again.
    if (event === "process.started") last.clear();
    if (level !== "warn" && level !== "error") continue;
    const about = `${event} ${key}`;
    const before = last.get(about);
    if (before !== undefined && atMs - before < REPEAT_MS - RATE_SLACK_MS) {
      found.push(`${name} said ${about} again after ${atMs - before} ms`);
    }
    last.set(about, atMs);
  }
  return found;
}

function parse(
  line: string,
): { event: string; level: string; key: string; atMs: number } | undefined {
  try {
    const json: unknown = JSON.parse(line);
    if (!isJsonObject(json)) return undefined;
    const text = (name: string): string => {
      const value: unknown = Reflect.get(json, name);
      return typeof value === "string" ? value : "";
    };
    const atMs = Date.parse(text("timestamp"));
    return { event: text("event"), level: text("level"), key: text("key"), atMs };
  } catch {
    return undefined;
  }
}

/** CPU seconds the unit's process has used so far. */
export async function cpuSeconds(unit: Unit): Promise<number> {
  const stat = await unit.machine.exec(["cat", `/proc/${unit.pid}/stat`]);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
