/**
 * Who stands for election and who leads, as etcd's own layout says it: keys below one prefix,
 * named by the candidate's etcd lease in hex, the oldest create revision leads. `etcdctl elect
 * --listen <prefix>/twill/election` reads the same.
 */
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";
import type { Clock } from "../../common/async/clock.ts";
import { LinkedSignal } from "../../common/async/linked-signal.ts";
import { TwillError } from "../../common/errors.ts";
import type { EtcdLeaseId, FencingToken } from "../../common/lease/lease.ts";
import type { Entry, Store } from "./store.ts";

export const ELECTION_RANGE = "twill/election/";

/** A lost delete event must not leave a candidate waiting for ever, so it looks again. */
const RELIST_MS = 30_000;
const BACKOFF: BackoffPolicy = { initialMs: 250, maxMs: 5_000, factor: 2, jitter: 0.3 };

export interface ElectionParts {
  readonly store: Store;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface Candidate {
  /** Relative to the prefix. */
  readonly key: string;
  /** What it says of itself: JSON for Twill's, any text for others'. */
  readonly value: string;
  readonly token: FencingToken;
}

export function electionKey(id: EtcdLeaseId): string {
  return `${ELECTION_RANGE}${BigInt(id).toString(16)}`;
}

/** The leader now and whenever it changes; undefined: nobody leads. Ends only on abort. */
export async function* observeLeader(
  parts: ElectionParts,
  signal: AbortSignal,
): AsyncGenerator<Candidate | undefined> {
  let isFirst = true;
  let last: Candidate | undefined;
  for await (const [leader] of observeCandidates(parts, signal)) {
    const isSame = leader?.token === last?.token && leader?.value === last?.value;
    if (isSame && !isFirst) continue;
    isFirst = false;
    last = leader;
    yield leader;
  }
}

/** All candidates, the leader first, now and after every change. Ends only on abort. */
export async function* observeCandidates(
  parts: ElectionParts,
  signal: AbortSignal,
): AsyncGenerator<readonly Candidate[]> {
  for (let failures = 0; ; ) {
    try {
      for await (const candidates of listAndWatch(parts, signal)) {
        failures = 0;
        yield candidates;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (TwillError.from(error).traits.retry === "never") throw error;
      await parts.clock.sleep(backoffMs(BACKOFF, failures, parts.random()), signal);
      failures += 1;
    }
  }
}

/** One list and the changes after it, until it is time to list again. */
async function* listAndWatch(
  { store, clock }: ElectionParts,
  signal: AbortSignal,
): AsyncGenerator<readonly Candidate[]> {
  const { revision, entries } = await store.list(ELECTION_RANGE, { signal });
  const standing = new Map(entries.map((entry) => [entry.key, entry]));
  yield inOrder(standing);
  using round = new LinkedSignal(signal);
  const over = new Error("it is time to list again");
  const ending = clock.sleep(RELIST_MS, round.signal).then(
    () => round.abort(over),
    () => undefined,
  );
  try {
    for await (const change of store.watch(ELECTION_RANGE, revision, round.signal)) {
      for (const key of change.deletes) standing.delete(key);
      for (const entry of change.puts) standing.set(entry.key, entry);
      yield inOrder(standing);
    }
  } catch (error) {
    if (round.signal.reason !== over) throw error;
  } finally {
    round.abort();
    await ending;
  }
}

function inOrder(standing: ReadonlyMap<string, Entry>): readonly Candidate[] {
  return [...standing.values()]
    .sort((a, b) => a.createRevision - b.createRevision)
    .map(({ key, value, createRevision }) => ({ key, value, token: createRevision }));
}
