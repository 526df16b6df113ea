/** What a run of `ping -D` says: pure, line by line. */
export interface PingReport {
  readonly sent: number;
  readonly received: number;
  /** Sent and never answered. The very last one may still be on its way and is not counted. */
  readonly lost: number;
  /** Longest time between two answers. */
  readonly longestGapMs: number;
  /** Sequence numbers that were never answered, the first few of them. */
  readonly lostSequences: readonly number[];
}

const REPLY = /^\[([0-9.]+)\] .*icmp_seq=([0-9]+) ttl=/;
const SUMMARY = /^([0-9]+) packets transmitted/;
const SHOWN = 20;
/** ping prints the low 16 bits of its counter. */
const SEQUENCES = 65_536;

export function readPing(lines: Iterable<string>): PingReport {
  const answered = new Set<number>();
  let highest = 0;
  let lastSeconds: number | undefined;
  let longestGapMs = 0;
  let sent: number | undefined;
  for (const line of lines) {
    const reply = REPLY.exec(line);
    if (reply !== null) {
      const seconds = Number(reply[1]);
      const sequence = unwrap(Number(reply[2]), highest);
      answered.add(sequence);
      highest = Math.max(highest, sequence);
      if (lastSeconds !== undefined) {
        longestGapMs = Math.max(longestGapMs, (seconds - lastSeconds) * 1000);
      }
      lastSeconds = seconds;
    }
    const summary = SUMMARY.exec(line);
    if (summary !== null) sent = Number(summary[1]);
  }
  const total = sent ?? highest;
  const inFlight = total > highest && highest > 0 ? 1 : 0;
  const lostSequences = missing(answered, total - inFlight);
  return {
    sent: total,
    received: answered.size,
    lost: total - inFlight - answered.size,
    longestGapMs: Math.round(longestGapMs),
    lostSequences: lostSequences.slice(0, SHOWN),
  };
}

/** The full sequence number behind 16 printed bits, near the highest seen. */
function unwrap(low: number, highest: number): number {
  const base = highest - (highest % SEQUENCES);
  const candidates = [base - SEQUENCES + low, base + low, base + SEQUENCES + low];
  return candidates.reduce((best, one) =>
    Math.abs(one - highest) < Math.abs(best - highest) ? one : best,
  );
}

function missing(answered: ReadonlySet<number>, total: number): number[] {
  const found: number[] = [];
  for (let sequence = 1; sequence <= total && found.length < SHOWN; sequence += 1) {
    if (!answered.has(sequence)) found.push(sequence);
  }
  return found;
}
