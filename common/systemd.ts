/**
 * Tells systemd how the daemon is: READY=1, STATUS=, STOPPING=1, WATCHDOG=1. Node has no
 * AF_UNIX datagram sockets, so `systemd-notify` does the sending; it is a child process, so
 * the unit needs NotifyAccess=all. Without NOTIFY_SOCKET everything here does nothing.
 */
import { execFile } from "node:child_process";
import type { Clock } from "./async/clock.ts";
import { TaskGroup } from "./async/task-group.ts";
import { Trigger } from "./async/trigger.ts";
import { TwillError } from "./errors.ts";
import { errorFields, type Logger } from "./log.ts";

/** Sends assignments such as "READY=1"; rejects when systemd could not be told. */
export type NotifySend = (assignments: readonly string[]) => Promise<void>;

export interface SystemdOptions {
  /** Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** False withholds the watchdog's food, and systemd restarts the daemon. */
  readonly isLive: () => boolean;
  readonly send?: NotifySend;
}

/** The least time between two messages: a status that flickers costs a process each. */
const MIN_INTERVAL_MS = 1_000;
const RETRY_MS = 5_000;
const SEND_TIMEOUT_MS = 5_000;
const MAX_STATUS_LENGTH = 200;

export class Systemd {
  readonly #options: SystemdOptions;
  readonly #send: NotifySend;
  readonly #isOn: boolean;
  readonly #changed = new Trigger();
  /** Newest value by name; what is here has not been sent yet. */
  readonly #pending = new Map<string, string>();
  #lastStatus = "";

  constructor(options: SystemdOptions) {
    this.#options = options;
    this.#isOn = (options.env["NOTIFY_SOCKET"] ?? "") !== "";
    this.#send = options.send ?? ((assignments) => systemdNotify(assignments, options.env));
  }

  /** The units ordered after this one may start. Sent again until systemd has it. */
  ready(): void {
    this.#set("READY", "1");
  }

  /** The line of `systemctl status`; only the newest is sent, at most one a second. */
  status(line: string): void {
    const text = line.replaceAll(/[\r\n]+/g, " ").slice(0, MAX_STATUS_LENGTH);
    if (text === this.#lastStatus) return;
    this.#lastStatus = text;
    this.#set("STATUS", text);
  }

  /** Says at once that the daemon is ending; a failure is logged, never thrown. */
  async stopping(): Promise<void> {
    if (this.#isOn) await this.#trySend(["STOPPING=1"]);
  }

  /** The loops that send, until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    if (!this.#isOn) return;
    const group = new TaskGroup(signal);
    group.spawn((inner) => this.#sendChanges(inner));
    group.spawn((inner) => this.#feedWatchdog(inner));
    await group.join();
  }

  #set(name: string, value: string): void {
    if (!this.#isOn) return;
    this.#pending.set(name, value);
    this.#changed.kick();
  }

  async #sendChanges(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      await this.#changed.wait(signal);
      const batch = [...this.#pending];
      this.#pending.clear();
      const isSent = await this.#trySend(batch.map(([name, value]) => `${name}=${value}`));
      if (!isSent) this.#restore(batch);
      await clock.sleep(isSent ? MIN_INTERVAL_MS : RETRY_MS, signal);
    }
  }

  /** Puts back what was not sent, unless something newer has come. */
  #restore(batch: readonly (readonly [name: string, value: string])[]): void {
    for (const [name, value] of batch) {
      if (!this.#pending.has(name)) this.#pending.set(name, value);
    }
    this.#changed.kick();
  }

  /** Half the interval, as sd_watchdog_enabled(3) advises. */
  async #feedWatchdog(signal: AbortSignal): Promise<void> {
    const intervalMs = watchdogMs(this.#options);
    if (intervalMs === undefined) return;
    for (;;) {
      if (this.#options.isLive()) await this.#trySend(["WATCHDOG=1"]);
      await this.#options.clock.sleep(intervalMs / 2, signal);
    }
  }

  async #trySend(assignments: readonly string[]): Promise<boolean> {
    try {
      await this.#send(assignments);
      return true;
    } catch (error) {
      this.#options.logger.event("notify.failed", "systemd could not be told", {
        key: "systemd",
        message_sent: assignments.join(" "),
        ...errorFields(error),
      });
      return false;
    }
  }
}

/** The watchdog's interval; undefined when it is off or meant for another process. */
function watchdogMs({ env, pid }: SystemdOptions): number | undefined {
  const microseconds = env["WATCHDOG_USEC"] ?? "";
  const watched = env["WATCHDOG_PID"] ?? "";
  if (!/^[1-9][0-9]{0,14}$/.test(microseconds)) return undefined;
  return watched === "" || watched === String(pid) ? Number(microseconds) / 1000 : undefined;
}

function systemdNotify(
  assignments: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = {
      env: { PATH: env["PATH"] ?? "/usr/bin:/bin", NOTIFY_SOCKET: env["NOTIFY_SOCKET"] ?? "" },
      timeout: SEND_TIMEOUT_MS,
    };
    // Without --no-block it waits until systemd has read the message: a sender that is gone by
    // then cannot be told to which unit it belonged (sd_notify_barrier(3)).
    execFile("systemd-notify", [...assignments], options, (error) => {
      if (error === null) resolve();
      else reject(notifyFailed(error));
    });
  });
}

function notifyFailed(cause: Error): TwillError {
  return new TwillError("COMMAND_FAILED", `systemd-notify: ${cause.message}`, { cause });
}
