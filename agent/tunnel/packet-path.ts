/**
 * What a thread of the tunnel is given to work with, and what one direction of it is to the
 * loop that drives it.
 */
import type { MessagePort } from "node:worker_threads";
import type { PeerTable } from "./peer-table.ts";

export type Direction = "egress" | "ingress";

export interface LoopSetup {
  readonly directions: readonly Direction[];
  readonly tunFd: number;
  readonly udpFd: number;
  /** Raw socket for ICMP errors. */
  readonly icmpFd: number;
  /** An eventfd, written when there are new peers or the loop must end. */
  readonly wakeFd: number;
  /** See CONTROL. */
  readonly control: SharedArrayBuffer;
  readonly stats: SharedArrayBuffer;
  /** Brings new peer tables: shared buffers. */
  readonly peers: MessagePort;
  /** Our address on the TUN, from which ICMP errors are sent. */
  readonly address: number;
  /** The TUN carries super-segments, the socket segments datagrams. */
  readonly canSegment: boolean;
  readonly joins: { readonly tcp: boolean; readonly udp: boolean };
  readonly batch: number;
}

/** One direction. */
export interface PacketPath {
  readonly fd: number;
  /** Moves one batch; true when nothing is left to move. */
  step(peers: PeerTable): boolean;
}

/** 32-bit words of the control block. */
export const CONTROL = { stop: 0, generation: 1, words: 2 } as const;
