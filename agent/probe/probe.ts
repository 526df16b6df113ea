/**
 * Sends packets to a few addresses and waits for what comes back. An echo is answered by the
 * other kernel, so it needs nothing of the other agent; a datagram to a closed port is answered
 * too, and its checksum is filled in on the way out as containers' are, where an echo's is not.
 */
import { createSocket } from "node:dgram";
import type { Clock } from "../../common/async/clock.ts";
import { withDeadline } from "../../common/async/deadline.ts";
import { TwillError } from "../../common/errors.ts";
import { formatIp, type Ip, parseIp } from "../../common/net/ip.ts";
import type { ProbeResult, ProbeTarget } from "../../proto/gen/twill/v1/node.ts";
import { EchoSocket } from "../kernel/echo-socket.ts";
import { encodeEcho, readEchoReply } from "./echo-packet.ts";

/** Between two packets to one address. */
const PACE_MS = 10;
export const MAX_TARGETS = 16;
export const MAX_PACKETS = 10;
/** traceroute's first port: nobody listens there. */
const CLOSED_PORT = 33_434;
const UDP_OVERHEAD = { 4: 28, 6: 48 } as const;

export interface ProbeParts {
  readonly clock: Clock;
  /** For the last answer to come. */
  readonly waitMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export type Probe = typeof probe;

/** Never rejects but by the signal: what went wrong is in the result. */
export async function probe(
  target: ProbeTarget,
  parts: ProbeParts,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const { label } = target;
  const address = parseIp(target.address);
  if (address === undefined) return failed(label, `"${target.address}" is no address`);
  const tally = new Tally(Math.min(Math.max(target.count, 1), MAX_PACKETS), parts.clock);
  const send = target.protocol === "udp" ? sendDatagrams : sendEchoes;
  const late = (): TwillError => new TwillError("NODE_UNAVAILABLE", "no answer");
  const ms = parts.waitMs + tally.wanted * PACE_MS;
  try {
    await withDeadline({ clock: parts.clock, ms, late, signal }, (inner) =>
      send({ address, packetBytes: target.packetBytes, tally, ...parts }, inner),
    );
  } catch (error) {
    signal.throwIfAborted();
    const known = TwillError.from(error);
    if (known.code !== "NODE_UNAVAILABLE") return { ...tally.result(label), error: known.message };
  }
  return tally.result(label);
}

interface Sending extends ProbeParts {
  readonly address: Ip;
  readonly packetBytes: number;
  readonly tally: Tally;
}

async function sendEchoes(sending: Sending, signal: AbortSignal): Promise<void> {
  const { address, packetBytes, tally, clock, random } = sending;
  const { family } = address;
  const id = Math.floor(random() * 0x1_0000);
  using socket = new EchoSocket(address, {
    datagram: (bytes) => {
      const seq = readEchoReply(family, bytes, id);
      if (seq !== undefined) tally.received(seq);
    },
    failed: (errno) => tally.failed(errno),
  });
  for (let seq = 0; seq < tally.wanted; seq += 1) {
    tally.sent(seq);
    const errno = socket.send(encodeEcho(family, id, seq, packetBytes));
    if (errno !== undefined) {
      tally.failed(errno);
      return;
    }
    await clock.sleep(PACE_MS, signal);
  }
  await tally.complete(signal);
}

async function sendDatagrams(sending: Sending, signal: AbortSignal): Promise<void> {
  const { address, packetBytes, tally, clock } = sending;
  const { family } = address;
  const payload = Buffer.alloc(Math.max(0, packetBytes - UDP_OVERHEAD[family]), 0x74);
  for (let seq = 0; seq < tally.wanted; seq += 1) {
    const socket = createSocket(family === 4 ? "udp4" : "udp6");
    try {
      socket.on("error", (error) => {
        if (error.message.includes("ECONNREFUSED")) tally.received(seq);
        else tally.failed(error.message);
      });
      await new Promise<void>((resolve) => {
        socket.connect(CLOSED_PORT, formatIp(address), () => resolve());
      });
      tally.sent(seq);
      socket.send(payload);
      await tally.answerTo(seq, signal);
    } finally {
      socket.close();
    }
    await clock.sleep(PACE_MS, signal);
  }
}

/** What was sent and what came back. */
class Tally {
  readonly wanted: number;
  readonly #clock: Clock;
  readonly #sentAtMs = new Map<number, number>();
  readonly #answered = new Set<number>();
  #fastestMs = Number.POSITIVE_INFINITY;
  #error = "";
  #wake: (() => void) | undefined;

  constructor(wanted: number, clock: Clock) {
    this.wanted = wanted;
    this.#clock = clock;
  }

  sent(seq: number): void {
    this.#sentAtMs.set(seq, this.#clock.monotonicMs());
  }

  received(seq: number): void {
    const sentAtMs = this.#sentAtMs.get(seq);
    if (sentAtMs === undefined || this.#answered.has(seq)) return;
    this.#answered.add(seq);
    this.#fastestMs = Math.min(this.#fastestMs, this.#clock.monotonicMs() - sentAtMs);
    this.#wake?.();
  }

  failed(error: string): void {
    this.#error = error;
    this.#wake?.();
  }

  complete(signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#answered.size >= this.wanted, signal);
  }

  answerTo(seq: number, signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#answered.has(seq), signal);
  }

  result(label: string): ProbeResult {
    const received = this.#answered.size;
    const rttUs = received === 0 ? 0 : Math.max(1, Math.round(this.#fastestMs * 1000));
    return { label, sent: this.#sentAtMs.size, received, rttUs, error: this.#error };
  }

  async #until(isOver: () => boolean, signal: AbortSignal): Promise<void> {
    while (!isOver() && this.#error === "") {
      await new Promise<void>((resolve, reject) => {
        const onAbort = (): void => reject(TwillError.from(signal.reason));
        signal.addEventListener("abort", onAbort, { once: true });
        this.#wake = () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        };
        if (signal.aborted) onAbort();
      });
    }
  }
}

function failed(label: string, error: string): ProbeResult {
  return { label, sent: 0, received: 0, rttUs: 0, error };
}
