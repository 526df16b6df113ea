/**
 * The backends a network config can ask for, each with all its defaults filled in
 * (contract 3). One union, so that a planner per backend is all a new backend needs.
 */

export interface VxlanBackend {
  readonly type: "vxlan";
  /** 24 bits; flannel's default is 1. */
  readonly vni: number;
  /** UDP port; 0: the kernel's default, 8472. */
  readonly port: number;
  /** MTU of the underlay to count from; undefined: the external interface's. */
  readonly mtuBytes: number | undefined;
  readonly gbp: boolean;
  readonly learning: boolean;
  readonly directRouting: boolean;
}

export interface HostGwBackend {
  readonly type: "host-gw";
}

export interface IpipBackend {
  readonly type: "ipip";
  readonly directRouting: boolean;
}

export interface UdpBackend {
  readonly type: "udp";
  readonly port: number;
}

export interface WireguardBackend {
  readonly type: "wireguard";
  /** Base64 of 32 bytes, empty: none. Secret: never logged. */
  readonly psk: string;
  readonly listenPort: number;
  readonly listenPortV6: number;
  readonly mtuBytes: number | undefined;
  /** 0: off. */
  readonly keepaliveSeconds: number;
  readonly mode: "separate" | "auto" | "ipv4" | "ipv6";
}

export interface AllocBackend {
  readonly type: "alloc";
}

export interface ExtensionBackend {
  readonly type: "extension";
  readonly preStartupCommand: string;
  readonly postStartupCommand: string;
  readonly subnetAddCommand: string;
  readonly subnetRemoveCommand: string;
}

export type BackendConfig =
  | VxlanBackend
  | HostGwBackend
  | IpipBackend
  | UdpBackend
  | WireguardBackend
  | AllocBackend
  | ExtensionBackend;

export type BackendType = BackendConfig["type"];

/** Which families a backend's tunnel or routes carry (contract 3). */
export const BACKEND_FAMILIES: Readonly<Record<BackendType, "both" | "v4">> = {
  vxlan: "both",
  "host-gw": "both",
  ipip: "v4",
  udp: "v4",
  wireguard: "both",
  alloc: "both",
  extension: "both",
};

/** True for the text of a Type that Twill offers, already in lower case. */
export function isBackendType(text: string): text is BackendType {
  return Object.hasOwn(BACKEND_FAMILIES, text);
}
