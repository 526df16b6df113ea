/**
 * The tunnel's UDP socket, bound to the interface address and the backend's port, from which
 * every datagram is sent and at which every one arrives (contract 3.3).
 */
import { closeSync } from "node:fs";
import { TwillError } from "../../common/errors.ts";
import { formatIp, type Ip, ipToBytes } from "../../common/net/ip.ts";
import { bind, setsockopt, socket } from "../kernel/libc.ts";
import { errnoName } from "./libc.ts";

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDTIMEO = 21;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_IP = 0;
const IP_MTU_DISCOVER = 10;
const IP_PMTUDISC_DONT = 0;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;
/**
 * A joined message counts with its 64 KiB, so the default of 208 KiB holds three of them:
 * measured 2.7 Gbit/s with 110,000 retransmits in 3 s, against 4.1 Gbit/s with none. 4 MiB is
 * some 10 ms of traffic at that speed.
 */
const BUFFER_BYTES = 4 * 2 ** 20;
/** A send never holds the loop for longer, however full the queue of a dead link is. */
const SEND_TIMEOUT_SECONDS = 1n;

export interface UdpSocket {
  readonly fd: number;
  /** UDP_SEGMENT is there (4.18 and later). */
  readonly canSegment: boolean;
}

export function openUdpSocket(address: Ip, port: number, offloads: boolean): UdpSocket {
  const fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw refused(address, port, fd);
  try {
    // Forced (CAP_NET_ADMIN) past net.core.[rw]mem_max; a kernel that refuses keeps its default.
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int(BUFFER_BYTES));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, int(BUFFER_BYTES));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, timeval(SEND_TIMEOUT_SECONDS));
    // As vxlan devices do: a path narrower than the interface fragments the outer datagram
    // instead of swallowing every full packet.
    setsockopt(fd, SOL_IP, IP_MTU_DISCOVER, int(IP_PMTUDISC_DONT));
    if (offloads) setsockopt(fd, SOL_UDP, UDP_GRO, int(1));
    const canSegment = offloads && setsockopt(fd, SOL_UDP, UDP_SEGMENT, int(0)) >= 0;
    const bound = bind(fd, sockaddr(address, port));
    if (bound < 0) throw refused(address, port, bound);
    return { fd, canSegment };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function sockaddr(address: Ip, port: number): Uint8Array {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipToBytes(address), 4);
  return bytes;
}

function int(value: number): Uint8Array {
  return new Uint8Array(new Int32Array([value]).buffer);
}

function timeval(seconds: bigint): Uint8Array {
  return new Uint8Array(new BigInt64Array([seconds, 0n]).buffer);
}

function refused(address: Ip, port: number, error: number): TwillError {
  const reason = errnoName(error);
  const hint =
    reason === "EADDRINUSE"
      ? ": another program has this port (flanneld? a second agent?)"
      : reason === "EADDRNOTAVAIL"
        ? ": no interface has this address"
        : "";
  return new TwillError(
    "KERNEL_REFUSED",
    `udp tunnel: cannot bind ${formatIp(address)}:${port}: ${reason}${hint}`,
    { context: { address: formatIp(address), port, errno: reason } },
  );
}
