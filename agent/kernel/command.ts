/**
 * Runs other programs (nft, iptables-restore, an operator's extension), the one place that
 * does: no shell, one fixed locale, bounded in time and output, ended with all it started.
 */
import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { TwillError } from "../../common/errors.ts";

export interface CommandOptions {
  readonly signal: AbortSignal;
  /** Text for its standard input; default: none, an end of file at once. */
  readonly stdin?: string;
  /** Killed (SIGKILL) after this long; default DEFAULT_TIMEOUT_MS. */
  readonly timeoutMs?: number;
  /** More variables; PATH and LC_ALL are set anyway, and nothing else is passed on. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Exit codes that are an answer, not a failure; default 0 alone. */
  readonly accept?: readonly number[];
}

export interface CommandOutput {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `argv` and returns its output. TwillError COMMAND_FAILED when it cannot be run, exits
 * with another code than those accepted, takes or says too much; the signal's reason on abort.
 */
export type RunCommand = (
  argv: readonly [string, ...string[]],
  options: CommandOptions,
) => Promise<CommandOutput>;

export const DEFAULT_TIMEOUT_MS = 30_000;
/** `nft --json list ruleset` of a large host is some MiB. */
const LONGEST_OUTPUT_BYTES = 16 << 20;
/** What a failed command said, as far as a log line should carry it. */
const QUOTED_CHARACTERS = 600;
/** A daemon's PATH may lack the sbin folders, where the packet filter's programs are. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** `path` is the process's own PATH; its folders come first. */
export function commandRunner(path: string | undefined): RunCommand {
  const searched = path === undefined || path === "" ? SYSTEM_PATH : `${path}:${SYSTEM_PATH}`;
  return async (argv, options) => {
    options.signal.throwIfAborted();
    const outcome = await execute(argv, options, searched).catch((error: unknown) => {
      // Node itself refuses some arguments (a zero byte).
      return { kind: "failed", reason: reasonOf(argv[0], error), stderr: "" } as const;
    });
    options.signal.throwIfAborted();
    if (outcome.kind === "failed") throw failed(argv, outcome);
    if ((options.accept ?? [0]).includes(outcome.exitCode)) return outcome;
    throw failed(argv, { ...outcome, reason: `exit code ${outcome.exitCode}` });
  };
}

interface Exited extends CommandOutput {
  readonly kind: "exited";
}

interface Failed {
  readonly kind: "failed";
  readonly reason: string;
  readonly stderr: string;
}

function execute(
  [file, ...args]: readonly [string, ...string[]],
  options: CommandOptions,
  path: string,
): Promise<Exited | Failed> {
  const { signal, stdin, timeoutMs = DEFAULT_TIMEOUT_MS, environment } = options;
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      // LC_ALL: messages that we match on are in English.
      env: { PATH: path, LC_ALL: "C", ...environment },
      // A process group of its own, so that what it started can be ended with it.
      detached: true,
    });
    const [stdout, stderr] = [new Collected(child.stdout), new Collected(child.stderr)];
    let reason: string | undefined;
    const end = (why: string): void => {
      reason ??= why;
      killGroup(child.pid);
      // A process that left the group may hold them open.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const abort = (): void => end("it was aborted");
    const timer = setTimeout(() => end(`it was killed (it may take ${timeoutMs} ms)`), timeoutMs);
    signal.addEventListener("abort", abort, { once: true });
    stdout.onTooMuch = stderr.onTooMuch = () =>
      end(`it wrote more than ${LONGEST_OUTPUT_BYTES} bytes`);
    child.once("error", (error) => {
      reason ??= reasonOf(file, error);
    });
    child.once("close", (exitCode, ended) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      if (exitCode === null) reason ??= `it was ended by ${ended}`;
      const said = { stdout: stdout.text, stderr: stderr.text };
      if (reason !== undefined) resolve({ kind: "failed", reason, stderr: said.stderr });
      else resolve({ kind: "exited", exitCode: exitCode ?? 0, ...said });
    });
    // A program that ends without reading its input is no fault of ours (EPIPE).
    child.stdin.on("error", () => undefined);
    child.stdin.end(stdin ?? "");
  });
}

/** What one of a program's two mouths said, up to the bound. */
class Collected {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  onTooMuch: () => void = () => undefined;

  constructor(stream: Readable) {
    stream.on("data", (chunk: Buffer) => {
      this.#bytes += chunk.length;
      if (this.#bytes > LONGEST_OUTPUT_BYTES) this.onTooMuch();
      else this.#chunks.push(chunk);
    });
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString("utf8");
  }
}

/** The group lives as long as one of its processes, and so long its number is nobody else's. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nobody was left.
  }
}

function reasonOf(file: string, error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  if (code === "ENOENT") return `there is no program "${file}": install it, or add it to PATH`;
  if (code === "EACCES") return `"${file}" may not be run`;
  return error instanceof Error ? error.message : String(error);
}

function failed(argv: readonly string[], { reason, stderr }: Omit<Failed, "kind">): TwillError {
  const said = stderr.trim().slice(0, QUOTED_CHARACTERS);
  const command = argv.join(" ");
  return new TwillError(
    "COMMAND_FAILED",
    `"${command.slice(0, QUOTED_CHARACTERS)}" failed: ${reason}${said === "" ? "" : `: ${said}`}`,
    { context: { command: argv[0] ?? "", stderr: said } },
  );
}
