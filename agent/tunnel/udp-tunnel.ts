/**
 * The udp backend's data path (contract 3.3): the TUN device, the UDP socket, and one thread for
 * each direction between them. This file owns their lives; the packets are in egress-loop.ts
 * and ingress-loop.ts.
 */
import { closeSync } from "node:fs";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { isErrorCode, TwillError } from "../../common/errors.ts";
import type { Ip } from "../../common/net/ip.ts";
import { openIcmpSocket } from "./icmp-socket.ts";
import { errno, errnoName, eventfd, writeWord } from "./libc.ts";
import { CONTROL, type LoopSetup } from "./loop-context.ts";
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

/** What measuring and strange hosts may want to change. */
export interface TunnelTuning {
  /** Super-segments on the TUN and the socket, both ways. */
  readonly offloads: boolean;
  /** Messages to a system call. */
  readonly batch: number;
  /** Joining received packets. */
  readonly joinTcp: boolean;
  readonly joinUdp: boolean;
}

export const DEFAULT_TUNING: TunnelTuning = {
  offloads: true,
  batch: 32,
  joinTcp: true,
  joinUdp: true,
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

const EFD_NONBLOCK_CLOEXEC = 0o2004000;
/** The loops keep their packets outside of the heap and make little garbage. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 24, stackSizeMb: 1 };

export async function openUdpTunnel(options: UdpTunnelOptions): Promise<UdpTunnel> {
  options.signal.throwIfAborted();
  const tuning = { ...DEFAULT_TUNING, ...options.tuning };
  const fds: number[] = [];
  try {
    const socket = openUdpSocket(options.bind, options.port, tuning.offloads);
    fds.push(socket.fd);
    const device = openTunDevice(options.deviceName, tuning.offloads);
    fds.push(device.fd);
    const icmpFd = openIcmpSocket();
    fds.push(icmpFd);
    const wakeFd = eventfd(0, EFD_NONBLOCK_CLOEXEC);
    if (wakeFd < 0) throw new TwillError("KERNEL_REFUSED", `eventfd: ${errnoName(errno())}`);
    fds.push(wakeFd);
    const tunnel = new Tunnel(fds, wakeFd, {
      tunFd: device.fd,
      udpFd: socket.fd,
      icmpFd,
      wakeFd,
      control: new SharedArrayBuffer(CONTROL.words * 4),
      stats: newStats(2),
      address: Number(options.address.value),
      canSegment: tuning.offloads && socket.canSegment,
      joins: { tcp: tuning.joinTcp, udp: tuning.joinUdp && device.hasUdpSegmentation },
      batch: tuning.batch,
    });
    await tunnel.start(options.signal);
    return tunnel;
  } catch (error) {
    for (const fd of fds.splice(0)) closeSync(fd);
    throw error;
  }
}

class Tunnel implements UdpTunnel {
  readonly #fds: number[];
  readonly #wakeFd: number;
  readonly #common: Omit<LoopSetup, "direction" | "peers">;
  readonly #control: Int32Array;
  readonly #ports: MessagePort[] = [];
  readonly #threads: Promise<void>[] = [];
  #failure: TwillError | undefined;
  ended: Promise<TwillError | undefined> = Promise.resolve(undefined);

  constructor(fds: number[], wakeFd: number, common: Omit<LoopSetup, "direction" | "peers">) {
    this.#fds = fds;
    this.#wakeFd = wakeFd;
    this.#common = common;
    this.#control = new Int32Array(common.control);
  }

  async start(signal: AbortSignal): Promise<void> {
    const running = (["egress", "ingress"] as const).map((direction) => this.#spawn(direction));
    const onExit = (): void => this.#stop();
    process.on("exit", onExit);
    signal.addEventListener("abort", onExit);
    this.ended = Promise.all(this.#threads).then(() => {
      process.off("exit", onExit);
      signal.removeEventListener("abort", onExit);
      for (const port of this.#ports) port.close();
      for (const fd of this.#fds.splice(0)) closeSync(fd);
      return this.#failure;
    });
    await Promise.all(running);
    if (this.#failure !== undefined) throw this.#failure;
  }

  setPeers(peers: readonly TunnelPeer[]): void {
    const table = encodePeers(peers);
    for (const port of this.#ports) port.postMessage(table);
    Atomics.add(this.#control, CONTROL.generation, 1);
  }

  stats(): TunnelStats {
    return readStats(this.#common.stats);
  }

  async close(): Promise<void> {
    this.#stop();
    await this.ended;
  }

  #spawn(direction: "egress" | "ingress"): Promise<void> {
    const { port1, port2 } = new MessageChannel();
    port1.unref();
    this.#ports.push(port1);
    const setup: LoopSetup = { ...this.#common, direction, peers: port2 };
    const worker = new Worker(new URL("./tunnel-worker.js", import.meta.url), {
      workerData: setup,
      transferList: [port2],
      resourceLimits: WORKER_LIMITS,
      name: `udp-${direction}`,
    });
    const exited = new Promise<void>((resolve) => {
      worker.once("exit", () => resolve());
    });
    this.#threads.push(exited);
    const running = new Promise<void>((resolve) => {
      worker.on("message", (message: unknown) => {
        const failure = failureIn(message);
        if (failure !== undefined) this.#fail(failure);
        resolve();
      });
      worker.once("error", (error) => this.#fail(TwillError.from(error)));
    });
    return Promise.race([running, exited]);
  }

  #fail(failure: TwillError): void {
    this.#failure ??= failure;
    this.#stop();
  }

  #stop(): void {
    Atomics.store(this.#control, CONTROL.stop, 1);
    if (this.#fds.length > 0) writeWord(this.#wakeFd, 1n);
  }
}

function failureIn(message: unknown): TwillError | undefined {
  if (typeof message !== "object" || message === null || !("code" in message)) return undefined;
  const { code } = message;
  const text = "message" in message ? String(message.message) : "";
  const known = typeof code === "string" && isErrorCode(code) ? code : "BUG";
  return new TwillError(known, text);
}
