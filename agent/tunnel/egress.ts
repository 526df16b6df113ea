/**
 * TUN to UDP: reads packets and super-segments of this node's containers, finds the peer of
 * each, takes one hop off, cuts super-segments to packets, and sends it all in batches.
 */
import { TwillError } from "../../common/errors.ts";
import { Arena, SOCKADDR_BYTES, writeSockaddr } from "./arena.ts";
import { EAGAIN, EINTR, EINVAL, EIO, EMSGSIZE, errnoName, read, sendmmsg, sendto } from "./libc.ts";
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
import type { LoopSetup, PacketPath } from "./packet-path.ts";
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

export class Egress implements PacketPath {
  readonly #setup: LoopSetup;
  readonly #arena = new Arena(ARENA_BYTES);
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
    this.#stats = new StatsRow(setup.stats, 0);
    const capacity = { messages: setup.batch, iovecs: IOVECS };
    this.#batch = new SendBatch(this.#arena, capacity, setup.canSegment);
    this.#reply = this.#arena.take(NET_UNREACHABLE_MAX_BYTES);
    this.#replyTo = this.#arena.take(SOCKADDR_BYTES);
    this.#headers = this.#arena.take(HEADER_AREA_BYTES);
    this.#packets = this.#arena.take(PACKET_AREA_BYTES);
  }

  get fd(): number {
    return this.#setup.tunFd;
  }

  step(peers: PeerTable): boolean {
    const isDrained = this.#readBatch(peers);
    this.#flush();
    return isDrained;
  }

  /** Collects packets until the batch is full or the TUN is empty (true). */
  #readBatch(table: PeerTable): boolean {
    while (!this.#batch.isFull && this.#packetsUsed + READ_BYTES <= PACKET_AREA_BYTES) {
      // The IP header lies on a multiple of four, two bytes after one plus the virtio header.
      const virtio = this.#packets + this.#packetsUsed + 2;
      const length = read(this.#setup.tunFd, this.#arena.address + virtio, READ_BYTES - 2);
      if (length < 0) {
        if (length === EAGAIN || length === EINTR) return true;
        throw new TwillError("KERNEL_REFUSED", `the TUN device is gone: ${errnoName(length)}`);
      }
      this.#packetsUsed += Math.ceil((length + 2) / 4) * 4;
      this.#route(table, virtio, length - VIRTIO_HEADER_BYTES);
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
    if (whole === undefined || header.kind === "other") {
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
    let sent = 0;
    while (sent < batch.count) {
      const done = sendmmsg(this.#setup.udpFd, batch.address(sent), batch.count - sent);
      if (done > 0) sent += done;
      // The link took nothing for SEND_TIMEOUT: what comes next is newer than what waits here.
      else if (done === EAGAIN) break;
      else if (done !== EINTR) {
        this.#sendRefused(sent, done);
        sent += 1;
      }
    }
    for (; sent < batch.count; sent += 1) this.#drop(sent);
    batch.clear();
    this.#headersUsed = 0;
  }

  /**
   * A refused message of many datagrams goes out one by one: EIO says that this route's device
   * cannot checksum and none will ever pass, EMSGSIZE and EINVAL that the path is narrower.
   */
  #sendRefused(index: number, error: number): void {
    if (error === EIO) this.#batch.stopSegmenting();
    const isTooWide = error === EIO || error === EMSGSIZE || error === EINVAL;
    if (!isTooWide || this.#batch.segmentsOf(index) === 1) {
      this.#drop(index);
      return;
    }
    this.#batch.isolate(index, (address) => {
      if (sendmmsg(this.#setup.udpFd, address, 1) < 1) this.#stats.add(COUNTER.sendFailed, 1);
    });
  }

  #drop(index: number): void {
    this.#stats.add(COUNTER.sendFailed, this.#batch.segmentsOf(index));
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
