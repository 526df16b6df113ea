/** What packets between nodes use, by the network config. Pure. */
import type { BackendConfig } from "../config/backend-config.ts";
import type { Family } from "../net/ip.ts";
import type { Transport } from "./evidence.ts";

/** The kernel's default where the config says 0. */
const VXLAN_PORT = 8472;

export function transportOf(backend: BackendConfig, family: Family): Transport {
  const none = { backend: backend.type, device: "", port: 0, overheadBytes: 0, mayBeDirect: false };
  switch (backend.type) {
    case "vxlan":
      return {
        ...none,
        device: family === 4 ? `flannel.${backend.vni}` : `flannel-v6.${backend.vni}`,
        port: backend.port === 0 ? VXLAN_PORT : backend.port,
        overheadBytes: family === 4 ? 50 : 70,
        mayBeDirect: backend.directRouting,
      };
    case "ipip":
      return {
        ...none,
        device: "flannel.ipip",
        overheadBytes: 20,
        mayBeDirect: backend.directRouting,
      };
    case "udp":
      return { ...none, device: "flannel0", port: backend.port, overheadBytes: 28 };
    case "wireguard": {
      const isOwn = backend.mode === "separate" && family === 6;
      return {
        ...none,
        device: isOwn ? "flannel-wg-v6" : "flannel-wg",
        port: isOwn ? backend.listenPortV6 : backend.listenPort,
        overheadBytes: 80,
      };
    }
    default:
      return none;
  }
}
