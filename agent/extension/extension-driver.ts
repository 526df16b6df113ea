/**
 * Runs the operator's commands of the extension backend (contract 3.7) as the plan wants them:
 * PreStartup before the lease, PostStartup with it, then Subnet{Add,Remove} for each peer.
 * One at a time, in that order, because flannel's users wrote them so. Each is bounded in time
 * and output; a failing one is reported, waits longer each time, and holds nobody else up.
 * Setters only store and kick.
 */
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";
import type { Clock } from "../../common/async/clock.ts";
import { kickOrTimeout } from "../../common/async/kick-or-timeout.ts";
import { Trigger } from "../../common/async/trigger.ts";
import { TwillError } from "../../common/errors.ts";
import { errorFields, type Logger } from "../../common/log.ts";
import type { CommandOutput, RunCommand } from "../kernel/command.ts";
import type { ExtensionCall, ExtensionPeer } from "../plan/backend-planner.ts";
import { type ExtensionMemory, type RememberedPeer, renderRemembered } from "./extension-memory.ts";

/** What is to be run besides the peers' calls. */
export interface WantedExtension {
  readonly preStartup: ExtensionCall | undefined;
  /** undefined while there is no lease, or no such command. */
  readonly postStartup: ExtensionCall | undefined;
  readonly hasLease: boolean;
}

export interface ExtensionPorts {
  readonly run: RunCommand;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly memory: ExtensionMemory;
}

export interface ExtensionFailure {
  /** "SubnetAddCommand 10.244.2.0-24". */
  readonly key: string;
  readonly error: TwillError;
  /** It concerns this node, not one peer. */
  readonly isOwn: boolean;
}

/** Commands set up routes and devices: seconds at most. Killed after this. */
export const COMMAND_TIMEOUT_MS = 10_000;
/** A lease carries no more (controller/rpc/registration-wire.ts refuses it). */
const LARGEST_DATA_BYTES = 4_096;
const RETRY: BackoffPolicy = { initialMs: 1_000, maxMs: 60_000, factor: 2, jitter: 0.2 };
/** flannel runs it once and forgets; what is gone may be gone already. */
const REMOVE_ATTEMPTS = 3;

interface Job {
  readonly id: string;
  readonly call: ExtensionCall;
  readonly isOwn: boolean;
  readonly done: (output: CommandOutput) => void;
  /** Called when it failed `attempts` times; true: it is not tried again. */
  readonly failed?: (attempts: number) => boolean;
}

interface Trouble {
  readonly call: string;
  readonly attempts: number;
  readonly dueMs: number;
  readonly failure: ExtensionFailure;
}

export class ExtensionDriver {
  readonly #ports: ExtensionPorts;
  readonly #trigger = new Trigger();
  readonly #listeners: (() => void)[] = [];
  #wanted: WantedExtension | undefined;
  #peers: ReadonlyMap<string, ExtensionPeer> = new Map();
  #mayRemove = false;
  #data: string | undefined;
  /** Calls of this node that succeeded, by command. */
  readonly #ran = new Map<string, string>();
  /** Peers that were added, with the call that did it. */
  readonly #added = new Map<string, { readonly call: string; readonly peer: ExtensionPeer }>();
  readonly #troubles = new Map<string, Trouble>();
  #remembered = renderRemembered([]);

  constructor(ports: ExtensionPorts) {
    this.#ports = ports;
  }

  /** undefined: another backend; what was added is removed by its own command. */
  setWanted(wanted: WantedExtension | undefined): void {
    this.#wanted = wanted;
    if (wanted === undefined) {
      this.#data = undefined;
      this.#ran.clear();
      this.#troubles.clear();
      this.setPeers([], true);
    }
    this.#trigger.kick();
  }

  /** `mayRemove`: the table is confirmed, so who is not in it is gone. */
  setPeers(peers: readonly ExtensionPeer[], mayRemove: boolean): void {
    this.#peers = new Map(peers.map((peer) => [peer.key, peer]));
    this.#mayRemove = mayRemove;
    this.#trigger.kick();
  }

  /** BackendData for the lease, a JSON string or empty; undefined until PreStartup succeeded. */
  get data(): string | undefined {
    return this.#data;
  }

  get failures(): readonly ExtensionFailure[] {
    return [...this.#troubles.values()].map(({ failure }) => failure);
  }

  /** Called when `data` or `failures` changed. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Runs until aborted; what the commands made stays. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    await this.#recall();
    for (;;) {
      signal.throwIfAborted();
      const nowMs = clock.monotonicMs();
      const { job, dueMs } = this.#next(nowMs);
      if (job !== undefined) await this.#perform(job, signal);
      else await kickOrTimeout(this.#trigger, dueMs - nowMs, clock, signal);
    }
  }

  /** Who is still there is added again, as flannel does; who is not is removed. */
  async #recall(): Promise<void> {
    for (const { key, remove } of await this.#ports.memory.read()) {
      if (!this.#added.has(key)) {
        this.#added.set(key, { call: "", peer: { key, remove, add: undefined } });
      }
    }
    this.#remembered = renderRemembered(this.#removable());
  }

  async #remember(): Promise<void> {
    const peers = this.#removable();
    const text = renderRemembered(peers);
    if (text === this.#remembered) return;
    this.#remembered = text;
    await this.#ports.memory.write(peers);
  }

  #removable(): readonly RememberedPeer[] {
    return [...this.#added.values()]
      .map(({ peer: { key, remove } }) => ({ key, remove }))
      .filter(({ remove }) => remove !== undefined);
  }

  /** The first job that is due; else when the next one is. Forgets troubles nobody has any more. */
  #next(nowMs: number): { readonly job: Job | undefined; readonly dueMs: number } {
    let dueMs = Number.POSITIVE_INFINITY;
    const open = new Set<string>();
    for (const job of this.#jobs()) {
      const trouble = this.#troubles.get(job.id);
      if (trouble === undefined || trouble.call !== callText(job.call) || trouble.dueMs <= nowMs) {
        return { job, dueMs: nowMs };
      }
      open.add(job.id);
      dueMs = Math.min(dueMs, trouble.dueMs);
    }
    let isChanged = false;
    for (const id of this.#troubles.keys()) {
      if (!open.has(id)) isChanged = this.#troubles.delete(id) || isChanged;
    }
    if (isChanged) this.#tell();
    return { job: undefined, dueMs };
  }

  /** Everything that is still to be run, in order; each step waits for the one before. */
  *#jobs(): Generator<Job> {
    const wanted = this.#wanted;
    if (wanted !== undefined) {
      const pre = this.#ownJob("PreStartupCommand", wanted.preStartup, (output) => {
        this.#data = dataOf(output);
      });
      if (pre !== undefined) yield pre;
      if (wanted.preStartup === undefined) this.#noPreStartup();
      if (pre !== undefined || !wanted.hasLease) return;
      const post = this.#ownJob("PostStartupCommand", wanted.postStartup, () => undefined);
      if (post !== undefined) yield post;
      if (post !== undefined) return;
    }
    if (this.#mayRemove) yield* this.#removals();
    yield* this.#additions();
  }

  #noPreStartup(): void {
    if (this.#data === "") return;
    this.#data = "";
    this.#tell();
  }

  #ownJob(
    id: string,
    call: ExtensionCall | undefined,
    done: (output: CommandOutput) => void,
  ): Job | undefined {
    if (call === undefined || this.#ran.get(id) === callText(call)) return undefined;
    const finish = (output: CommandOutput): void => {
      done(output);
      this.#ran.set(id, callText(call));
    };
    return { id, call, isOwn: true, done: finish };
  }

  *#removals(): Generator<Job> {
    for (const [key, { peer }] of [...this.#added]) {
      if (this.#peers.has(key)) continue;
      const forget = (): boolean => this.#added.delete(key);
      if (peer.remove === undefined) forget();
      else {
        yield {
          id: `SubnetRemoveCommand ${key}`,
          call: peer.remove,
          isOwn: false,
          done: () => void forget(),
          failed: (attempts) => {
            // Half removed perhaps: should the peer come back, it is added again.
            this.#added.set(key, { call: "", peer });
            return attempts >= REMOVE_ATTEMPTS && forget();
          },
        };
      }
    }
  }

  /** Said again with new values when a peer changed, as flannel does: nothing is taken away. */
  *#additions(): Generator<Job> {
    for (const [key, peer] of this.#peers) {
      const { add } = peer;
      const call = callText(add);
      if (this.#added.get(key)?.call === call) continue;
      const done = (): void => void this.#added.set(key, { call, peer });
      if (add === undefined) done();
      else yield { id: `SubnetAddCommand ${key}`, call: add, isOwn: false, done };
    }
  }

  async #perform(job: Job, signal: AbortSignal): Promise<void> {
    const { run, log } = this.#ports;
    const { argv, environment, stdin } = job.call;
    try {
      const options = { signal, stdin, environment, timeoutMs: COMMAND_TIMEOUT_MS };
      job.done(await run(argv, options));
    } catch (error) {
      signal.throwIfAborted();
      this.#fail(job, TwillError.from(error));
      await this.#remember();
      return;
    }
    await this.#remember();
    const wasFailing = this.#troubles.delete(job.id);
    log.event("extension.ran", `${job.id} succeeded`, { key: job.id });
    if (job.isOwn || wasFailing) this.#tell();
  }

  #fail(job: Job, error: TwillError): void {
    const { clock, log, random } = this.#ports;
    const before = this.#troubles.get(job.id);
    const call = callText(job.call);
    const attempts = before?.call === call ? before.attempts + 1 : 1;
    const message = `${job.id} failed: ${error.message}`;
    log.event("extension.failed", message, { key: job.id, attempts, ...errorFields(error) });
    if (job.failed?.(attempts) === true) this.#troubles.delete(job.id);
    else {
      const dueMs = clock.monotonicMs() + backoffMs(RETRY, attempts - 1, random());
      const failure = { key: job.id, error, isOwn: job.isOwn };
      this.#troubles.set(job.id, { call, attempts, dueMs, failure });
    }
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** flannel's BackendData of an extension: what the command said, trimmed, as a JSON string. */
function dataOf({ stdout, stderr }: CommandOutput): string {
  const data = JSON.stringify(`${stdout}${stderr}`.trim());
  const bytes = Buffer.byteLength(data);
  if (bytes <= LARGEST_DATA_BYTES) return data;
  throw new TwillError(
    "COMMAND_FAILED",
    `its output of ${bytes} bytes is to stand in the lease, which takes ${LARGEST_DATA_BYTES}; let it write less`,
  );
}

function callText(call: ExtensionCall | undefined): string {
  return call === undefined ? "none" : JSON.stringify([call.argv, call.environment, call.stdin]);
}
