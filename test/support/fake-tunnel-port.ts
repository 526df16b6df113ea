/** A packet loop that only remembers what it was told. */
import type { TunnelPort } from "../../agent/reconcile/data-path-ports.ts";
import type { TunnelPeer } from "../../agent/tunnel/peer-table.ts";
import type { WantedTunnel } from "../../agent/tunnel/tunnel-driver.ts";
import type { TwillError } from "../../common/errors.ts";
import { formatIp } from "../../common/net/ip.ts";

export class FakeTunnelPort implements TunnelPort {
  readonly told: string[] = [];
  problem: TwillError | undefined;
  #listener: () => void = () => undefined;

  setWanted(wanted: WantedTunnel | undefined): void {
    const text =
      wanted && `${wanted.deviceName} ${formatIp(wanted.bind)} ${formatIp(wanted.address)}`;
    this.told.push(`want ${text ?? "none"}`);
  }

  setPeers(peers: readonly TunnelPeer[]): void {
    this.told.push(`peers ${peers.map(({ remote }) => formatIp(remote)).join(" ")}`);
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  /** The loop has opened (undefined) or failed. */
  change(problem: TwillError | undefined): void {
    this.problem = problem;
    this.#listener();
  }

  run(signal: AbortSignal): Promise<void> {
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
    });
  }
}
