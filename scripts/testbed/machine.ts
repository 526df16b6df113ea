/**
 * A machine of the lab: its own network, mount and UTS namespaces. Its disk is the host's,
 * with /etc and /var/lib as overlays and a /run of its own: default paths of the daemons
 * work on every machine. A process that only sleeps holds the mount namespace: binding it
 * to a file fails at random on kernels that hand out namespace ids per CPU (seen on 6.18).
 */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { TwillError } from "../../common/errors.ts";
import {
  type CommandOptions,
  type CommandResult,
  plainEnvironment,
  run,
  tryRun,
} from "./command.ts";
import {
  identify,
  isAlive,
  parseIdentity,
  processesIn,
  signalProcess,
} from "./process-identity.ts";
import { labsFolder, type Site } from "./site.ts";
import { type MachineId, machineNamespace } from "./topology.ts";

/** Folders of a machine's disk that are its own; the rest is the host's. */
const OVERLAYS = ["/etc", "/var/lib"] as const;

export class Machine {
  readonly id: MachineId;
  /** Name of its network namespace, as `ip -n` takes it. */
  readonly namespace: string;
  readonly #folder: string;
  /** Variables of an operator's shell on this machine. */
  readonly env: Readonly<Record<string, string>>;

  constructor(site: Site, id: MachineId, env: Readonly<Record<string, string>>) {
    this.id = id;
    this.namespace = machineNamespace(site.name, id);
    this.#folder = join(site.folder, "machines", id.name);
    this.env = env;
  }

  /** Makes the namespaces; the machine has no network yet (see Underlay.attach). */
  async create(): Promise<void> {
    for (const name of ["run", ...OVERLAYS.flatMap((path) => [upper(path), work(path)])]) {
      mkdirSync(join(this.#folder, name), { recursive: true });
    }
    writeFileSync(this.#utsFile, "");
    await run(["ip", "netns", "add", this.namespace]);
    const pid = await startHolder([
      ...["nsenter", `--net=/run/netns/${this.namespace}`],
      ...["unshare", "--mount", "--propagation=private", `--uts=${this.#utsFile}`],
      ...["sh", "-euc", DISK_SCRIPT, "sh", this.#folder, this.id.name, labsFolder()],
    ]);
    writeFileSync(this.#holderFile, JSON.stringify(identify(pid)));
  }

  get name(): string {
    return this.id.name;
  }

  /** argv that runs `argv` on this machine, in `pod` when given. The process keeps its pid. */
  enter(argv: readonly string[], pod?: string): string[] {
    const inPod = pod === undefined ? [] : ["ip", "netns", "exec", pod];
    const holder = `/proc/${this.#holder()}`;
    const namespaces = [`--mount=${holder}/ns/mnt`, `--uts=${this.#utsFile}`];
    // Entering a mount namespace would lead out of a chroot (schroot and the like).
    const root = [`--root=${holder}/root`, `--wd=${holder}/root`];
    const net = `--net=/run/netns/${this.namespace}`;
    return ["nsenter", net, ...namespaces, ...root, ...inPod, ...argv];
  }

  /** Runs a program on this machine; its standard output. */
  exec(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    return run(this.enter(argv), { env: this.env, ...options });
  }

  tryExec(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return tryRun(this.enter(argv), { env: this.env, ...options });
  }

  execInPod(pod: string, argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    return run(this.enter(argv, pod), { env: this.env, ...options });
  }

  tryExecInPod(
    pod: string,
    argv: readonly string[],
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    return tryRun(this.enter(argv, pod), { env: this.env, ...options });
  }

  /** A file below this machine's /run; undefined when it is not there. */
  readRunFile(path: string): string | undefined {
    try {
      return readFileSync(join(this.#folder, "run", path), "utf8");
    } catch {
      return undefined;
    }
  }

  /** Writes a file below this machine's /run. */
  writeRunFile(path: string, text: string, mode: number): void {
    const file = join(this.#folder, "run", path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    writeFileSync(file, text, { mode });
  }

  /** Kills whatever still runs on it and removes its namespaces. */
  async destroy(): Promise<void> {
    killAllOn([this.#utsFile]);
    await tryRun(["ip", "netns", "del", this.namespace]);
    await tryRun(["umount", "--lazy", this.#utsFile]);
  }

  get #utsFile(): string {
    return join(this.#folder, "uts");
  }

  get #holderFile(): string {
    return join(this.#folder, "holder.json");
  }

  /** Pid of the process that holds the mount namespace. */
  #holder(): number {
    const holder = parseIdentity(readFileSync(this.#holderFile, "utf8"));
    if (holder !== undefined && isAlive(holder)) return holder.pid;
    throw new TwillError(
      "COMMAND_FAILED",
      `${this.name} is gone: the process that held it was killed; end this lab and start another`,
    );
  }
}

/** Starts the process that holds a machine's namespaces; resolves when the machine is set up. */
async function startHolder(argv: readonly string[]): Promise<number> {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...argv], {
    env: plainEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
    // A terminal's Ctrl-C is for the lab, which then ends its machines in order.
    detached: true,
  });
  const said: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => said.push(chunk.toString()));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once("data", () => resolve());
    child.once("error", reject);
    child.once("exit", (code) =>
      reject(
        new TwillError("COMMAND_FAILED", `a machine's setup ended with ${code}: ${said.join("")}`),
      ),
    );
  });
  child.stdout.destroy();
  child.stderr.destroy();
  child.unref();
  return child.pid ?? 0;
}

/** SIGKILL to every process of these UTS namespaces: nothing but a lab's own is in them. */
export function killAllOn(utsFiles: readonly string[]): void {
  for (const found of processesIn("uts", utsFiles)) signalProcess(found, "SIGKILL");
}

function upper(path: string): string {
  return `disk${path}`;
}

function work(path: string): string {
  return `work${path}`;
}

/**
 * Arguments: the machine's folder, its host name, the folder of all labs. Mounts that were
 * copied from the host and would keep other namespaces alive are dropped first.
 */
const DISK_SCRIPT = `
hostname "$2"
${OVERLAYS.map((path) => `mount -t overlay -o "lowerdir=${path},upperdir=$1/${upper(path)},workdir=$1/${work(path)}" overlay ${path}`).join("\n")}
mount -t sysfs sysfs /sys
umount -l -R /run/netns 2>/dev/null || true
for other in "$3"/*; do case "$1" in "$other"/*) ;; *) umount -l -R "$other" 2>/dev/null || true ;; esac; done
mount --bind "$1/run" /run
echo ready
exec sleep infinity > /dev/null 2>&1
`;
