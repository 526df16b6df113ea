/**
 * The data path is watched, not assumed: every now and then a few peers are probed through the
 * tunnel, with a small packet and one as large as containers may send. Nothing is repaired by
 * it; what it finds is told (peers of `node show`, metrics).
 */
import type { Clock } from "../../common/async/clock.ts";
import type { Metrics } from "../../common/metrics.ts";
import type { ProbeResult } from "../../proto/gen/twill/v1/node.ts";
import type { Probe } from "./probe.ts";
import type { PathResult, ProbeBook, ProbedPeer } from "./probe-book.ts";

export interface ProbeRoundsParts {
  readonly book: ProbeBook;
  /** Peers worth probing now, and the containers' MTU; undefined: not in sync, nothing is probed. */
  readonly targets: () => ProbeTargets | undefined;
  readonly probe: Probe;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface ProbeTargets {
  readonly peers: readonly ProbedPeer[];
  readonly mtuBytes: number;
}

/** Soon after a change, else seldom: 1,000 nodes with 10 peers a round send 3,000 packets a second all together. */
const ROUND_MS = { changed: 2000, idle: 10_000 } as const;
const JITTER = 0.2;
const SMALL_BYTES = 84;
const PACKETS = 2;
const WAIT_MS = 1000;

export async function probeForEver(parts: ProbeRoundsParts, signal: AbortSignal): Promise<void> {
  const { book, clock, metrics, random } = parts;
  metrics.beforeScrape(() => {
    for (const [state, count] of Object.entries(book.count())) {
      metrics.set("twill_paths", { state }, count);
    }
  });
  for (;;) {
    const ms = book.count().unprobed > 0 ? ROUND_MS.changed : ROUND_MS.idle;
    await clock.sleep(ms * (1 + JITTER * (2 * random() - 1)), signal);
    const targets = parts.targets();
    if (targets === undefined) continue;
    book.setPeers(targets.peers, clock.monotonicMs(), random);
    const chosen = book.round(clock.monotonicMs(), random);
    await Promise.all(chosen.map((peer) => probePeer(peer, targets.mtuBytes, parts, signal)));
  }
}

async function probePeer(
  peer: ProbedPeer,
  mtuBytes: number,
  { book, clock, random, probe }: ProbeRoundsParts,
  signal: AbortSignal,
): Promise<void> {
  const common = { address: peer.address, protocol: "icmp", count: PACKETS } as const;
  const how = { clock, random, waitMs: WAIT_MS };
  const [small, full] = await Promise.all([
    probe({ ...common, label: "small", packetBytes: SMALL_BYTES }, how, signal),
    probe({ ...common, label: "full", packetBytes: mtuBytes }, how, signal),
  ]);
  book.note(peer, { ...judge(small, full), atMs: clock.monotonicMs() });
}

function judge(small: ProbeResult, full: ProbeResult): Omit<PathResult, "atMs"> {
  if (small.received === 0 && full.received === 0) return { state: "unreachable", rttUs: 0 };
  const rttUs = small.rttUs === 0 ? full.rttUs : small.rttUs;
  return { state: full.received === 0 ? "small-only" : "reachable", rttUs };
}
