/**
 * Everything that can happen to controllers and to etcd, each as a fault of a lab with three
 * of both: CI goes through them once, the soak again and again in any order.
 */
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../common/async/clock.ts";
import { CONTROLLER_PORT, ETCD_PORT } from "../../scripts/testbed/daemons.ts";
import type { Lab } from "../../scripts/testbed/lab.ts";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { PREFIX } from "../../scripts/testbed/registry.ts";
import type { Role } from "../../scripts/testbed/topology.ts";
import type { Unit } from "../../scripts/testbed/unit.ts";
import { DelayLine } from "./delay-line.ts";
import { cpuSeconds, type Fault, leaderOf, nextAllocation } from "./fault-run.ts";
import { deleteLease, putForeignLease, routedEverywhere, waitReady } from "./lab-checks.ts";

const SOON_MS = 30_000;
/** Enough for a few hundred changes; "etcd is full" fills it. */
export const ETCD_QUOTA = ["--quota-backend-bytes", String(16 * 1024 * 1024)];
/** A handshake over a line that loses every third exchange may need many attempts. */
const FAR_AWAY_MS = 120_000;
const NEVER = new AbortController().signal;

/** What happens to controllers and their lines. */
export function controllerFaults(lab: Lab): Fault[] {
  return [
    { name: "the leader is killed", run: () => leaderKilled(lab) },
    { name: "the leader is stopped past its TTL and goes on", run: () => leaderStopped(lab) },
    { name: "the leader is cut off from etcd", run: () => leaderCutFrom(lab, "etcd") },
    { name: "the leader is cut off from the agents", run: () => leaderCutFrom(lab, "node") },
    { name: "an agent starts while two controllers are stopped", run: () => metStopped(lab) },
    { name: "all controllers are gone while a peer goes", run: () => controllersGone(lab) },
    {
      name: "a live node's lease is deleted",
      costsPings: true,
      run: () => leaseDeleted(lab),
    },
    { name: "a fifth of the controllers' packets is lost", run: () => packetsLost(lab) },
    { name: "agents' lines are 300 ms long and lose a fifth", run: () => agentsFarAway(lab) },
  ];
}

/** What happens to etcd. */
export function etcdFaults(lab: Lab): Fault[] {
  return [
    { name: "one etcd member is killed", run: () => memberKilled(lab) },
    { name: "etcd answers 500 ms later", run: () => etcdSlow(lab) },
    { name: "etcd loses its quorum and gets it back", run: () => quorumLost(lab) },
    { name: "every etcd member is started again", run: () => membersRestarted(lab) },
    { name: "etcd is compacted while a controller is away", run: () => compactedAway(lab) },
    { name: "etcd is full", run: () => etcdFull(lab) },
    { name: "etcd is restored from an older snapshot", run: () => restored(lab) },
  ];
}

const units = (lab: Lab, role: Role): Unit[] =>
  lab.units.filter(({ machine }) => machine.id.role === role);

async function leaderKilled(lab: Lab): Promise<string> {
  const old = await leaderOf(lab);
  await old.crash({ restart: false });
  const tookMs = await nextAllocation(lab);
  old.start();
  await waitReady(old.machine);
  return `next allocation after ${tookMs} ms`;
}

async function leaderStopped(lab: Lab): Promise<string> {
  const old = await leaderOf(lab);
  old.pause();
  const since = systemClock.monotonicMs();
  const next = await leaderOf(lab, old);
  const tookMs = Math.round(systemClock.monotonicMs() - since);
  const allocationMs = await nextAllocation(lab);
  old.resume();
  await until("the old leader knows", { deadlineMs: SOON_MS }, async () =>
    (await old.log()).includes("leadership.lost") ? true : undefined,
  );
  assert.equal(await lab.leader(), next);
  assert.equal(new Set(await ownSubnets(lab)).size, lab.nodes.length);
  return `another leads after ${tookMs} ms, allocates in ${allocationMs} ms`;
}

async function leaderCutFrom(lab: Lab, role: Role): Promise<string> {
  const old = await leaderOf(lab);
  const since = systemClock.monotonicMs();
  for (const { machine } of units(lab, role)) await lab.cut(old.name, machine.name);
  if (role === "etcd") await leaderOf(lab, old);
  const subnet = await putForeignLease(lab, 210);
  await routedEverywhere(lab, subnet, true);
  const tookMs = Math.round(systemClock.monotonicMs() - since);
  await deleteLease(lab, subnet);
  await routedEverywhere(lab, subnet, false);
  await lab.underlay.healAll();
  await waitReady(old.machine);
  return `a change reached all nodes ${tookMs} ms after the cut`;
}

/** Their hosts accept connections; only the third answers. */
async function metStopped(lab: Lab): Promise<string> {
  const [answering, ...others] = units(lab, "controller");
  const [agent] = units(lab, "node");
  assert.ok(answering && agent);
  await agent.stop();
  for (const unit of others) unit.pause();
  agent.start();
  const since = systemClock.monotonicMs();
  await waitReady(agent.machine);
  const tookMs = Math.round(systemClock.monotonicMs() - since);
  for (const unit of others) unit.resume();
  return `the agent was ready after ${tookMs} ms`;
}

/** Meanwhile a peer goes and an agent starts anew: from its cached table, without taking anything away. */
async function controllersGone(lab: Lab): Promise<string> {
  const controllers = units(lab, "controller");
  const subnet = await putForeignLease(lab, 211);
  await routedEverywhere(lab, subnet, true);
  await Promise.all(controllers.map((unit) => unit.stop()));
  await deleteLease(lab, subnet);
  const [first, second] = units(lab, "node");
  assert.ok(first && second);
  await first.restart();
  await second.crash({ restart: true });
  await until("the agents run on their cached tables", { deadlineMs: SOON_MS }, async () => {
    const logs = await Promise.all([first.log(), second.log()]);
    return logs.every((log) => log.includes('"cache.loaded"')) ? true : undefined;
  });
  for (const unit of [first, second]) await waitReady(unit.machine);
  await routedEverywhere(lab, subnet, true);
  for (const unit of controllers) unit.start();
  const since = systemClock.monotonicMs();
  await routedEverywhere(lab, subnet, false);
  return `the orphan is gone ${Math.round(systemClock.monotonicMs() - since)} ms after their start`;
}

/** It is claimed again at once, the same one. */
async function leaseDeleted(lab: Lab): Promise<string> {
  const [node] = lab.nodes;
  assert.ok(node);
  const before = await lab.leaseOf(node);
  await lab.registry.etcdctl(["del", before.entry.key]);
  const since = systemClock.monotonicMs();
  const after = await lab.leaseOf(node);
  const tookMs = Math.round(systemClock.monotonicMs() - since);
  assert.equal(after.subnet, before.subnet);
  await lab.waitConverged();
  return `the node has it again after ${tookMs} ms`;
}

async function packetsLost(lab: Lab): Promise<string> {
  for (const { machine } of units(lab, "controller")) await lab.underlay.lose(machine, 20);
  const tookMs = await changeArrives(lab, 212);
  await lab.underlay.healAll();
  return `a change arrived in ${tookMs} ms`;
}

/** 300 ms in each direction, which no line on earth is, and every fifth packet lost. */
async function agentsFarAway(lab: Lab): Promise<string> {
  const targets = units(lab, "controller").map(({ machine }) => machine);
  await using line = await DelayLine.start(lab, {
    ...{ targets, port: CONTROLLER_PORT, delayMs: 300, lossPercent: 20 },
  });
  for (const node of lab.nodes) await line.divert(node);
  await restartedOneByOne(lab);
  const tookMs = await changeArrives(lab, 216, FAR_AWAY_MS);
  return `a change is in all kernels after ${tookMs} ms`;
}

/** 250 ms in each direction between every controller and every member. */
async function etcdSlow(lab: Lab): Promise<string> {
  const targets = units(lab, "etcd").map(({ machine }) => machine);
  await using line = await DelayLine.start(lab, { targets, port: ETCD_PORT, delayMs: 250 });
  for (const { machine } of units(lab, "controller")) await line.divert(machine);
  await restartedOneByOne(lab);
  await leaderOf(lab);
  const tookMs = await changeArrives(lab, 217);
  return `allocation in ${await nextAllocation(lab)} ms, a change is in all kernels after ${tookMs} ms`;
}

/** Every connection of the controllers is made anew. */
async function restartedOneByOne(lab: Lab): Promise<void> {
  for (const unit of units(lab, "controller")) {
    await unit.restart();
    await waitReady(unit.machine);
  }
}

/** How long a new lease takes into every kernel; it is withdrawn again. */
async function changeArrives(lab: Lab, index: number, deadlineMs = SOON_MS): Promise<number> {
  const since = systemClock.monotonicMs();
  const subnet = await putForeignLease(lab, index);
  await routedEverywhere(lab, subnet, true, deadlineMs);
  const tookMs = Math.round(systemClock.monotonicMs() - since);
  await deleteLease(lab, subnet);
  await routedEverywhere(lab, subnet, false, deadlineMs);
  return tookMs;
}

async function memberKilled(lab: Lab): Promise<string> {
  const member = lab.unit("etcd2");
  await member.crash({ restart: false });
  const tookMs = await nextAllocation(lab);
  member.start();
  await etcdHealthy(lab);
  return `allocation in ${tookMs} ms with two of three`;
}

async function quorumLost(lab: Lab): Promise<string> {
  const members = [lab.unit("etcd2"), lab.unit("etcd3")];
  await Promise.all(members.map((unit) => unit.crash({ restart: false })));
  const daemons = [...units(lab, "controller"), ...units(lab, "node")];
  const before = await Promise.all(daemons.map(cpuSeconds));
  // An outage longer than the leader's TTL: nobody leads, everything goes on.
  await systemClock.sleep(12_000, NEVER);
  const after = await Promise.all(daemons.map(cpuSeconds));
  const shares = after.map((seconds, index) => (seconds - (before[index] ?? 0)) / 12);
  for (const unit of members) unit.start();
  await etcdHealthy(lab);
  return `busiest process used ${(100 * Math.max(...shares)).toFixed(1)} % of a CPU meanwhile`;
}

async function membersRestarted(lab: Lab): Promise<string> {
  const members = units(lab, "etcd");
  await Promise.all(members.map((unit) => unit.crash({ restart: true })));
  await etcdHealthy(lab);
  return `allocation in ${await nextAllocation(lab)} ms`;
}

async function compactedAway(lab: Lab): Promise<string> {
  const leader = await leaderOf(lab);
  const away = units(lab, "controller").find((unit) => unit !== leader);
  assert.ok(away);
  for (const { machine } of units(lab, "etcd")) await lab.cut(away.name, machine.name);
  const subnet = await putForeignLease(lab, 213);
  await deleteLease(lab, subnet);
  await compact(lab);
  await lab.underlay.healAll();
  // Now everything hangs on the one that was away.
  const others = units(lab, "controller").filter((unit) => unit !== away);
  await Promise.all(others.map((unit) => unit.stop()));
  const again = await putForeignLease(lab, 214);
  await routedEverywhere(lab, again, true);
  await deleteLease(lab, again);
  for (const unit of others) unit.start();
  return "the one that was away served alone";
}

async function etcdFull(lab: Lab): Promise<string> {
  const value = "x".repeat(1_000_000);
  await until("etcd is full", { deadlineMs: SOON_MS, everyMs: 1 }, async () => {
    const alarms = await lab.registry.etcdctl(["alarm", "list"]);
    if (alarms.includes("NOSPACE")) return true;
    await lab.registry.etcdctl(["put", "/filling"], { input: value });
    return undefined;
  });
  await lab.waitConverged();
  await lab.registry.etcdctl(["del", "/filling"]);
  await compact(lab);
  for (const { machine } of units(lab, "etcd")) {
    await etcdctlOf(machine, ["defrag"]);
  }
  await lab.registry.etcdctl(["alarm", "disarm"]);
  return `allocation in ${await nextAllocation(lab)} ms afterwards`;
}

/** The cluster goes back in time: revisions that were seen come again with other contents. */
async function restored(lab: Lab): Promise<string> {
  const file = "/run/snapshot.db";
  await etcdctlOf(lab.machine("etcd1"), ["snapshot", "save", file]);
  const later = await putForeignLease(lab, 215);
  await routedEverywhere(lab, later, true);
  for (let n = 0; n < 50; n += 1) await lab.registry.put("/later", String(n));
  const members = units(lab, "etcd");
  const cluster = members.map(({ machine: { id } }) => `${id.name}=http://${id.ip}:2380`).join();
  const hostPath = (name: string): string =>
    join(lab.site.folder, "machines", name, "run", "snapshot.db");
  await Promise.all(members.map((unit) => unit.crash({ restart: false })));
  for (const { machine, spec } of members) {
    const { name, id } = machine;
    if (name !== "etcd1") copyFileSync(hostPath("etcd1"), hostPath(name));
    const folder = spec.argv[spec.argv.indexOf("--data-dir") + 1] ?? "";
    await machine.exec([
      ...["etcdctl", "snapshot", "restore", file, "--name", name],
      ...["--data-dir", `${folder}.restored`, "--initial-cluster", cluster],
      ...["--initial-advertise-peer-urls", `http://${id.ip}:2380`],
    ]);
    await machine.exec(["rm", "-rf", folder]);
    await machine.exec(["mv", `${folder}.restored`, folder]);
  }
  const since = systemClock.monotonicMs();
  for (const unit of members) unit.start();
  await etcdHealthy(lab);
  await routedEverywhere(lab, later, false);
  return `what was undone is withdrawn ${Math.round(systemClock.monotonicMs() - since)} ms after`;
}

async function ownSubnets(lab: Lab): Promise<string[]> {
  const addresses = new Set(lab.nodes.map(({ id }) => id.ip));
  const rows = await lab.registry.leases();
  return rows.filter(({ publicIp }) => addresses.has(publicIp)).map(({ subnet }) => subnet);
}

/** etcdctl that speaks to this member alone. */
async function etcdctlOf(machine: Machine, argv: readonly string[]): Promise<void> {
  const endpoint = `ETCDCTL_ENDPOINTS=http://${machine.id.ip}:2379`;
  await machine.exec(["env", endpoint, "etcdctl", ...argv]);
}

async function compact(lab: Lab): Promise<void> {
  const text = await lab.registry.etcdctl(["get", "-w", "json", `${PREFIX}/config`]);
  const revision = /"revision":([0-9]+)/.exec(text)?.[1] ?? "";
  await lab.registry.etcdctl(["compact", revision]);
}

async function etcdHealthy(lab: Lab): Promise<void> {
  await until("etcd is healthy", { deadlineMs: SOON_MS }, async () => {
    const health = await lab.registry.etcdctl(["endpoint", "health"]);
    return health.includes("unhealthy") ? undefined : true;
  });
}
