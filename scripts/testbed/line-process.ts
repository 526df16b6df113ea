/** A program that runs for a while and whose output is read line by line: ping, ip monitor. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { TwillError } from "../../common/errors.ts";
import { plainEnvironment } from "./command.ts";

export class LineProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(
    argv: readonly string[],
    onLine: (line: string) => void,
    env: Readonly<Record<string, string>> = plainEnvironment(),
  ) {
    const [file = "", ...args] = ["setpriv", "--pdeathsig", "KILL", "--", ...argv];
    this.#child = spawn(file, args, {
      env: { ...env },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const { stdout } = this.#child;
    if (stdout === null) throw new TwillError("BUG", "a piped stdout exists");
    createInterface({ input: stdout }).on("line", onLine);
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", () => resolve());
    });
  }

  /** Sends the signal and waits until the program has ended and its last line was read. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#child.kill(signal);
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }
}
