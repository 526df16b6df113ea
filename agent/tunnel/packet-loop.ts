/**
 * The loop of one thread: takes what is there, in the directions it was given, and waits when
 * there is nothing. It never returns to the thread's event loop: it learns of new peers and of
 * the end through shared words it looks at between two batches, and is woken for the end by an
 * eventfd.
 */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { Arena } from "./arena.ts";
import { Egress } from "./egress.ts";
import { Ingress } from "./ingress.ts";
import { poll, read } from "./libc.ts";
import { CONTROL, type LoopSetup } from "./packet-path.ts";
import { encodePeers, PeerTable } from "./peer-table.ts";

const POLLIN = 1;
const POLLFD_BYTES = 8;
/** Backstop, should a wake-up be lost with the thread that owed it. */
const POLL_MS = 1000;

/** Returns when told to stop; throws when the device or the socket is gone. */
export function runPacketLoop(setup: LoopSetup): void {
  const paths = setup.directions.map((direction) =>
    direction === "egress" ? new Egress(setup) : new Ingress(setup),
  );
  const sleeper = new Sleeper(
    paths.map(({ fd }) => fd),
    setup.wakeFd,
  );
  const control = new Int32Array(setup.control);
  let peers = new PeerTable(encodePeers([]));
  let generation = 0;
  while (Atomics.load(control, CONTROL.stop) === 0) {
    const current = Atomics.load(control, CONTROL.generation);
    if (current !== generation) peers = latestPeers(setup.peers) ?? peers;
    generation = current;
    let isIdle = true;
    for (const path of paths) isIdle = path.step(peers) && isIdle;
    if (isIdle) sleeper.wait();
  }
}

/** The last table that was sent; older ones are skipped. */
function latestPeers(port: MessagePort): PeerTable | undefined {
  let latest: PeerTable | undefined;
  for (;;) {
    const next = receiveMessageOnPort(port);
    if (next === undefined) return latest;
    if (next.message instanceof SharedArrayBuffer) latest = new PeerTable(next.message);
  }
}

/** Sleeps until a descriptor is readable or somebody wakes it. */
class Sleeper {
  readonly #arena: Arena;
  readonly #wakeFd: number;
  readonly #count: number;
  /** Where poll says whether it was woken, and eight bytes to read that away. */
  readonly #woken: number;
  readonly #word: number;

  constructor(fds: readonly number[], wakeFd: number) {
    this.#arena = new Arena((fds.length + 2) * POLLFD_BYTES);
    this.#wakeFd = wakeFd;
    this.#count = fds.length + 1;
    for (const fd of fds) this.#watch(fd);
    this.#woken = this.#watch(wakeFd) + 6;
    this.#word = this.#arena.take(8);
  }

  wait(): void {
    const { view, address } = this.#arena;
    const ready = poll(address, this.#count, POLL_MS);
    if (ready > 0 && view.getInt16(this.#woken, true) !== 0) {
      read(this.#wakeFd, address + this.#word, 8);
    }
  }

  #watch(fd: number): number {
    const at = this.#arena.take(POLLFD_BYTES);
    this.#arena.view.setInt32(at, fd, true);
    this.#arena.view.setInt16(at + 4, POLLIN, true);
    return at;
  }
}
