/**
 * Runs other programs (nft, iptables-restore, an operator's extension), the one place that
 * does: no shell, one fixed locale, bounded in time and output.
 */
import { execFile } from "node:child_process";
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
      return { kind: "failed", reason: reasonOf(argv[0], error, 0), stderr: "" } as const;
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
    const child = execFile(
      file,
      args,
      {
        // LC_ALL: messages that we match on are in English.
        env: { PATH: path, LC_ALL: "C", ...environment },
        signal,
        timeout: timeoutMs,
        killSignal: "SIGKILL",
        maxBuffer: LONGEST_OUTPUT_BYTES,
      },
      (error, stdout, stderr) => {
        const exitCode = error === null ? 0 : error.code;
        if (typeof exitCode === "number") resolve({ kind: "exited", exitCode, stdout, stderr });
        else resolve({ kind: "failed", reason: reasonOf(file, error, timeoutMs), stderr });
      },
    );
    // A program that ends without reading its input is no fault of ours (EPIPE).
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(stdin ?? "");
  });
}

function reasonOf(file: string, error: unknown, timeoutMs: number): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  const signal: unknown = error instanceof Error ? Reflect.get(error, "signal") : undefined;
  if (code === "ENOENT") return `there is no program "${file}": install it, or add it to PATH`;
  if (code === "EACCES") return `"${file}" may not be run`;
  if (code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") {
    return `it wrote more than ${LONGEST_OUTPUT_BYTES} bytes`;
  }
  if (signal === "SIGKILL") return `it was killed (it may take ${timeoutMs} ms)`;
  if (typeof signal === "string") return `it was ended by ${signal}`;
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
