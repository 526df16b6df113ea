/**
 * The machine a figure comes from, and whether it was quiet: what others used of its CPUs
 * meanwhile, and what the hypervisor took.
 */
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";

export interface Machine {
  readonly cpus: number;
  readonly model: string;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
}

export function describeMachine(): Machine {
  return {
    cpus: cpus().length,
    model: cpus()[0]?.model.trim() ?? "unknown",
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
}

/** Of all CPU time there was. */
export interface Quiet {
  readonly othersShare: number;
  readonly stealShare: number;
  readonly load1: number;
  readonly isBusy: boolean;
}

/** Above either share, a figure of time says more about the machine than about Twill. */
const BUSY = { others: 0.15, steal: 0.05 } as const;
const TICKS_PER_SECOND = 100;

interface Sample {
  readonly total: number;
  readonly idle: number;
  readonly steal: number;
  /** This process and its children that have ended. */
  readonly own: number;
}

/** Watches from now on; children must have ended when it is asked, or they count as others. */
export function watchMachine(): () => Quiet {
  const before = sample();
  return () => {
    const after = sample();
    const total = Math.max(1, after.total - before.total);
    const busy = total - (after.idle - before.idle);
    const steal = after.steal - before.steal;
    const others = Math.max(0, busy - steal - (after.own - before.own));
    const [othersShare, stealShare] = [others / total, steal / total];
    const isBusy = othersShare > BUSY.others || stealShare > BUSY.steal;
    return { othersShare, stealShare, load1: loadavg()[0] ?? 0, isBusy };
  };
}

function sample(): Sample {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = line
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const total = user + nice + system + idle + wait + irq + soft + steal;
  return { total, idle: idle + wait, steal, own: ownTicks() };
}

function ownTicks(): number {
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = statTicks(process.pid);
  return user + system + childUser + childSystem;
}

/** utime, stime, cutime, cstime of /proc/PID/stat; the name before them may hold spaces. */
function statTicks(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 15)
    .map(Number);
}

/** CPU milliseconds that a process has used. */
export function cpuMsOf(pid: number): number {
  const [user = 0, system = 0] = statTicks(pid);
  return ((user + system) * 1000) / TICKS_PER_SECOND;
}

export function rssMibOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]) / 1024;
}
