/**
 * A thread that runs a packet loop, as the agent's own thread sees it: started, told of peers,
 * told to stop. Telling is a shared word and an eventfd, because the loop listens to nothing
 * else.
 */
import { closeSync } from "node:fs";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { isErrorCode, TwillError } from "../../common/errors.ts";
import { errnoName, eventfd, eventfdWrite } from "./libc.ts";
import { CONTROL, type LoopSetup } from "./packet-path.ts";

/** What all threads of a tunnel have in common. */
export type SharedSetup = Omit<LoopSetup, "directions" | "peers" | "wakeFd" | "control">;

const EFD_NONBLOCK_CLOEXEC = 0o2004000;
/** The loops keep their packets outside of the heap and make little garbage. */
const LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 24, stackSizeMb: 1 };

export class LoopThread {
  /** Settles when the thread is gone: undefined when it was told to, else why it ended. */
  readonly ended: Promise<TwillError | undefined>;
  /** Settles when the loop runs, or has ended before. */
  readonly started: Promise<void>;
  readonly #control = new Int32Array(new SharedArrayBuffer(CONTROL.words * 4));
  readonly #port: MessagePort;
  readonly #wakeFd: number;
  #isOver = false;

  constructor(shared: SharedSetup, directions: LoopSetup["directions"]) {
    this.#wakeFd = eventfd(0, EFD_NONBLOCK_CLOEXEC);
    if (this.#wakeFd < 0) {
      throw new TwillError("KERNEL_REFUSED", `eventfd: ${errnoName(this.#wakeFd)}`);
    }
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    // Nothing is received here; an open port would keep the process alive.
    port1.unref();
    const setup: LoopSetup = {
      ...shared,
      directions,
      peers: port2,
      wakeFd: this.#wakeFd,
      control: this.#control.buffer,
    };
    const worker = new Worker(new URL("./tunnel-worker.js", import.meta.url), {
      workerData: setup,
      transferList: [port2],
      resourceLimits: LIMITS,
      name: `udp ${directions.join(" ")}`,
    });
    this.ended = this.#watch(worker);
    const said = new Promise<void>((resolve) => {
      worker.once("message", () => resolve());
    });
    this.started = Promise.race([said, this.ended.then(() => undefined)]);
  }

  /** Puts a new table (see peer-table.ts) in the old one's place. */
  sendPeers(table: SharedArrayBuffer): void {
    this.#port.postMessage(table);
    Atomics.add(this.#control, CONTROL.generation, 1);
    this.#wake();
  }

  /** The loop ends after the batch it is at. */
  stop(): void {
    Atomics.store(this.#control, CONTROL.stop, 1);
    this.#wake();
  }

  #wake(): void {
    if (!this.#isOver) eventfdWrite(this.#wakeFd, 1n);
  }

  async #watch(worker: Worker): Promise<TwillError | undefined> {
    let failure: TwillError | undefined;
    worker.on("message", (message: unknown) => {
      failure ??= failureIn(message);
    });
    worker.once("error", (error) => {
      failure ??= TwillError.from(error);
    });
    await new Promise<void>((resolve) => {
      worker.once("exit", () => resolve());
    });
    this.#isOver = true;
    this.#port.close();
    closeSync(this.#wakeFd);
    return failure;
  }
}

/** What the thread says (tunnel-worker.ts): that it runs, or a code and a message. */
function failureIn(message: unknown): TwillError | undefined {
  if (typeof message !== "object" || message === null || !("code" in message)) return undefined;
  const { code } = message;
  const text = "message" in message ? String(message.message) : "";
  const known = typeof code === "string" && isErrorCode(code) ? code : "BUG";
  return new TwillError(known, text);
}
