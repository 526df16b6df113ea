/**
 * Which subnets of one range are taken, kept up to date lease by lease, so that asking for
 * the lowest free one costs O(log n) and ten thousand allocations are not ten thousand scans.
 *
 * The range is cut into blocks of subnetLen, numbered from subnetMin. A taken subnet of any
 * length marks every block it overlaps; one that covers very many blocks (a foreign /8 over
 * /30 blocks) is kept as an interval instead.
 */
import type { SubnetRange } from "../../common/config/network-config.ts";
import { type Cidr, cidr, cidrSize, lastAddress } from "../../common/net/cidr.ts";
import { MinHeap } from "./min-heap.ts";

/** Beyond this many blocks a taken subnet is kept as an interval. */
const WIDE_BLOCKS = 1024;

interface Interval {
  readonly from: number;
  readonly to: number;
}

export class Occupancy {
  readonly range: SubnetRange;
  readonly #blockSize: bigint;
  /** Blocks in the range; beyond 2^53 (IPv6) the rest is never reached. */
  readonly #blocks: number;
  /** How many taken subnets lie on a block; absent: none. */
  readonly #taken = new Map<number, number>();
  readonly #wide: Interval[] = [];
  /** Every free block below #frontier is in #freed (which may also hold taken ones). */
  readonly #freed = new MinHeap<number>((block) => block);
  #frontier = 0;

  constructor(range: SubnetRange) {
    this.range = range;
    this.#blockSize = cidrSize({ ip: range.subnetMin, prefix: range.subnetLen });
    const span = (range.subnetMax.value - range.subnetMin.value) / this.#blockSize + 1n;
    // Min > Max is not refused by flannel: it means no subnet at all (contract 1.8).
    const isEmpty = range.subnetMax.value < range.subnetMin.value;
    this.#blocks = isEmpty ? 0 : clampToNumber(span);
  }

  /** Marks a subnet as taken; the same one may be added several times. */
  add(subnet: Cidr): void {
    const span = this.#blocksOf(subnet);
    if (span === undefined) return;
    if (span.to - span.from >= WIDE_BLOCKS) {
      this.#wide.push(span);
      return;
    }
    for (let block = span.from; block <= span.to; block += 1) {
      this.#taken.set(block, (this.#taken.get(block) ?? 0) + 1);
    }
  }

  /** Takes back one `add` of exactly this subnet. */
  remove(subnet: Cidr): void {
    const span = this.#blocksOf(subnet);
    if (span === undefined) return;
    if (span.to - span.from >= WIDE_BLOCKS) {
      this.#removeWide(span);
      return;
    }
    for (let block = span.from; block <= span.to; block += 1) this.#release(block);
  }

  /** True when the subnet is one that could be given out: in range, of the length, overlapping nothing. */
  isFree(subnet: Cidr): boolean {
    return this.fits(subnet) && !this.#isTaken(this.#blockAt(subnet.ip.value));
  }

  /** True when the subnet is one of the range's blocks, taken or not. */
  fits(subnet: Cidr): boolean {
    return fitsRange(subnet, this.range);
  }

  lowestFree(): Cidr | undefined {
    const freed = this.#lowestFreed();
    const block = freed !== undefined && freed < this.#frontier ? freed : this.#advance();
    if (block === undefined) return undefined;
    const { family, value } = this.range.subnetMin;
    const address = { family, value: value + BigInt(block) * this.#blockSize };
    return cidr(address, this.range.subnetLen);
  }

  /** How many blocks there are and how many of them overlap nothing. Costs O(taken). */
  count(): { readonly blocks: number; readonly free: number } {
    let taken = 0;
    let end = -1;
    const intervals = this.#wide.toSorted((a, b) => a.from - b.from);
    for (const { from, to } of intervals) {
      taken += Math.max(0, to - Math.max(from, end + 1) + 1);
      end = Math.max(end, to);
    }
    for (const block of this.#taken.keys()) {
      if (this.#wideEnd(block) === undefined) taken += 1;
    }
    return { blocks: this.#blocks, free: this.#blocks - taken };
  }

  #lowestFreed(): number | undefined {
    for (;;) {
      const block = this.#freed.peek();
      if (block === undefined || !this.#isTaken(block)) return block;
      this.#freed.pop();
    }
  }

  /** Moves the frontier to the first free block at or above it. */
  #advance(): number | undefined {
    while (this.#frontier < this.#blocks) {
      const end = this.#wideEnd(this.#frontier);
      if (end === undefined && !this.#taken.has(this.#frontier)) return this.#frontier;
      this.#frontier = (end ?? this.#frontier) + 1;
    }
    return undefined;
  }

  #isTaken(block: number): boolean {
    return this.#taken.has(block) || this.#wideEnd(block) !== undefined;
  }

  #wideEnd(block: number): number | undefined {
    return this.#wide.find(({ from, to }) => from <= block && block <= to)?.to;
  }

  #removeWide(span: Interval): void {
    const index = this.#wide.findIndex(({ from, to }) => from === span.from && to === span.to);
    if (index < 0) return;
    this.#wide.splice(index, 1);
    this.#frontier = Math.min(this.#frontier, span.from);
  }

  #release(block: number): void {
    const count = this.#taken.get(block);
    if (count === undefined) return;
    if (count > 1) {
      this.#taken.set(block, count - 1);
      return;
    }
    this.#taken.delete(block);
    if (block < this.#frontier) this.#freed.push(block);
  }

  /** The blocks a subnet overlaps, undefined when it lies wholly outside. */
  #blocksOf(subnet: Cidr): Interval | undefined {
    if (this.#blocks === 0 || subnet.ip.family !== this.range.subnetMin.family) return undefined;
    const first = subnet.ip.value - this.range.subnetMin.value;
    const last = lastAddress(subnet) - this.range.subnetMin.value;
    if (last < 0n || first >= BigInt(this.#blocks) * this.#blockSize) return undefined;
    const from = first < 0n ? 0 : clampToNumber(first / this.#blockSize);
    return { from, to: Math.min(clampToNumber(last / this.#blockSize), this.#blocks - 1) };
  }

  #blockAt(address: bigint): number {
    return clampToNumber((address - this.range.subnetMin.value) / this.#blockSize);
  }
}

/** flannel's test of a lease against its config (contract 1.4.2), one family of it. */
export function fitsRange(subnet: Cidr, range: SubnetRange): boolean {
  return (
    subnet.ip.family === range.subnetMin.family &&
    subnet.prefix === range.subnetLen &&
    subnet.ip.value >= range.subnetMin.value &&
    subnet.ip.value <= range.subnetMax.value
  );
}

function clampToNumber(value: bigint): number {
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  return Number(value > limit ? limit : value);
}
