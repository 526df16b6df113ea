/**
 * Keeps the udp tunnel as the plan wants it: open with this device and address, or not at all.
 * Setters only store and kick; the loop in `run` opens, closes, and opens again what failed
 * (a device that was deleted, an address that is not there yet). Peers outlive the tunnel.
 */
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";
import type { Clock } from "../../common/async/clock.ts";
import { kickOrTimeout } from "../../common/async/kick-or-timeout.ts";
import { Trigger } from "../../common/async/trigger.ts";
import { TwillError } from "../../common/errors.ts";
import { errorFields, type Logger } from "../../common/log.ts";
import { formatIp, type Ip, sameIp } from "../../common/net/ip.ts";
import type { TunnelSpec } from "../plan/backend-planner.ts";
import type { TunnelPeer } from "./peer-table.ts";
import { addStats, NO_STATS, type TunnelStats } from "./tunnel-stats.ts";
import type { UdpTunnel, UdpTunnelOptions } from "./udp-tunnel.ts";

/** The tunnel that is wanted. */
export interface WantedTunnel extends TunnelSpec {
  /** The own lease's first address, on the device. */
  readonly address: Ip;
}

export interface TunnelPorts {
  readonly open: (options: UdpTunnelOptions) => Promise<UdpTunnel>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Short at first: a device that was deleted is back within a second. */
const RETRY: BackoffPolicy = { initialMs: 50, maxMs: 5_000, factor: 2, jitter: 0.2 };
/** A tunnel that lasted this long was well: the next failure is a first one. */
const STEADY_MS = 10_000;

export class TunnelDriver {
  readonly #ports: TunnelPorts;
  readonly #trigger = new Trigger();
  #wanted: WantedTunnel | undefined;
  #peers: readonly TunnelPeer[] = [];
  #tunnel: UdpTunnel | undefined;
  #problem: TwillError | undefined;
  /** What closed tunnels had counted. */
  #counted = NO_STATS;
  readonly #listeners: (() => void)[] = [];

  constructor(ports: TunnelPorts) {
    this.#ports = ports;
  }

  /** undefined: no tunnel; the device is the link driver's to remove. */
  setWanted(wanted: WantedTunnel | undefined): void {
    if (sameTunnel(this.#wanted, wanted)) return;
    this.#wanted = wanted;
    this.#trigger.kick();
  }

  setPeers(peers: readonly TunnelPeer[]): void {
    this.#peers = peers;
    this.#tunnel?.setPeers(peers);
  }

  /** Why the wanted tunnel is not open; undefined: it is, or none is wanted. */
  get problem(): TwillError | undefined {
    return this.#problem;
  }

  /** Called when the tunnel has opened or failed. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Since the start of the process. */
  stats(): TunnelStats {
    return addStats(this.#counted, this.#tunnel?.stats() ?? NO_STATS);
  }

  /** Runs until aborted; the device, its address and routes stay. */
  async run(signal: AbortSignal): Promise<void> {
    let attempt = 0;
    for (;;) {
      signal.throwIfAborted();
      const wanted = this.#wanted;
      const openedMs = this.#ports.clock.monotonicMs();
      if (wanted === undefined) {
        this.#problem = undefined;
        await this.#trigger.wait(signal);
        continue;
      }
      const failure = await this.#hold(wanted, signal);
      if (this.#ports.clock.monotonicMs() - openedMs >= STEADY_MS) attempt = 0;
      if (failure === undefined) continue;
      this.#fail(wanted, failure);
      const delayMs = backoffMs(RETRY, attempt, this.#ports.random());
      attempt += 1;
      await kickOrTimeout(this.#trigger, delayMs, this.#ports.clock, signal);
    }
  }

  /** Opens the tunnel and holds it until something else is wanted (undefined) or it fails. */
  async #hold(wanted: WantedTunnel, signal: AbortSignal): Promise<TwillError | undefined> {
    const tunnel = await this.#open(wanted, signal);
    if (tunnel instanceof TwillError) return tunnel;
    // Not AbortSignal.any: see kick-or-timeout.ts.
    const over = new AbortController();
    const onAbort = (): void => over.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      return await Promise.race([this.#untilChange(wanted, over.signal), tunnel.ended]);
    } finally {
      signal.removeEventListener("abort", onAbort);
      over.abort();
      this.#tunnel = undefined;
      await tunnel.close();
      this.#counted = addStats(this.#counted, tunnel.stats());
    }
  }

  async #open(wanted: WantedTunnel, signal: AbortSignal): Promise<UdpTunnel | TwillError> {
    try {
      const tunnel = await this.#ports.open({ ...wanted, signal });
      tunnel.setPeers(this.#peers);
      this.#tunnel = tunnel;
      this.#problem = undefined;
      const message = `${wanted.deviceName} carries packets by ${formatIp(wanted.bind)}:${wanted.port}`;
      this.#ports.log.event("tunnel.opened", message, { device: wanted.deviceName });
      this.#tell();
      return tunnel;
    } catch (error) {
      signal.throwIfAborted();
      return TwillError.from(error);
    }
  }

  /** A kick may be from before the tunnel was opened, and mean nothing any more. */
  async #untilChange(wanted: WantedTunnel, signal: AbortSignal): Promise<undefined> {
    while (sameTunnel(this.#wanted, wanted)) await this.#trigger.wait(signal);
  }

  #fail(wanted: WantedTunnel, failure: TwillError): void {
    this.#problem = failure;
    const message = `${wanted.deviceName} carries no packets: ${failure.message}`;
    const fields = { key: wanted.deviceName, ...errorFields(failure) };
    this.#ports.log.event("tunnel.failed", message, fields);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function sameTunnel(a: WantedTunnel | undefined, b: WantedTunnel | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const isSamePlace = a.deviceName === b.deviceName && a.port === b.port;
  return isSamePlace && sameIp(a.bind, b.bind) && sameIp(a.address, b.address);
}
