/**
 * What a packet loop is started with, and its line to the agent's thread while it runs. A loop
 * never returns to its event loop: it learns of new peers and of the end through shared words
 * it looks at between two batches, and is woken for the end by an eventfd.
 */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { Arena } from "./arena.ts";
import { ERRNO, poll } from "./libc.ts";
import { PeerTable } from "./peer-table.ts";

export interface LoopSetup {
  readonly direction: "egress" | "ingress";
  readonly tunFd: number;
  readonly udpFd: number;
  /** Raw socket for ICMP errors. */
  readonly icmpFd: number;
  /** An eventfd that becomes readable when the loops must end. */
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

/** 32-bit words of the control block. */
export const CONTROL = { stop: 0, generation: 1, words: 2 } as const;

const POLLIN = 1;
const POLLFD_BYTES = 8;
/** Backstop, should a wake-up be lost with the thread that owed it. */
const POLL_MS = 1000;

export class LoopContext {
  readonly #setup: LoopSetup;
  readonly #control: Int32Array;
  readonly #arena: Arena;
  readonly #pollfds: number;
  #generation = 0;
  #table: PeerTable | undefined;

  static readonly bytes = 2 * POLLFD_BYTES;

  constructor(setup: LoopSetup, arena: Arena) {
    this.#setup = setup;
    this.#arena = arena;
    this.#control = new Int32Array(setup.control);
    this.#pollfds = arena.take(2 * POLLFD_BYTES);
    this.#watch(0, setup.direction === "egress" ? setup.tunFd : setup.udpFd);
    this.#watch(1, setup.wakeFd);
  }

  get isStopped(): boolean {
    return Atomics.load(this.#control, CONTROL.stop) !== 0;
  }

  /** The peers as of now; undefined until the first list came. */
  peers(): PeerTable | undefined {
    const generation = Atomics.load(this.#control, CONTROL.generation);
    if (generation !== this.#generation) {
      this.#generation = generation;
      for (;;) {
        const next = receiveMessageOnPort(this.#setup.peers);
        if (next === undefined) break;
        if (next.message instanceof SharedArrayBuffer) this.#table = new PeerTable(next.message);
      }
    }
    return this.#table;
  }

  /** Waits until there is something to read or to stop for. */
  wait(): void {
    poll(this.#arena.address + this.#pollfds, 2, POLL_MS);
  }

  #watch(index: number, fd: number): void {
    const at = this.#pollfds + index * POLLFD_BYTES;
    this.#arena.view.setInt32(at, fd, true);
    this.#arena.view.setInt16(at + 4, POLLIN, true);
  }
}

/** "Nothing there yet", as opposed to "never again". */
export function isTransient(error: number): boolean {
  return error === ERRNO.EAGAIN || error === ERRNO.EINTR;
}
