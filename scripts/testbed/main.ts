/** Entry of `scripts/lab`. Exit codes: 0 good, 1 a check or command failed, 2 wrong usage, 130 interrupted. */
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { TwillError } from "../../common/errors.ts";
import { commandLine, type SettingOptions, settingArguments, type Verbs } from "./command-line.ts";
import { requireLinkType } from "./kernel-module.ts";
import { readLabFile } from "./lab-file.ts";
import { requireStartable } from "./preflight.ts";
import { isAlive } from "./process-identity.ts";
import { Report } from "./report.ts";
import { requireSettings, type Settings } from "./settings.ts";
import { labsFolder, supervisorLog } from "./site.ts";
import { supervise } from "./supervisor.ts";
import { runTour } from "./tour.ts";
import { execOn, say, showConsole, showLogs, takeDown, tell } from "./verbs.ts";

/** Below that there is nothing to ping. */
const FEWEST_NODES = 2;

const verbs: Verbs = {
  async tour(options) {
    const settings = settingsOf(options);
    if (settings.nodes < FEWEST_NODES) {
      throw new TwillError(
        "OPTION_INVALID",
        `--nodes: it takes ${FEWEST_NODES} to show a network; "up" starts smaller labs`,
      );
    }
    refuseIfUp(settings.name);
    await requireLinkType(settings.backend, settings.name);
    const interrupt = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.on(signal, () => {
        // The second time is a person's last word; the next start cleans up.
        if (interrupt.signal.aborted) process.exit(130);
        process.stderr.write("\ninterrupted: cleaning up ...\n");
        interrupt.abort(new TwillError("SHUTTING_DOWN", "interrupted"));
      });
    }
    const good = await runTour(settings, new Report(process.stdout), interrupt.signal);
    return good ? 0 : 1;
  },

  async up(options) {
    const settings = settingsOf(options);
    refuseIfUp(settings.name);
    await requireLinkType(settings.backend, settings.name);
    await startSupervisor(settings.name, options);
    say(`\nup; try: scripts/lab status, scripts/lab exec node1 -- ip route, scripts/lab down`);
    return 0;
  },

  async supervise(options) {
    const toParent = (message: object): void => void process.send?.(message);
    try {
      await supervise(
        settingsOf(options),
        (line) => toParent({ line }),
        () => toParent({ ready: true }),
      );
      return 0;
    } catch (error) {
      toParent({ failed: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  },

  async tell(lab, verb, args) {
    await tell(lab, verb, args);
    return 0;
  },
  exec: execOn,
  logs: showLogs,
  console: showConsole,
  async down(lab) {
    say((await takeDown(lab)) ? `lab "${lab}" is gone` : `no lab "${lab}" was up`);
    return 0;
  },
};

function settingsOf(options: SettingOptions): Settings {
  return requireSettings({ ...options, config: readConfig(options.config) });
}

function readConfig(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new TwillError("OPTION_INVALID", `--config: cannot read ${file}`, { cause });
  }
}

function refuseIfUp(name: string): void {
  requireStartable(name);
  const owner = readLabFile(name)?.owner;
  if (owner === undefined || !isAlive(owner)) return;
  throw new TwillError(
    "OPTION_INVALID",
    `lab "${name}" is up (pid ${owner.pid}); end it with "scripts/lab down", or give another --name`,
  );
}

/** Starts ourselves again in the background with the verb "supervise" and waits until the lab is up. */
async function startSupervisor(name: string, options: SettingOptions): Promise<void> {
  mkdirSync(labsFolder(), { recursive: true });
  const log = openSync(supervisorLog(name), "w");
  const [, script = ""] = process.argv;
  const child = spawn(process.execPath, [script, "supervise", ...settingArguments(options)], {
    detached: true,
    stdio: ["ignore", log, log, "ipc"],
  });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.on("message", (message) => {
      if (typeof message !== "object" || message === null) return;
      if ("line" in message) say(`  ${String(message.line)}`);
      if ("ready" in message) resolve();
      if ("failed" in message) reject(new TwillError("COMMAND_FAILED", String(message.failed)));
    });
    child.once("exit", (code) => {
      const where = supervisorLog(name);
      reject(new TwillError("COMMAND_FAILED", `the lab ended with code ${code}; see ${where}`));
    });
  });
  child.disconnect();
  child.unref();
}

async function main(): Promise<void> {
  const program = commandLine(verbs, (exit) => {
    process.exitCode = exit;
  });
  try {
    await program.parseAsync();
  } catch (error) {
    const known = TwillError.from(error);
    if (known.code === "SHUTTING_DOWN") process.exitCode = 130;
    else process.exitCode = known.code === "OPTION_INVALID" ? 2 : 1;
    const text = known.code === "BUG" && error instanceof Error ? error.stack : known.message;
    for (const line of (text ?? "").split("\n")) process.stderr.write(`lab: ${line}\n`);
  }
}

await main();
