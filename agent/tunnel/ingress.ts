/**
 * UDP to TUN: takes datagrams of known peers in batches, takes one hop off each packet, joins
 * consecutive packets of a flow and writes them to the TUN. The payload is never moved: a
 * super-segment is written from where its packets were received.
 */
import { TwillError } from "../../common/errors.ts";
import { Arena, IOVEC_BYTES } from "./arena.ts";
import { EAGAIN, EBADFD, EINTR, errnoName, recvmmsg, writev } from "./libc.ts";
import { Run } from "./packet/coalescing.ts";
import { decrementTtl, ipv4Length } from "./packet/ipv4.ts";
import { VIRTIO_HEADER_BYTES } from "./packet/virtio-header.ts";
import type { LoopSetup, PacketPath } from "./packet-path.ts";
import type { PeerTable } from "./peer-table.ts";
import { ReceiveBatch } from "./receive-batch.ts";
import { COUNTER, StatsRow } from "./tunnel-stats.ts";

/** IOV_MAX; one is the virtio header's. */
const IOVECS = 1024;

export class Ingress implements PacketPath {
  readonly #setup: LoopSetup;
  readonly #arena: Arena;
  readonly #batch: ReceiveBatch;
  readonly #stats: StatsRow;
  readonly #run: Run;
  readonly #virtio: number;
  readonly #iovecs: number;
  #runBytes = 0;

  constructor(setup: LoopSetup) {
    this.#setup = setup;
    const own = IOVECS * IOVEC_BYTES + 64;
    this.#arena = new Arena(ReceiveBatch.bytes(setup.batch) + own);
    this.#batch = new ReceiveBatch(this.#arena, setup.batch);
    this.#stats = new StatsRow(setup.stats, 1);
    this.#run = new Run(this.#arena.view, setup.joins);
    this.#virtio = this.#arena.take(VIRTIO_HEADER_BYTES);
    this.#iovecs = this.#arena.take(IOVECS * IOVEC_BYTES);
    this.#writeIovec(0, this.#virtio, VIRTIO_HEADER_BYTES);
  }

  get fd(): number {
    return this.#setup.udpFd;
  }

  step(peers: PeerTable): boolean {
    const { capacity, address } = this.#batch;
    const count = recvmmsg(this.#setup.udpFd, address, capacity);
    if (count > 0) this.#deliver(peers, count);
    else if (count !== EAGAIN && count !== EINTR) {
      throw new TwillError("KERNEL_REFUSED", `the UDP socket failed: ${errnoName(count)}`);
    }
    return count < capacity;
  }

  #deliver(table: PeerTable, count: number): void {
    for (let index = 0; index < count; index += 1) {
      if (table.isPeer(this.#batch.source(index))) this.#split(index);
      else this.#stats.add(COUNTER.unknownSource, 1);
    }
    this.#flush();
    this.#batch.recycle(count);
  }

  #split(index: number): void {
    const start = this.#batch.offset(index);
    const end = start + this.#batch.length(index);
    const size = this.#batch.segmentSize(index);
    if (size === 0) {
      this.#stats.add(COUNTER.malformed, 1);
      return;
    }
    for (let at = start; at < end; at += size) this.#take(at, Math.min(size, end - at));
  }

  #take(ip: number, available: number): void {
    const { view } = this.#arena;
    const length = ipv4Length(view, ip, available);
    if (length === 0) {
      this.#stats.add(COUNTER.malformed, 1);
      return;
    }
    if (!decrementTtl(view, ip)) {
      this.#stats.add(COUNTER.ttlExpired, 1);
      return;
    }
    if (this.#run.count < IOVECS - 1 && this.#run.tryAppend(ip, length)) {
      const headerLength = this.#run.headerLength;
      this.#writeIovec(this.#run.count, ip + headerLength, length - headerLength);
    } else {
      this.#flush();
      this.#run.begin(ip, length);
      this.#writeIovec(1, ip, length);
    }
    this.#runBytes += length;
  }

  #flush(): void {
    const packets = this.#run.count;
    if (packets === 0) return;
    this.#run.finish(this.#virtio);
    const address = this.#arena.address + this.#iovecs;
    const written = writev(this.#setup.tunFd, address, packets + 1);
    if (written < 0) this.#notWritten(packets, written);
    else {
      this.#stats.add(COUNTER.receivedPackets, packets);
      this.#stats.add(COUNTER.receivedBytes, this.#runBytes);
    }
    this.#run.clear();
    this.#runBytes = 0;
  }

  /** EIO: the device is down; EINVAL: the kernel did not like the packet; EBADFD: it is gone. */
  #notWritten(packets: number, error: number): void {
    if (error === EBADFD) throw new TwillError("KERNEL_REFUSED", "the TUN device is gone");
    this.#stats.add(COUNTER.writeFailed, packets);
  }

  #writeIovec(index: number, offset: number, length: number): void {
    const at = this.#iovecs + index * IOVEC_BYTES;
    this.#arena.writePointer(at, offset);
    this.#arena.view.setUint32(at + 8, length, true);
  }
}
