/** Runs a program to its end, without a shell: the only way the test bed calls ip, nft, etcdctl and the like. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { TwillError } from "../../common/errors.ts";

export interface CommandOptions {
  /** Written to standard input, which is closed afterwards. */
  readonly input?: string;
  /** Replaces the environment; default: PATH only, so that nothing of the caller leaks in. */
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Killed when it takes longer; default a minute. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;

export interface CommandResult {
  /** Exit code; 128 + n when signal n ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What every program of the test bed gets: no TWILL_* or FLANNELD_* of the caller. */
export function plainEnvironment(): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8" };
}

/** Standard output of a program that must succeed; COMMAND_FAILED names argv and what it said. */
export async function run(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await tryRun(argv, options);
  if (result.code === 0) return result.stdout;
  const said = (result.stderr.trim() || result.stdout.trim()).split("\n").slice(-5).join("; ");
  throw new TwillError("COMMAND_FAILED", `${argv.join(" ")}: exit ${result.code}: ${said}`, {
    context: { exit: result.code },
  });
}

/** Like `run`, for programs whose failure is an answer. */
export async function tryRun(
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const [file = "", ...args] = argv;
  const { timeoutMs = TIMEOUT_MS } = options;
  const child = spawn(file, args, {
    env: { ...(options.env ?? plainEnvironment()) },
    stdio: ["pipe", "pipe", "pipe"],
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  // A program may end without reading its input: that is no failure of ours.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", (cause) =>
      reject(new TwillError("COMMAND_FAILED", `cannot run ${file}: ${cause.message}`, { cause })),
    );
    child.once("close", (exit, signal) =>
      resolve(exit ?? (signal === null ? 1 : 128 + constants.signals[signal])),
    );
  });
  return { code, stdout: stdout(), stderr: stderr() };
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}
