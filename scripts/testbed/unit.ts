/**
 * A supervised process of a machine, as systemd would run it: Restart=always after a short
 * pause, unless it was stopped on purpose. Its output goes to the lab's logs. It dies with
 * the supervisor (parent death signal), so that a killed lab leaves no daemon behind.
 *
 *   stopped --start--> running --exit--> waiting --pause--> running
 *   any --stop/crash(restart: false)--> stopped
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { systemClock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";
import { plainEnvironment } from "./command.ts";
import type { Machine } from "./machine.ts";
import { until } from "./poll.ts";

/** systemd's default RestartSec. */
const RESTART_PAUSE_MS = 100;
/** A process that fails at start again and again is restarted ever slower. */
const MAX_RESTART_PAUSE_MS = 5_000;
const HEALTHY_AFTER_MS = 5_000;
/** How long a daemon may take for an orderly end. */
const STOP_GRACE_MS = 10_000;

export interface UnitSpec {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

type UnitState =
  | { readonly kind: "stopped" }
  | { readonly kind: "running"; readonly child: ChildProcess; readonly sinceMs: number }
  | { readonly kind: "waiting"; readonly cancel: AbortController };

export class Unit {
  #spec: UnitSpec;
  readonly machine: Machine;
  readonly logFile: string;
  #state: UnitState = { kind: "stopped" };
  #wanted = false;
  #starts = 0;
  #failuresInARow = 0;

  constructor(machine: Machine, spec: UnitSpec, log: string) {
    this.machine = machine;
    this.#spec = spec;
    this.logFile = log;
  }

  get name(): string {
    return this.#spec.name;
  }

  get spec(): UnitSpec {
    return this.#spec;
  }

  /** What it runs from its next start on, as an upgrade of its package does. */
  replace(argv: readonly string[]): void {
    this.#spec = { ...this.#spec, argv };
  }

  get state(): UnitState["kind"] {
    return this.#state.kind;
  }

  /** How often its process was started. */
  get starts(): number {
    return this.#starts;
  }

  get pid(): number | undefined {
    return this.#state.kind === "running" ? this.#state.child.pid : undefined;
  }

  start(): void {
    this.#wanted = true;
    if (this.#state.kind === "running") return;
    if (this.#state.kind === "waiting") this.#state.cancel.abort();
    this.#spawn();
  }

  /** SIGTERM, and SIGKILL when that does not help in time; it stays stopped. */
  async stop(): Promise<void> {
    this.#wanted = false;
    this.signal("SIGTERM");
    this.signal("SIGCONT");
    try {
      await this.#ended(STOP_GRACE_MS);
    } catch {
      this.signal("SIGKILL");
      await this.#ended(STOP_GRACE_MS);
    }
  }

  /** kill -9. It is started again at once, or stays away until `start`. */
  async crash(options: { readonly restart: boolean }): Promise<void> {
    this.#wanted = options.restart;
    const { pid } = this;
    this.signal("SIGKILL");
    await until(`${this.name} is dead`, { deadlineMs: STOP_GRACE_MS, everyMs: 2 }, () =>
      this.pid === pid && pid !== undefined ? undefined : true,
    );
    if (!options.restart) this.#cancelRestart();
  }

  /** SIGSTOP: the process exists and does nothing. */
  pause(): void {
    this.signal("SIGSTOP");
  }

  resume(): void {
    this.signal("SIGCONT");
  }

  async restart(): Promise<void> {
    await this.stop();
    this.start();
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#state.kind === "running") this.#state.child.kill(signal);
  }

  /** Everything it has written so far. */
  async log(): Promise<string> {
    return readFile(this.logFile, "utf8").catch(() => "");
  }

  /** What it said last, for messages about why something takes too long. */
  async lastLine(): Promise<string> {
    const last = (await this.log()).trimEnd().split("\n").at(-1);
    return `${this.name} (${this.state}) said last: ${last === "" ? "nothing" : last}`;
  }

  #spawn(): void {
    const { argv, env } = this.spec;
    const [file = "", ...args] = [
      ...["setpriv", "--pdeathsig", "KILL", "--"],
      ...this.machine.enter(argv),
    ];
    const log = openSync(this.logFile, "a");
    const child = spawn(file, args, {
      env: { ...plainEnvironment(), ...env },
      stdio: ["ignore", log, log],
      // A terminal's Ctrl-C is for the lab, which ends its daemons in order.
      detached: true,
    });
    closeSync(log);
    this.#starts += 1;
    this.#state = { kind: "running", child, sinceMs: systemClock.monotonicMs() };
    child.once("error", (cause) => {
      throw new TwillError("COMMAND_FAILED", `cannot start ${this.name}`, { cause });
    });
    child.once("exit", () => this.#exited(child));
  }

  #exited(child: ChildProcess): void {
    if (this.#state.kind !== "running" || this.#state.child !== child) return;
    const ranMs = systemClock.monotonicMs() - this.#state.sinceMs;
    this.#state = { kind: "stopped" };
    if (!this.#wanted) return;
    this.#failuresInARow = ranMs < HEALTHY_AFTER_MS ? this.#failuresInARow + 1 : 0;
    const pauseMs = Math.min(
      RESTART_PAUSE_MS * 2 ** Math.max(0, this.#failuresInARow - 1),
      MAX_RESTART_PAUSE_MS,
    );
    const cancel = new AbortController();
    this.#state = { kind: "waiting", cancel };
    systemClock
      .sleep(pauseMs, cancel.signal)
      .then(() => this.#spawn())
      // Stopped or started by hand meanwhile; or the machine is gone, and the lab with it.
      .catch(() => this.#cancelRestart());
  }

  #cancelRestart(): void {
    if (this.#state.kind !== "waiting") return;
    this.#state.cancel.abort();
    this.#state = { kind: "stopped" };
  }

  async #ended(deadlineMs: number): Promise<void> {
    this.#cancelRestart();
    await until(`${this.name} has ended`, { deadlineMs, everyMs: 5 }, () =>
      this.#state.kind === "stopped" ? true : undefined,
    );
  }
}
