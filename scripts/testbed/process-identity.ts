/**
 * A process by pid and start time, so that a pid that was given to somebody else is never
 * signalled; and the processes that live in a namespace.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";

export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTime: string;
}

/** undefined when there is no such process (any more). */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readProc(`${pid}/stat`);
  // The second field is the name in brackets and may itself hold blanks and brackets.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields?.[0];
  const startTime = fields?.[19];
  return startTime === undefined || state === "Z" ? undefined : { pid, startTime };
}

/** The JSON text of an identity; undefined when it is anything else. */
export function parseIdentity(json: string): ProcessIdentity | undefined {
  const parsed: unknown = JSON.parse(json);
  return isIdentity(parsed) ? parsed : undefined;
}

export function isIdentity(value: unknown): value is ProcessIdentity {
  return (
    typeof value === "object" &&
    value !== null &&
    "pid" in value &&
    typeof value.pid === "number" &&
    "startTime" in value &&
    typeof value.startTime === "string"
  );
}

export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTime === process.startTime;
}

/** False when the process was gone already. */
export function signalProcess(target: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(target)) return false;
  try {
    return process.kill(target.pid, signal);
  } catch {
    return false;
  }
}

/** Processes whose namespace of this kind is one of the given (device and inode of a bound nsfs file). */
export function processesIn(
  kind: "uts" | "net",
  namespaceFiles: readonly string[],
): ProcessIdentity[] {
  const wanted = new Set(namespaceFiles.map(inodeOf).filter((inode) => inode !== undefined));
  if (wanted.size === 0) return [];
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .filter((pid) => wanted.has(inodeOf(`/proc/${pid}/ns/${kind}`) ?? ""))
    .map((pid) => identify(Number(pid)))
    .filter((found) => found !== undefined);
}

function inodeOf(file: string): string | undefined {
  try {
    const { dev, ino } = statSync(file);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return undefined;
  }
}
