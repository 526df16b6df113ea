/**
 * Ends the election key of a leader whose process is surely gone, so that the next candidate
 * leads at once instead of after the TTL. Sure means: this replica was connected to it, the
 * connection ended, and its address refuses new ones, twice. Silence proves nothing (a
 * partition, a stopped process, a machine that lost power): then the TTL decides. A mistake
 * would cost an election and nothing else: every write is fenced by the key that is deleted
 * here, and a leader that is alive after all sees its key gone and steps down.
 */
import type { Clock } from "../../common/async/clock.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import { TwillError } from "../../common/errors.ts";
import { errorFields, type Logger } from "../../common/log.ts";
import { type Candidate, type ElectionParts, observeLeader } from "./election.ts";

/** How the process at a leader's address is seen from here. */
export interface LeaderLine {
  /**
   * Connects and resolves when that ended: `connected` tells whether it ever was connected.
   * Rejects only with the signal's reason.
   */
  hold(address: string, signal: AbortSignal): Promise<{ readonly connected: boolean }>;
  /** True only when the address answers that nobody listens there (ECONNREFUSED). */
  refuses(address: string, signal: AbortSignal): Promise<boolean>;
}

export interface DeadLeaderParts extends ElectionParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly line: LeaderLine;
  /** This replica's own "host:port". */
  readonly self: string;
  /** "host:port" of a candidate by its value; undefined: it is none of Twill's. */
  readonly addressOf: (value: string) => string | undefined;
}

/** Refusals that count as evidence, and the time between them: a restart's gap is longer. */
const REFUSALS = 2;
const BETWEEN_MS = 200;
/** Pause before connecting again when the connection ended and nothing is proved. */
const AGAIN_MS = 1000;

/** Watches over whoever leads, for ever; ends only by the signal. */
export async function buryDeadLeaders(parts: DeadLeaderParts, signal: AbortSignal): Promise<void> {
  let group = new TaskGroup(signal);
  try {
    for await (const leader of observeLeader(parts, signal)) {
      group.abort();
      await group.join();
      group = new TaskGroup(signal);
      const address = leader === undefined ? undefined : parts.addressOf(leader.value);
      if (leader === undefined || address === undefined || address === parts.self) continue;
      group.spawn((stop) => watchOver(leader, address, parts, stop));
    }
  } finally {
    group.abort();
    await group.join();
  }
}

async function watchOver(
  leader: Candidate,
  address: string,
  parts: DeadLeaderParts,
  signal: AbortSignal,
): Promise<void> {
  const { clock, line } = parts;
  // An address that was never reached may just be wrong: that is no dead leader.
  for (let wasConnected = false; ; ) {
    const { connected } = await line.hold(address, signal);
    wasConnected ||= connected;
    if (wasConnected && (await isRefused(address, parts, signal))) {
      await bury(leader, address, parts, signal);
    }
    await clock.sleep(AGAIN_MS, signal);
  }
}

async function isRefused(
  address: string,
  { line, clock }: DeadLeaderParts,
  signal: AbortSignal,
): Promise<boolean> {
  for (let refusals = 0; ; ) {
    if (!(await line.refuses(address, signal))) return false;
    refusals += 1;
    if (refusals >= REFUSALS) return true;
    await clock.sleep(BETWEEN_MS, signal);
  }
}

/** By compare: only this candidacy, not one that the same replica began since. */
async function bury(
  { key, token }: Candidate,
  address: string,
  { store, log }: DeadLeaderParts,
  signal: AbortSignal,
): Promise<void> {
  try {
    const outcome = await store.transact(
      {
        compares: [{ key, createRevision: token }],
        writes: [{ op: "delete", key }],
        onConflict: [],
      },
      signal,
    );
    if (outcome.kind === "conflict") return;
    log.event("leader.buried", `the leader at ${address} is gone; the next one need not wait`, {
      address,
      election_key: key,
      fencing_token: token,
    });
  } catch (error) {
    signal.throwIfAborted();
    const fault = TwillError.from(error);
    if (fault.code === "BUG") throw fault;
    const message = `the leader at ${address} is gone, but its key could not be deleted yet`;
    log.event("leader.unburied", message, { key: fault.code, address, ...errorFields(fault) });
  }
}
