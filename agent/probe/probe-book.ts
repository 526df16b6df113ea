/**
 * Which peers are to be probed next, and what the last probes said. Every round takes the
 * peers that changed lately and a few at random, about log2 of all: N nodes send O(N log N)
 * probes a round, and a broken path between any two is found after some rounds. Pure but for
 * its memory; time and randomness are arguments.
 */

export interface ProbedPeer {
  /** Key of its lease. */
  readonly key: string;
  /** Where an answer proves the path: its address in the tunnel, else its machine's. */
  readonly address: string;
}

export type PathState = "reachable" | "unreachable" | "small-only";

export interface PathResult {
  readonly state: PathState;
  /** Of the fastest answer; 0: none. */
  readonly rttUs: number;
  readonly atMs: number;
}

/** A peer that came a moment ago has yet to program its own kernel. */
export const SETTLE_MS = 2000;
/** Changed peers per round; of thousands at once (a start) about as many are due at all. */
const MOST_CHANGED = 16;
/** A silent peer is asked again soon, so often. */
const AGAIN = 3;

interface Entry {
  readonly peer: ProbedPeer;
  changedMs: number;
  /** Rounds in which it is still to be probed for having changed. */
  left: number;
  result: PathResult | undefined;
}

export class ProbeBook {
  readonly #entries = new Map<string, Entry>();

  /** The peers as they are now; of those that are new or elsewhere a bounded number is due. */
  setPeers(peers: readonly ProbedPeer[], nowMs: number, random: () => number): void {
    const keys = new Set(peers.map(({ key }) => key));
    for (const key of this.#entries.keys()) if (!keys.has(key)) this.#entries.delete(key);
    const fresh = peers.filter(({ key, address }) => {
      return this.#entries.get(key)?.peer.address !== address;
    });
    const share = MOST_CHANGED / Math.max(fresh.length, 1);
    for (const peer of fresh) {
      const left = random() < share ? AGAIN : 0;
      this.#entries.set(peer.key, { peer, changedMs: nowMs, left, result: undefined });
    }
  }

  /** It is to be probed soon, and has not been; so is a peer that the book has yet to hear of. */
  isDue(key: string): boolean {
    const entry = this.#entries.get(key);
    return entry === undefined || (entry.left > 0 && entry.result === undefined);
  }

  /** What to probe in this round. `random` is uniform in [0, 1). */
  round(nowMs: number, random: () => number): ProbedPeer[] {
    const all = [...this.#entries.values()].filter(
      ({ changedMs }) => nowMs - changedMs >= SETTLE_MS,
    );
    const changed = all.filter(({ left }) => left > 0).slice(0, MOST_CHANGED);
    const chosen = new Set(changed);
    const few = Math.ceil(Math.log2(all.length + 1));
    for (let n = 0; n < few; n += 1) {
      const entry = all[Math.floor(random() * all.length)];
      if (entry !== undefined) chosen.add(entry);
    }
    return [...chosen].map(({ peer }) => peer);
  }

  /** What became of a probe; a peer that has gone or moved meanwhile is none of it. */
  note(peer: ProbedPeer, result: PathResult): void {
    const entry = this.#entries.get(peer.key);
    if (entry?.peer.address !== peer.address) return;
    entry.result = result;
    entry.left = result.state === "reachable" ? 0 : Math.max(0, entry.left - 1);
  }

  result(key: string): PathResult | undefined {
    return this.#entries.get(key)?.result;
  }

  /** How many paths are how; "unprobed" those that were not tried yet. */
  count(): Readonly<Record<PathState | "unprobed", number>> {
    const counts = { reachable: 0, unreachable: 0, "small-only": 0, unprobed: 0 };
    for (const { result } of this.#entries.values()) counts[result?.state ?? "unprobed"] += 1;
    return counts;
  }
}
