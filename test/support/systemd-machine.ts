/**
 * Machines with systemd as PID 1, for tests of packages and units: this machine's disk with all
 * changes in memory, its own processes, cgroups, /run and /etc, in a network namespace that the
 * test made. Started in half a second, gone with the test.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { type CommandResult, run, tryRun } from "../../scripts/testbed/command.ts";
import type { NetworkNamespace } from "./netns.ts";
import { until } from "./until.ts";

const BOOT = fileURLToPath(
  new URL("../../../test/support/fixtures/boot-systemd.sh", import.meta.url),
);
const NAMESPACES = ["--mount", "--uts", "--ipc", "--cgroup", "--pid"];
const COMMAND_TIMEOUT_MS = 240_000;

export interface SystemdMachineOptions {
  readonly name: string;
  readonly network: NetworkNamespace;
  /** Lines of /etc/hosts besides localhost. */
  readonly hosts: readonly string[];
  /** The machine's /mnt/shared. */
  readonly shared: string;
}

export class SystemdMachine {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #work: string;
  readonly #cgroup: string;
  #init = "";

  private constructor(name: string, work: string, cgroup: string, child: ChildProcess) {
    this.name = name;
    this.#work = work;
    this.#cgroup = cgroup;
    this.#child = child;
  }

  /** Why there can be none here; undefined: there can. */
  static async missing(): Promise<string | undefined> {
    if (!existsSync("/lib/systemd/systemd")) return "systemd is not installed";
    return (await cgroupMount()) === "" ? "no cgroup2 file system is mounted" : undefined;
  }

  /** Booted, all its units started; ended after the test, its journal shown when that failed. */
  static async boot(t: TestContext, options: SystemdMachineOptions): Promise<SystemdMachine> {
    const { name, network, hosts, shared } = options;
    const work = mkdtempSync(join(tmpdir(), `twill-${name}-`));
    mkdirSync(join(work, "root"));
    mkdirSync(join(work, "shared"));
    writeFileSync(join(work, "hosts"), hosts.map((line) => `${line}\n`).join(""));
    await run(["mount", "--bind", shared, join(work, "shared")]);
    const cgroup = join(await cgroupMount(), `twill-test-${process.pid}-${name}`);
    mkdirSync(cgroup);
    // The shell moves itself, so that the machine's root cgroup is its own.
    const enter = `echo $$ > ${cgroup}/cgroup.procs && exec "$@"`;
    const argv = ["unshare", ...NAMESPACES, "--fork", "--kill-child", "bash", BOOT, work, name];
    const child = spawn("nsenter", [`--net=${network.path}`, "sh", "-c", enter, "sh", ...argv], {
      stdio: ["ignore", "ignore", "inherit"],
      detached: false,
    });
    const machine = new SystemdMachine(name, work, cgroup, child);
    t.after(() => machine.#end());
    await machine.#booted();
    return machine;
  }

  /** Standard output of a program that must succeed. */
  run(...argv: readonly string[]): Promise<string> {
    return run(this.#inside(argv), { timeoutMs: COMMAND_TIMEOUT_MS });
  }

  /** The same for one whose failure is an answer. */
  tryRun(...argv: readonly string[]): Promise<CommandResult> {
    return tryRun(this.#inside(argv), { timeoutMs: COMMAND_TIMEOUT_MS });
  }

  /** What an administrator would type as root, in root's home; stops at the first failure. */
  shell(script: string): Promise<string> {
    const login = "cd /root && export HOME=/root && set -euo pipefail";
    return this.run("bash", "--norc", "-c", `${login}\n${script}`);
  }

  /** One property of a unit, as `systemctl show` has it. */
  async property(unit: string, name: string): Promise<string> {
    return (await this.run("systemctl", "show", "--value", "-p", name, unit)).trim();
  }

  /** Waits until a unit's property matches. */
  async untilProperty(unit: string, name: string, pattern: RegExp): Promise<void> {
    let seen = "";
    const reads = async (): Promise<boolean> => {
      seen = await this.property(unit, name);
      return pattern.test(seen);
    };
    try {
      await until(`${unit} has ${name} ${pattern}`, reads, 60_000);
    } catch (error) {
      throw new Error(`${this.name}: ${String(error)}; it is "${seen}"\n${await this.journal()}`);
    }
  }

  journal(): Promise<string> {
    return this.run("journalctl", "--no-pager", "-o", "cat", "-n", "60");
  }

  #inside(argv: readonly string[]): readonly string[] {
    const all = ["-m", "-u", "-i", "-n", "-p", "-C", "--"];
    return ["nsenter", "-t", this.#init, ...all, ...argv];
  }

  async #booted(): Promise<void> {
    await until(`${this.name} has a PID 1`, () => this.#findInit(), 60_000);
    let state = "";
    const isUp = async (): Promise<boolean> => {
      state = (await this.tryRun("systemctl", "is-system-running")).stdout.trim();
      return state === "running" || state === "degraded";
    };
    await until(`${this.name} has booted`, isUp, 120_000).catch((error: unknown) => {
      throw new Error(`${String(error)}; systemd says "${state}"`);
    });
  }

  /** The first process of the new PID namespace, once it has become systemd. */
  #findInit(): boolean {
    if (this.#child.exitCode !== null) throw new Error(`${this.name} ended while booting`);
    const pid = String(this.#child.pid);
    const children = `/proc/${pid}/task/${pid}/children`;
    this.#init = existsSync(children) ? readFileSync(children, "utf8").trim() : "";
    const name = `/proc/${this.#init}/comm`;
    return this.#init !== "" && existsSync(name) && readFileSync(name, "utf8") === "systemd\n";
  }

  async #end(): Promise<void> {
    // Killing PID 1 ends every process of its namespace.
    if (this.#init !== "") await tryRun(["kill", "-KILL", this.#init]);
    this.#child.kill("SIGKILL");
    await tryRun(["umount", "-l", join(this.#work, "shared")]);
    await until(`the cgroups of ${this.name} are empty`, () => this.#removeCgroups());
    rmSync(this.#work, { recursive: true, force: true });
  }

  async #removeCgroups(): Promise<boolean> {
    await tryRun(["find", this.#cgroup, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
    await rmdir(this.#cgroup).catch(() => undefined);
    return !existsSync(this.#cgroup);
  }
}

async function cgroupMount(): Promise<string> {
  const { stdout } = await tryRun(["findmnt", "-nt", "cgroup2", "-o", "TARGET"]);
  return stdout.split("\n")[0] ?? "";
}
