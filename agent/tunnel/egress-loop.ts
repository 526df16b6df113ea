/**
 * TUN to UDP: reads packets and super-segments of this node's containers, finds the peer of
 * each, takes one hop off, cuts super-segments to packets, and sends it all in batches.
 * Returns when told to stop; throws when the device or the socket is gone.
 */
import { TwillError } from "../../common/errors.ts";
import { Arena, SOCKADDR_BYTES, writeSockaddr } from "./arena.ts";
import { ERRNO, errno, errnoName, read, sendmmsg, sendto } from "./libc.ts";
import { isTransient, LoopContext, type LoopSetup } from "./loop-context.ts";
import { decrementTtl, destinationOf, ipv4Length, isIpv4, sourceOf } from "./packet/ipv4.ts";
import {
  deservesUnreachable,
  NET_UNREACHABLE_MAX_BYTES,
  writeNetUnreachable,
} from "./packet/net-unreachable.ts";
import {
  completeChecksum,
  readSuperSegment,
  segmentPayloadLength,
  writeSegmentHeader,
} from "./packet/segmentation.ts";
import {
  readVirtioHeader,
  VIRTIO_HEADER_BYTES,
  type VirtioHeader,
} from "./packet/virtio-header.ts";
import { NO_ROUTE, type PeerTable } from "./peer-table.ts";
import { SendBatch } from "./send-batch.ts";
import { COUNTER, StatsRow } from "./tunnel-stats.ts";

/** One super-segment with its virtio header. */
const READ_BYTES = 65_536 + 16;
/** Two super-segments fit; a third read waits until they are sent. */
const PACKET_AREA_BYTES = 2 * READ_BYTES;
const IOVECS = 1024;
/** Headers of cut segments: half the iovecs, each at most two 60-byte headers. */
const HEADER_AREA_BYTES = (IOVECS / 2) * 120;
const ARENA_BYTES = PACKET_AREA_BYTES + HEADER_AREA_BYTES + 65_536;

export class EgressLoop {
  readonly #setup: LoopSetup;
  readonly #arena = new Arena(ARENA_BYTES);
  readonly #context: LoopContext;
  readonly #batch: SendBatch;
  readonly #stats: StatsRow;
  readonly #packets: number;
  readonly #headers: number;
  readonly #reply: number;
  readonly #replyTo: number;
  #packetsUsed = 0;
  #headersUsed = 0;

  constructor(setup: LoopSetup) {
    this.#setup = setup;
    this.#context = new LoopContext(setup, this.#arena);
    this.#stats = new StatsRow(setup.stats, 0);
    const capacity = { messages: setup.batch, iovecs: IOVECS };
    this.#batch = new SendBatch(this.#arena, capacity, setup.canSegment);
    this.#reply = this.#arena.take(NET_UNREACHABLE_MAX_BYTES);
    this.#replyTo = this.#arena.take(SOCKADDR_BYTES);
    this.#headers = this.#arena.take(HEADER_AREA_BYTES);
    this.#packets = this.#arena.take(PACKET_AREA_BYTES);
  }

  run(): void {
    while (!this.#context.isStopped) {
      const table = this.#context.peers();
      const isDrained = this.#readBatch(table);
      this.#flush();
      if (isDrained) this.#context.wait();
    }
  }

  /** Collects packets until the batch is full or the TUN is empty (true). */
  #readBatch(table: PeerTable | undefined): boolean {
    while (!this.#batch.isFull && this.#packetsUsed + READ_BYTES <= PACKET_AREA_BYTES) {
      // The IP header lies on a multiple of four, two bytes after one plus the virtio header.
      const virtio = this.#packets + this.#packetsUsed + 2;
      const length = read(this.#setup.tunFd, this.#arena.address + virtio, READ_BYTES - 2);
      if (length < 0) {
        if (isTransient(errno())) return true;
        throw lost("the TUN device");
      }
      this.#packetsUsed += Math.ceil((length + 2) / 4) * 4;
      if (table !== undefined) this.#route(table, virtio, length - VIRTIO_HEADER_BYTES);
    }
    return false;
  }

  #route(table: PeerTable, virtio: number, available: number): void {
    const { view } = this.#arena;
    const ip = virtio + VIRTIO_HEADER_BYTES;
    // The device's own IPv6 chatter (router solicitations) is not worth a counter.
    if (available > 0 && !isIpv4(view, ip)) return;
    const length = ipv4Length(view, ip, available);
    if (length === 0) {
      this.#stats.add(COUNTER.malformed, 1);
      return;
    }
    const route = table.find(destinationOf(view, ip));
    if (route === NO_ROUTE) {
      this.#refuse(ip, length);
      return;
    }
    if (!decrementTtl(view, ip)) {
      this.#stats.add(COUNTER.ttlExpired, 1);
      return;
    }
    const header = readVirtioHeader(view, virtio);
    const to = { remote: table.remoteAt(route), port: table.portAt(route) };
    if (header.kind === "none") this.#addPacket(to, header, { ip, length });
    else this.#addSegments(to, header, { ip, length });
  }

  #addPacket(to: Destination, header: VirtioHeader, packet: Packet): void {
    const { ip, length } = packet;
    const { needsChecksum, checksumStart, checksumOffset } = header;
    if (
      needsChecksum &&
      !completeChecksum(this.#arena.view, packet, checksumStart, checksumOffset)
    ) {
      this.#stats.add(COUNTER.malformed, 1);
      return;
    }
    this.#batch.datagram(to.remote, to.port, length);
    this.#batch.piece(ip, length);
    this.#count(1, length);
  }

  #addSegments(to: Destination, header: VirtioHeader, packet: Packet): void {
    const { view } = this.#arena;
    const whole = readSuperSegment(view, packet.ip, packet.length, header.segmentSize);
    if (whole === undefined) {
      this.#stats.add(COUNTER.malformed, 1);
      return;
    }
    const { headerLength, segmentSize, count } = whole;
    for (let index = 0; index < count; index += 1) {
      if (this.#batch.isFull || this.#headersUsed + headerLength > HEADER_AREA_BYTES) this.#send();
      const out = this.#headers + this.#headersUsed;
      const payloadLength = segmentPayloadLength(whole, index);
      writeSegmentHeader(view, whole, index, out);
      this.#batch.datagram(to.remote, to.port, headerLength + payloadLength);
      this.#batch.piece(out, headerLength);
      this.#batch.piece(packet.ip + headerLength + index * segmentSize, payloadLength);
      this.#headersUsed += headerLength;
    }
    this.#count(count, packet.length + (count - 1) * headerLength);
  }

  #refuse(ip: number, length: number): void {
    this.#stats.add(COUNTER.noRoute, 1);
    const { view, address } = this.#arena;
    if (!deservesUnreachable(view, ip, length)) return;
    const bytes = writeNetUnreachable(view, { ip, length }, this.#reply, this.#setup.address);
    writeSockaddr(view, this.#replyTo, sourceOf(view, ip), 0);
    sendto(this.#setup.icmpFd, address + this.#reply, bytes, address + this.#replyTo);
  }

  #flush(): void {
    this.#send();
    this.#packetsUsed = 0;
  }

  /** Sends what is collected; a message the kernel refuses does not hold up the others. */
  #send(): void {
    const batch = this.#batch;
    for (let sent = 0; sent < batch.count; ) {
      const done = sendmmsg(this.#setup.udpFd, batch.address(sent), batch.count - sent, 0);
      if (done > 0) {
        sent += done;
        continue;
      }
      const error = errno();
      if (error === ERRNO.EINTR) continue;
      this.#sendSingly(sent, error);
      sent += 1;
    }
    batch.clear();
    this.#headersUsed = 0;
  }

  /**
   * A refused message of many datagrams goes out one by one: EIO says that this route's device
   * cannot checksum and none will ever pass, EMSGSIZE and EINVAL that the path is narrower.
   */
  #sendSingly(index: number, error: number): void {
    const segments = this.#batch.segmentsOf(index);
    if (segments === 1) {
      this.#stats.add(COUNTER.sendFailed, 1);
      return;
    }
    if (error === ERRNO.EIO) this.#batch.stopSegmenting();
    this.#batch.isolate(index, (address) => {
      if (sendmmsg(this.#setup.udpFd, address, 1, 0) < 1) this.#stats.add(COUNTER.sendFailed, 1);
    });
  }

  #count(packets: number, bytes: number): void {
    this.#stats.add(COUNTER.sentPackets, packets);
    this.#stats.add(COUNTER.sentBytes, bytes);
  }
}

interface Destination {
  readonly remote: number;
  readonly port: number;
}

interface Packet {
  readonly ip: number;
  readonly length: number;
}

function lost(what: string): TwillError {
  return new TwillError("KERNEL_REFUSED", `${what} is gone: ${errnoName(errno())}`);
}
