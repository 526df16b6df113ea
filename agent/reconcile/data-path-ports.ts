/** What carries packets besides the kernel, as the data plane sees it; it stores, kicks, and is asked. */
import type { TwillError } from "../../common/errors.ts";
import type { ExtensionFailure, WantedExtension } from "../extension/extension-driver.ts";
import type { ExtensionPeer } from "../plan/backend-planner.ts";
import type { TunnelPeer } from "../tunnel/peer-table.ts";
import type { WantedTunnel } from "../tunnel/tunnel-driver.ts";

/** The packet loop of the udp backend (agent/tunnel/tunnel-driver.ts). */
export interface TunnelPort {
  setWanted(wanted: WantedTunnel | undefined): void;
  setPeers(peers: readonly TunnelPeer[]): void;
  /** Why the wanted tunnel is not open. */
  readonly problem: TwillError | undefined;
  onChange(listener: () => void): void;
  run(signal: AbortSignal): Promise<void>;
}

/** The operator's commands of the extension backend (agent/extension/extension-driver.ts). */
export interface ExtensionPort {
  setWanted(wanted: WantedExtension | undefined): void;
  setPeers(peers: readonly ExtensionPeer[], mayRemove: boolean): void;
  /** BackendData for the lease; undefined until it is known. */
  readonly data: string | undefined;
  readonly failures: readonly ExtensionFailure[];
  onChange(listener: () => void): void;
  run(signal: AbortSignal): Promise<void>;
}
