/** A node of the lab that answers operators' questions without an agent: see fixtures/node-answers.ts. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { TwillError } from "../../common/errors.ts";
import type { NodeOutcome, Question } from "../../common/explain/gather.ts";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { Mailbox } from "./mailbox.ts";

const PROGRAM = fileURLToPath(new URL("./fixtures/node-answers.js", import.meta.url));

export class NodeAnswers implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines = new Mailbox<string>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(machine: Machine) {
    const [file = "", ...args] = machine.enter([process.execPath, PROGRAM]);
    this.#child = spawn("setpriv", ["--pdeathsig", "KILL", "--", file, ...args], {
      env: { ...machine.env },
    });
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#lines.put(line));
    this.#child.stderr.on("data", (chunk: Buffer) => process.stderr.write(chunk));
  }

  /** One question after the other. */
  ask(question: Question, timeoutMs: number): Promise<NodeOutcome> {
    const mine = this.#turn.then(async () => {
      this.#child.stdin.write(`${JSON.stringify({ number: 1, timeoutMs, question })}\n`);
      // What it prints is an Answer's outcome, made by the same code that types it.
      const outcome = JSON.parse(await this.#lines.take("an answer")) as
        | NodeOutcome
        | { readonly $case: "refusal"; readonly value: string };
      if (outcome.$case === "refusal") throw new TwillError("NODE_UNAVAILABLE", outcome.value);
      return outcome;
    });
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#child.once("close", () => resolve()));
    this.#child.kill("SIGKILL");
    await closed;
  }
}
