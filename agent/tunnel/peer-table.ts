/**
 * Who owns which subnet, in shared memory: built once by the agent's thread, read by the packet
 * loops, never changed. A new list is a new table, so an update is atomic, stalls nobody, and a
 * loop that holds the old one goes on with consistent answers.
 *
 * Layout, 32-bit words: prefix-length count, bucket bits, 33 prefix lengths (longest first),
 * then the routes' buckets (network, prefix + 1, remote, port) and the sources' (address, used):
 * two hash tables with open addressing, never more than half full.
 */

import { TwillError } from "../../common/errors.ts";
import type { Cidr } from "../../common/net/cidr.ts";
import type { Ip } from "../../common/net/ip.ts";

export interface TunnelPeer {
  readonly subnet: Cidr;
  /** Where its node takes datagrams, and the only source they are accepted from. */
  readonly remote: Ip;
  readonly port: number;
}

const LENGTHS_AT = 2;
const BUCKETS_AT = LENGTHS_AT + 33;
const ROUTE_WORDS = 4;
const SOURCE_WORDS = 2;
/** 2^32 divided by the golden ratio: spreads neighbouring subnets (Knuth, TAOCP 6.4). */
const HASH_FACTOR = 0x9e3779b1;
export const NO_ROUTE = -1;

/** Builds the table; of two peers with one subnet the first counts. */
export function encodePeers(peers: readonly TunnelPeer[]): SharedArrayBuffer {
  const bits = Math.max(1, Math.ceil(Math.log2(2 * peers.length + 1)));
  const bytes = (BUCKETS_AT + (ROUTE_WORDS + SOURCE_WORDS) * 2 ** bits) * 4;
  const words = new Uint32Array(new SharedArrayBuffer(bytes));
  const lengths = [...new Set(peers.map((peer) => peer.subnet.prefix))].sort((a, b) => b - a);
  words[0] = lengths.length;
  words[1] = bits;
  words.set(lengths, LENGTHS_AT);
  const table = new PeerTable(words.buffer);
  for (const peer of peers) {
    if (peer.subnet.ip.family !== 4 || peer.remote.family !== 4) {
      throw new TwillError("BUG", "the udp tunnel carries IPv4 over IPv4 only");
    }
    const network = Number(peer.subnet.ip.value);
    const route = table.probeRoute(network, peer.subnet.prefix);
    const remote = Number(peer.remote.value);
    const isNew = words[route + 1] === 0;
    if (isNew) words.set([network, peer.subnet.prefix + 1, remote, peer.port], route);
    if (isNew) words.set([remote, 1], table.probeSource(remote));
  }
  return words.buffer;
}

/** A loop's view of one table. */
export class PeerTable {
  readonly #words: Uint32Array;
  readonly #lengths: Uint32Array;
  readonly #mask: number;
  readonly #shift: number;
  readonly #sourcesAt: number;

  constructor(buffer: SharedArrayBuffer) {
    const words = new Uint32Array(buffer);
    const bits = words[1] ?? 0;
    this.#words = words;
    this.#lengths = words.subarray(LENGTHS_AT, LENGTHS_AT + (words[0] ?? 0));
    this.#mask = 2 ** bits - 1;
    this.#shift = 32 - bits;
    this.#sourcesAt = BUCKETS_AT + ROUTE_WORDS * 2 ** bits;
  }

  /** The longest match for an address, as a place to ask `remoteAt` and `portAt` about. */
  find(address: number): number {
    for (let index = 0; index < this.#lengths.length; index += 1) {
      const prefix = this.#word(this.#lengths, index);
      const network = prefix === 0 ? 0 : (address & (-1 << (32 - prefix))) >>> 0;
      const route = this.probeRoute(network, prefix);
      if (this.#word(this.#words, route + 1) !== 0) return route;
    }
    return NO_ROUTE;
  }

  remoteAt(route: number): number {
    return this.#word(this.#words, route + 2);
  }

  portAt(route: number): number {
    return this.#word(this.#words, route + 3);
  }

  isPeer(source: number): boolean {
    return this.#word(this.#words, this.probeSource(source) + 1) !== 0;
  }

  /** The bucket that holds the subnet, or the empty one where it belongs. */
  probeRoute(network: number, prefix: number): number {
    for (let bucket = this.#hash(network ^ prefix); ; bucket += 1) {
      const at = BUCKETS_AT + (bucket & this.#mask) * ROUTE_WORDS;
      const held = this.#word(this.#words, at + 1);
      if (held === 0 || (held === prefix + 1 && this.#word(this.#words, at) === network)) return at;
    }
  }

  /** The same for a peer's address. */
  probeSource(address: number): number {
    for (let bucket = this.#hash(address); ; bucket += 1) {
      const at = this.#sourcesAt + (bucket & this.#mask) * SOURCE_WORDS;
      const used = this.#word(this.#words, at + 1);
      if (used === 0 || this.#word(this.#words, at) === address) return at;
    }
  }

  #hash(key: number): number {
    return Math.imul(key, HASH_FACTOR) >>> this.#shift;
  }

  #word(words: Uint32Array, at: number): number {
    return words[at] ?? 0;
  }
}
