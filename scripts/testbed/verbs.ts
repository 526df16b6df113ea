/** The verbs of the lab command that work on a lab somebody else started: asked by socket, or done right here. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { TwillError } from "../../common/errors.ts";
import { parsePort } from "../../common/net/host-port.ts";
import { openConsoleDoor } from "./console-door.ts";
import { ask } from "./control.ts";
import { readLabFile } from "./lab-file.ts";
import { Machine } from "./machine.ts";
import { operatorEnvironment } from "./operator-environment.ts";
import { until } from "./poll.ts";
import { isAlive, signalProcess } from "./process-identity.ts";
import { controlSocket, logFile, type Site, siteOf, supervisorLog } from "./site.ts";
import { sweep } from "./sweep.ts";
import { machineId, parseMachineName } from "./topology.ts";

const END_MS = 15_000;

/** Passes a command on to the lab's supervisor. */
export async function tell(name: string, verb: string, args: readonly string[]): Promise<void> {
  const answered = await ask(controlSocket(siteOf(name)), { verb, args }, say);
  if (!answered) throw noLab(name);
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs a program on a machine or ("node1/pod1") in a pod, with our terminal; its exit code. */
export async function execOn(
  name: string,
  target: string,
  argv: readonly string[],
): Promise<number> {
  const [machineName = "", pod] = target.split("/");
  const id = parseMachineName(machineName);
  const file = readLabFile(name);
  if (file === undefined) throw noLab(name);
  const site = siteOf(name);
  if (id === undefined || !existsSync(join(site.folder, "machines", id.name, "holder.json"))) {
    throw new TwillError("OPTION_INVALID", `there is no machine "${machineName}"; see lab status`);
  }
  const machine = new Machine(site, id, operatorEnvironment(file, id.role));
  const command = argv.length > 0 ? argv : ["bash", "--norc"];
  const [program = "", ...rest] = machine.enter(command, pod);
  const terminal = { TERM: process.env["TERM"] ?? "dumb", PS1: `${target}# ` };
  return ended(spawn(program, rest, { stdio: "inherit", env: { ...machine.env, ...terminal } }));
}

/** Serves the lab's console to browsers of this machine until it is interrupted. */
export async function showConsole(name: string, port: string): Promise<number> {
  const file = readLabFile(name);
  if (file === undefined) throw noLab(name);
  const listen = parsePort(port);
  if (listen === undefined) throw new TwillError("OPTION_INVALID", `--port: not a port: "${port}"`);
  const id = machineId("controller", 1);
  const machine = new Machine(siteOf(name), id, operatorEnvironment(file, id.role));
  const { controllers, insecure = false } = file;
  const door = await openConsoleDoor({ machine, controllers, insecure, port: listen });
  say(`the console of lab "${name}": ${door.url} (Ctrl-C ends it)`);
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  await door.close();
  return 0;
}

/** Shows the logs of some daemons, or of all; the file names are the machines' names. */
export async function showLogs(
  name: string,
  units: readonly string[],
  options: { readonly follow: boolean; readonly lines: string },
): Promise<number> {
  const site = siteOf(name);
  if (readLabFile(name) === undefined) throw noLab(name);
  const files = units.length > 0 ? units.map((unit) => logOf(site, unit)) : allLogs(site);
  const follow = options.follow ? ["--follow"] : [];
  const argv = ["--lines", options.lines, ...follow, ...files];
  return ended(spawn("tail", argv, { stdio: "inherit" }));
}

/** Ends the lab, however it is: by its supervisor if that answers, by hand if not. */
export async function takeDown(name: string): Promise<boolean> {
  const owner = readLabFile(name)?.owner;
  if (owner !== undefined && isAlive(owner)) {
    const asked = await ask(controlSocket(siteOf(name)), { verb: "down", args: [] }, say);
    if (!asked) signalProcess(owner, "SIGTERM");
    await until("the lab's supervisor has ended", { deadlineMs: END_MS }, () =>
      isAlive(owner) ? undefined : true,
    ).catch(() => signalProcess(owner, "SIGKILL"));
  }
  rmSync(supervisorLog(name), { force: true });
  return (await sweep(name)) || owner !== undefined;
}

function allLogs(site: Site): string[] {
  const folder = join(site.folder, "logs");
  return readdirSync(folder)
    .sort()
    .map((file) => join(folder, file));
}

function logOf(site: Site, unit: string): string {
  const file = logFile(site, unit);
  if (existsSync(file)) return file;
  throw new TwillError("OPTION_INVALID", `nothing called "${unit}" has a log; see lab status`);
}

function noLab(name: string): TwillError {
  return new TwillError("OPTION_INVALID", `no lab "${name}" is up; start one with: scripts/lab up`);
}

async function ended(child: ChildProcess): Promise<number> {
  // Ctrl-C is the program's: the terminal sends it to both.
  const ignore = (): void => undefined;
  process.on("SIGINT", ignore);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code ?? 1));
    });
  } finally {
    process.removeListener("SIGINT", ignore);
  }
}
