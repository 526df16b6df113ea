/**
 * The tunnel's counters: each loop owns a row of doubles in shared memory, the agent's thread
 * sums the rows when asked. One writer per row and aligned 64-bit stores: no lock, no torn
 * value, exact up to 2^53.
 */

/** Column of each counter. */
export const COUNTER = {
  /** Inner packets for peers given to the socket; a super-segment counts by its parts. */
  sentPackets: 0,
  sentBytes: 1,
  /** Inner packets of peers written to the TUN. */
  receivedPackets: 2,
  receivedBytes: 3,
  /** Packets to nobody's subnet; answered by ICMP where that is allowed. */
  noRoute: 4,
  /** Datagrams from an address that is no peer's. */
  unknownSource: 5,
  /** Not a whole IPv4 packet, either way. */
  malformed: 6,
  /** Packets without a hop left, either way. */
  ttlExpired: 7,
  /** Packets the kernel would not send. */
  sendFailed: 8,
  /** Packets the TUN would not take. */
  writeFailed: 9,
} as const;

export type Counter = keyof typeof COUNTER;
export type TunnelStats = Readonly<Record<Counter, number>>;

const COLUMNS = Object.keys(COUNTER).length;

export function newStats(rows: number): SharedArrayBuffer {
  return new SharedArrayBuffer(rows * COLUMNS * Float64Array.BYTES_PER_ELEMENT);
}

/** One loop's row. */
export class StatsRow {
  readonly #cells: Float64Array;

  constructor(buffer: SharedArrayBuffer, row: number) {
    const start = row * COLUMNS * Float64Array.BYTES_PER_ELEMENT;
    this.#cells = new Float64Array(buffer, start, COLUMNS);
  }

  add(column: (typeof COUNTER)[Counter], amount: number): void {
    this.#cells[column] = (this.#cells[column] ?? 0) + amount;
  }
}

export const NO_STATS: TunnelStats = statsOf(() => 0);

export function readStats(buffer: SharedArrayBuffer): TunnelStats {
  const cells = new Float64Array(buffer);
  return statsOf((counter) => {
    let sum = 0;
    for (let at: number = COUNTER[counter]; at < cells.length; at += COLUMNS) sum += cells[at] ?? 0;
    return sum;
  });
}

export function addStats(a: TunnelStats, b: TunnelStats): TunnelStats {
  return statsOf((counter) => a[counter] + b[counter]);
}

function statsOf(value: (counter: Counter) => number): TunnelStats {
  return {
    sentPackets: value("sentPackets"),
    sentBytes: value("sentBytes"),
    receivedPackets: value("receivedPackets"),
    receivedBytes: value("receivedBytes"),
    noRoute: value("noRoute"),
    unknownSource: value("unknownSource"),
    malformed: value("malformed"),
    ttlExpired: value("ttlExpired"),
    sendFailed: value("sendFailed"),
    writeFailed: value("writeFailed"),
  };
}
