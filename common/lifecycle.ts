/**
 * How a daemon ends, and how it reads its files anew (SIGHUP). SIGINT or SIGTERM abort one signal; then what was opened is closed in
 * reverse order, within a deadline. A second signal ends the process at once. A fault that
 * nobody caught is a bug: it is logged and ends the process, because its state cannot be
 * trusted; the kernel's data plane stays as it is.
 */
import { aborted } from "./async/aborted.ts";
import type { Clock } from "./async/clock.ts";
import { TwillError } from "./errors.ts";
import { errorFields, type Logger } from "./log.ts";

export type StopSignal = "SIGINT" | "SIGTERM";

/** What a lifecycle needs of the process; tests pass another. */
export interface ProcessPort {
  onSignal(listener: (signal: StopSignal) => void): void;
  /** SIGHUP: what is in files is to be read again. */
  onHangup(listener: () => void): void;
  /** Uncaught exceptions and unhandled rejections. */
  onFault(listener: (error: unknown) => void): void;
  exit(code: number): void;
}

/** Shells report a death by signal as 128 + its number. */
const SIGNAL_EXIT: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

export interface LifecycleOptions {
  readonly process: ProcessPort;
  readonly clock: Clock;
  readonly logger: Logger;
  /** From the first signal (or failure) to the end, whoever still hangs. */
  readonly shutdownDeadlineMs: number;
}

interface Closer {
  readonly name: string;
  readonly close: () => Promise<void>;
}

export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #controller = new AbortController();
  readonly #closers: Closer[] = [];
  readonly #reloaders: (() => void)[] = [];
  #stoppingSinceMs: number | undefined;

  constructor(options: LifecycleOptions) {
    this.#options = options;
    options.process.onSignal((signal) => this.#onSignal(signal));
    options.process.onHangup(() => this.#onHangup());
    options.process.onFault((error) => this.#onFault(error));
  }

  /** Aborted when the daemon is to end. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Registers something to close at the end; the last registered is closed first. */
  onShutdown(name: string, close: () => Promise<void>): void {
    this.#closers.push({ name, close });
  }

  /** Registers what SIGHUP makes read its files anew. */
  onReload(reload: () => void): void {
    this.#reloaders.push(reload);
  }

  /** Runs the daemon to its end, closes everything, and exits the process. Called once. */
  async run(main: (lifecycle: Lifecycle) => Promise<void>): Promise<void> {
    let exit = await this.#runMain(main);
    this.#beginStop("the daemon's work is done");
    if (!(await this.#closeAll())) exit = exit === 0 ? 1 : exit;
    const { logger, process } = this.#options;
    logger.event("process.stopped", "stopped; the data plane stays as it is", {
      exit,
      duration_ms: this.#stoppingForMs(),
    });
    process.exit(exit);
  }

  /** The exit code. Being told to stop is not a failure, whatever the abort made of it. */
  async #runMain(main: (lifecycle: Lifecycle) => Promise<void>): Promise<number> {
    const deadline = new AbortController();
    try {
      await Promise.race([main(this), this.#untilDeadline(deadline.signal)]);
      return 0;
    } catch (error) {
      if (this.signal.aborted && isAbort(error, this.signal)) return 0;
      const { exit } = TwillError.from(error).traits;
      this.#options.logger.event("process.failed", messageOf(error), errorFields(error));
      return exit;
    } finally {
      deadline.abort();
    }
  }

  /** Rejects when the daemon was told to stop and has not ended in time. */
  async #untilDeadline(signal: AbortSignal): Promise<void> {
    const { clock, shutdownDeadlineMs } = this.#options;
    await aborted(this.signal, signal);
    await clock.sleep(shutdownDeadlineMs, signal);
    throw new TwillError("BUG", `not ended ${shutdownDeadlineMs} ms after it was told to stop`);
  }

  /** True when everything was closed without a failure and in time. */
  async #closeAll(): Promise<boolean> {
    let isClean = true;
    for (const closer of this.#closers.toReversed()) {
      if (!(await this.#close(closer))) isClean = false;
    }
    return isClean;
  }

  async #close({ name, close }: Closer): Promise<boolean> {
    const { clock, logger, shutdownDeadlineMs } = this.#options;
    const timer = new AbortController();
    // What is left of the deadline; nobody is denied a first try.
    const leftMs = Math.max(shutdownDeadlineMs - this.#stoppingForMs(), 0);
    const late = clock.sleep(leftMs, timer.signal).then(() => {
      throw new TwillError("BUG", `${name} did not close in time`);
    });
    try {
      await Promise.race([close(), late]);
      return true;
    } catch (error) {
      logger.event("process.failed", `closing ${name} failed`, {
        key: name,
        ...errorFields(error),
      });
      return false;
    } finally {
      timer.abort();
      late.catch(() => undefined);
    }
  }

  #onSignal(signal: StopSignal): void {
    if (this.signal.aborted) {
      this.#options.logger.event("process.stopped", `second ${signal}: ends at once`);
      this.#options.process.exit(SIGNAL_EXIT[signal]);
      return;
    }
    this.#beginStop(signal);
  }

  #onHangup(): void {
    this.#options.logger.event("process.reloading", "SIGHUP: files are read again");
    for (const reload of this.#reloaders) reload();
  }

  #onFault(error: unknown): void {
    const { logger, process } = this.#options;
    const fault = new TwillError("BUG", messageOf(error), { cause: error });
    logger.event("process.failed", "a bug ends the process; the data plane stays as it is", {
      ...errorFields(fault),
      stack: error instanceof Error ? (error.stack ?? "") : "",
    });
    process.exit(fault.traits.exit);
  }

  #beginStop(reason: string): void {
    if (this.#stoppingSinceMs !== undefined) return;
    this.#stoppingSinceMs = this.#options.clock.monotonicMs();
    this.#options.logger.event("process.stopping", `stopping: ${reason}`, { reason });
    this.#controller.abort(new TwillError("SHUTTING_DOWN", `stopping: ${reason}`));
  }

  #stoppingForMs(): number {
    return this.#options.clock.monotonicMs() - (this.#stoppingSinceMs ?? 0);
  }
}

/** Node's process. A log pipe that was closed must not bring the daemon down. */
export function nodeProcess(): ProcessPort {
  const ignore = (): void => undefined;
  process.stdout.on("error", ignore);
  process.stderr.on("error", ignore);
  return {
    onSignal(listener) {
      process.on("SIGINT", () => listener("SIGINT"));
      process.on("SIGTERM", () => listener("SIGTERM"));
    },
    onHangup(listener) {
      process.on("SIGHUP", listener);
    },
    onFault(listener) {
      process.on("uncaughtException", listener);
      process.on("unhandledRejection", listener);
    },
    exit: (code) => process.exit(code),
  };
}

/** The abort's own reason, or what Node's functions make of an abort. */
function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (error === signal.reason) return true;
  if (error instanceof TwillError) return error.code === "SHUTTING_DOWN";
  return error instanceof Error && error.name === "AbortError";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
