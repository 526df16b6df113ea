/**
 * The udp backend's data path (contract 3.3): the TUN device, the UDP socket, and threads that
 * carry packets between them. This file owns their lives; the packets are in egress.ts and
 * ingress.ts, and tunnel-driver.ts keeps a tunnel open for the agent. docs/udp-tunnel.md.
 */
import { closeSync } from "node:fs";
import { availableParallelism, endianness } from "node:os";
import { TwillError } from "../../common/errors.ts";
import type { Ip } from "../../common/net/ip.ts";
import { openIcmpSocket } from "./icmp-socket.ts";
import { pointerBytes } from "./libc.ts";
import { LoopThread, type SharedSetup } from "./loop-thread.ts";
import type { Direction } from "./packet-path.ts";
import { encodePeers, type TunnelPeer } from "./peer-table.ts";
import { openTunDevice } from "./tun-device.ts";
import { newStats, readStats, type TunnelStats } from "./tunnel-stats.ts";
import { openUdpSocket } from "./udp-socket.ts";

export interface UdpTunnelOptions {
  /** The TUN device, made or adopted; it stays when the tunnel is closed. */
  readonly deviceName: string;
  /** The interface's address, which datagrams are sent from and taken at. */
  readonly bind: Ip;
  readonly port: number;
  /** Our own address on the device, from which ICMP errors are sent. */
  readonly address: Ip;
  /** Ends the tunnel. */
  readonly signal: AbortSignal;
  readonly tuning?: Partial<TunnelTuning>;
}

/** What measuring may want to change. */
export interface TunnelTuning {
  /** Super-segments on the TUN and the socket, both ways. */
  readonly offloads: boolean;
  /** Messages to a system call. */
  readonly batch: number;
  /** Joining received packets. */
  readonly joinTcp: boolean;
  readonly joinUdp: boolean;
  /** 1: both directions in one thread; 2: one each. */
  readonly threads: 1 | 2;
}

/** What measured best (docs/udp-tunnel.md). */
export const DEFAULT_TUNING: TunnelTuning = {
  offloads: true,
  batch: 32,
  joinTcp: true,
  joinUdp: true,
  threads: availableParallelism() > 2 ? 2 : 1,
};

export interface UdpTunnel {
  /** Puts a new list in the old one's place, at once and as a whole. */
  setPeers(peers: readonly TunnelPeer[]): void;
  stats(): TunnelStats;
  /** Settles when the tunnel has ended: undefined after `close`, else why it could not go on. */
  readonly ended: Promise<TwillError | undefined>;
  /** Stops the loops and closes device and socket; the device, its addresses and routes stay. */
  close(): Promise<void>;
}

const THREADS: Readonly<Record<TunnelTuning["threads"], readonly (readonly Direction[])[]>> = {
  1: [["egress", "ingress"]],
  2: [["egress"], ["ingress"]],
};

export async function openUdpTunnel(options: UdpTunnelOptions): Promise<UdpTunnel> {
  options.signal.throwIfAborted();
  requireSupportedHost();
  const tuning = { ...DEFAULT_TUNING, ...options.tuning };
  const fds: number[] = [];
  const opened = (fd: number): number => {
    fds.push(fd);
    return fd;
  };
  try {
    // The socket first: its port is what keeps a second agent from sharing the device.
    const socket = openUdpSocket(options.bind, options.port, tuning.offloads);
    opened(socket.fd);
    const icmpFd = opened(openIcmpSocket());
    const device = openTunDevice(options.deviceName, tuning.offloads);
    opened(device.fd);
    const shared: SharedSetup = {
      tunFd: device.fd,
      udpFd: socket.fd,
      icmpFd,
      stats: newStats(2),
      address: Number(options.address.value),
      canSegment: socket.canSegment,
      joins: { tcp: tuning.joinTcp, udp: tuning.joinUdp && device.hasUdpSegmentation },
      batch: tuning.batch,
    };
    const tunnel = new Tunnel(fds, shared, THREADS[tuning.threads], options.signal);
    await tunnel.start();
    return tunnel;
  } catch (error) {
    for (const fd of fds.splice(0)) closeSync(fd);
    throw error;
  }
}

class Tunnel implements UdpTunnel {
  readonly ended: Promise<TwillError | undefined>;
  readonly #shared: SharedSetup;
  readonly #threads: readonly LoopThread[];

  /** Takes over the descriptors: it closes them when its threads have ended. */
  constructor(
    fds: number[],
    shared: SharedSetup,
    threads: readonly (readonly Direction[])[],
    signal: AbortSignal,
  ) {
    this.#shared = shared;
    this.#threads = threads.map((directions) => new LoopThread(shared, directions));
    const stop = (): void => this.#stop();
    // A thread that is asleep in the kernel would hold up the end of the process.
    process.on("exit", stop);
    signal.addEventListener("abort", stop);
    this.ended = this.#join().finally(() => {
      process.off("exit", stop);
      signal.removeEventListener("abort", stop);
      for (const fd of fds.splice(0)) closeSync(fd);
    });
  }

  /** Resolves when packets flow (or `ended` tells why they never will). */
  async start(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.started));
  }

  setPeers(peers: readonly TunnelPeer[]): void {
    const table = encodePeers(peers);
    for (const thread of this.#threads) thread.sendPeers(table);
  }

  stats(): TunnelStats {
    return readStats(this.#shared.stats);
  }

  async close(): Promise<void> {
    this.#stop();
    await this.ended;
  }

  /** When one thread ends, the others have no use. */
  async #join(): Promise<TwillError | undefined> {
    const failures = await Promise.all(
      this.#threads.map(async (thread) => {
        const failure = await thread.ended;
        this.#stop();
        return failure;
      }),
    );
    return failures.find((failure) => failure !== undefined);
  }

  #stop(): void {
    for (const thread of this.#threads) thread.stop();
  }
}

/** The layouts in arena.ts and the virtio header are those of such hosts. */
function requireSupportedHost(): void {
  if (endianness() === "LE" && pointerBytes() === 8) return;
  throw new TwillError(
    "KERNEL_UNSUPPORTED",
    `the udp backend needs a 64-bit little-endian machine, not ${process.arch}: use vxlan`,
  );
}
