/**
 * The network as a field of blocks in the order of addresses, each as large as one node's
 * subnet. A network of more blocks than can be shown has cells of several. Pure.
 */
import type { ConsoleLease, ConsoleRange } from "../../common/console/console-state.ts";
import { type Cidr, cidr, formatCidr, lastAddress, parseCidr } from "../../common/net/cidr.ts";
import { addressBits, parseIp } from "../../common/net/ip.ts";

export type Holding = "node" | "foreign" | "reserved" | "free" | "outside";

export interface Cell {
  /** "10.244.7.0/24" */
  readonly block: string;
  readonly holding: Holding;
  /** Every lease in it; one at most while a cell is one block. */
  readonly leases: readonly ConsoleLease[];
}

export interface SubnetMap {
  readonly network: string;
  readonly cells: readonly Cell[];
  readonly blocksPerCell: number;
  readonly blocks: number;
  readonly taken: number;
}

const MOST_CELLS = 2048;

export function subnetMap(range: ConsoleRange, leases: Iterable<ConsoleLease>): SubnetMap {
  const network = parseCidr(range.network);
  const min = parseIp(range.subnetMin);
  const max = parseIp(range.subnetMax);
  if (network === undefined || min === undefined || max === undefined) {
    return { network: range.network, cells: [], blocksPerCell: 1, blocks: 0, taken: 0 };
  }
  const bits = range.subnetLen - network.prefix;
  const cellBits = Math.min(bits, Math.log2(MOST_CELLS));
  const { family, value: start } = network.ip;
  const shift = BigInt(addressBits(family) - network.prefix - cellBits);
  const inCells = new Map<number, ConsoleLease[]>();
  for (const lease of leases) {
    for (const index of cellsOf(lease, network, shift, 2 ** cellBits)) {
      const there = inCells.get(index);
      if (there === undefined) inCells.set(index, [lease]);
      else there.push(lease);
    }
  }
  const cells = Array.from({ length: 2 ** cellBits }, (_, index): Cell => {
    const value = start + (BigInt(index) << shift);
    const found = inCells.get(index) ?? [];
    const isOutside = value > max.value || value + (1n << shift) <= min.value;
    const block = formatCidr(cidr({ family, value }, network.prefix + cellBits));
    return { block, leases: found, holding: holdingOf(found, isOutside) };
  });
  const taken = new Set([...inCells.values()].flat()).size;
  return {
    network: range.network,
    cells,
    blocksPerCell: 2 ** (bits - cellBits),
    blocks: 2 ** bits,
    taken,
  };
}

function holdingOf([first]: readonly ConsoleLease[], isOutside: boolean): Holding {
  if (first === undefined) return isOutside ? "outside" : "free";
  if (first.node !== "") return "node";
  return first.isReserved ? "reserved" : "foreign";
}

/** A lease of another size than today's config may cover several cells. */
function cellsOf(lease: ConsoleLease, network: Cidr, shift: bigint, count: number): number[] {
  const found: number[] = [];
  for (const text of lease.subnet.split(" ")) {
    const block = parseCidr(text);
    if (block?.ip.family !== network.ip.family) continue;
    const first = Number((block.ip.value - network.ip.value) >> shift);
    const last = Number((lastAddress(block) - network.ip.value) >> shift);
    for (let index = Math.max(0, first); index <= Math.min(last, count - 1); index += 1) {
      found.push(index);
    }
  }
  return found;
}
