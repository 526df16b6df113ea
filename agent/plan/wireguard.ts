/**
 * wireguard (contract 3.5): a device that is adopted and never made anew, one route per network,
 * and each peer a key with its subnets. Mode "separate" has a device per family of the underlay;
 * the other modes carry both families over one device and choose the underlay per peer.
 */
import type { WireguardBackend } from "../../common/config/backend-config.ts";
import { rangeOf } from "../../common/config/network-config.ts";
import { backendDataOf, type Lease, publicIpOf, subnetOf } from "../../common/lease/lease.ts";
import { type Cidr, formatCidr } from "../../common/net/cidr.ts";
import { addressBits, type Family, type Ip, isPrivate } from "../../common/net/ip.ts";
import { Secret } from "../../common/text/secret.ts";
import { type Peer, readPeer } from "../peers/peer.ts";
import { readWireguard } from "../peers/wireguard-data.ts";
import type {
  BackendPlanner,
  MadePlanner,
  PeerPart,
  PlannerInput,
  WireguardIdentity,
} from "./backend-planner.ts";
import { publicAddressOf } from "./host-facts.ts";
import type { KernelObject } from "./kernel-object.ts";
import type { RouteSpec, WireguardLink } from "./kernel-state.ts";
import {
  IPV6_MIN_MTU_BYTES,
  minimumMtuBytes,
  tunnelMtuBytes,
  WIREGUARD_OVERHEAD_BYTES,
} from "./mtu.ts";
import { familiesOf, peerContext } from "./peer-context.ts";
import { RTPROT_BOOT } from "./route-protocol.ts";

/** flannel's BackendType text. */
const BACKEND_TYPE = "wireguard";
export const WIREGUARD_DEVICE_NAME = "flannel-wg";
export const WIREGUARD_V6_DEVICE_NAME = "flannel-wg-v6";

/** One device, and the families whose containers it carries. */
interface Tunnel {
  readonly link: WireguardLink;
  readonly families: readonly Family[];
}

export function wireguardPlanner(input: PlannerInput, backend: WireguardBackend): MadePlanner {
  const refusal = refusalOf(input, backend);
  if (refusal !== undefined) return { kind: "refused", reason: refusal };
  const { wireguard } = input.identity;
  if (wireguard === undefined || "problem" in wireguard) {
    return { kind: "refused", reason: wireguard?.problem ?? "this node has no WireGuard key" };
  }
  const planner = new WireguardPlanner(input, backend, tunnelsOf(input, backend, wireguard));
  return { kind: "planner", planner };
}

function refusalOf(input: PlannerInput, backend: WireguardBackend): string | undefined {
  const { external } = input.host;
  const families = familiesOf(input.config);
  for (const family of underlaysOf(families, backend.mode)) {
    if (publicAddressOf(input.host, family) === undefined) {
      return `interface ${external.name} has no IPv${family} address`;
    }
  }
  const least = Math.max(...families.map(minimumMtuBytes));
  const mtuBytes = mtuOf(input, backend);
  if (mtuBytes >= least) return undefined;
  return (
    `interface ${external.name} with MTU ${external.mtuBytes} leaves ${mtuBytes} bytes to ` +
    `WireGuard, which needs ${least}${least === IPV6_MIN_MTU_BYTES ? " for IPv6" : ""}; ` +
    "raise the interface's MTU or the config's Backend.MTU"
  );
}

/** Families of the underlay that this node must have an address of. */
function underlaysOf(
  families: readonly Family[],
  mode: WireguardBackend["mode"],
): readonly Family[] {
  if (mode === "ipv4") return [4];
  if (mode === "ipv6") return [6];
  return families;
}

function mtuOf({ host }: PlannerInput, { mtuBytes }: WireguardBackend): number {
  return tunnelMtuBytes(host.external.mtuBytes, mtuBytes, WIREGUARD_OVERHEAD_BYTES);
}

function tunnelsOf(
  input: PlannerInput,
  backend: WireguardBackend,
  { privateKey, publicKey }: WireguardIdentity,
): readonly Tunnel[] {
  const families = familiesOf(input.config);
  const device = (name: string, listenPort: number): WireguardLink => ({
    kind: "wireguard",
    name,
    mtuBytes: mtuOf(input, backend),
    listenPort,
    privateKey,
    publicKey,
  });
  if (backend.mode !== "separate") {
    return [{ link: device(WIREGUARD_DEVICE_NAME, backend.listenPort), families }];
  }
  return families.map((family) => ({
    families: [family],
    link:
      family === 4
        ? device(WIREGUARD_DEVICE_NAME, backend.listenPort)
        : device(WIREGUARD_V6_DEVICE_NAME, backend.listenPortV6),
  }));
}

class WireguardPlanner implements BackendPlanner {
  readonly type = "wireguard";
  readonly links: readonly WireguardLink[];
  readonly mtuBytes: number;
  readonly registration: BackendPlanner["registration"];
  readonly #input: PlannerInput;
  readonly #backend: WireguardBackend;
  readonly #tunnels: readonly Tunnel[];
  readonly #presharedKey: Secret | undefined;

  constructor(input: PlannerInput, backend: WireguardBackend, tunnels: readonly Tunnel[]) {
    this.#input = input;
    this.#backend = backend;
    this.#tunnels = tunnels;
    this.#presharedKey = backend.psk === "" ? undefined : new Secret(backend.psk);
    this.links = tunnels.map(({ link }) => link);
    this.mtuBytes = mtuOf(input, backend);
    this.registration = {
      backendType: BACKEND_TYPE,
      backendData: this.#data(4),
      backendV6Data: this.#data(6),
    };
  }

  /** The subnets' first addresses, and one route for everybody's subnets (contract 3.5). */
  own({ subnets }: Lease): readonly KernelObject[] {
    return this.#tunnels.flatMap(({ link, families }) =>
      families.flatMap((family): KernelObject[] => {
        const subnet = subnetOf(subnets, family);
        const range = rangeOf(this.#input.config, family);
        if (subnet === undefined || range === undefined) return [];
        const address = { device: link.name, ip: subnet.ip, prefix: addressBits(family) };
        return [
          { kind: "address", object: address },
          { kind: "route", object: networkRoute(range.network, link.name) },
        ];
      }),
    );
  }

  peer(lease: Lease, own: Lease): readonly PeerPart[] {
    return this.#tunnels.flatMap((tunnel) => {
      const parts = this.#readPeers(lease, own, tunnel.families);
      const peers = parts.flatMap((part) => (part.kind === "peer" ? [part.peer] : []));
      const invalid = parts.flatMap((part): PeerPart[] => (part.kind === "invalid" ? [part] : []));
      return peers.length === 0 ? invalid : [...invalid, this.#part(lease, tunnel, peers)];
    });
  }

  #readPeers(lease: Lease, own: Lease, families: readonly Family[]) {
    const context = peerContext(this.#input, own, BACKEND_TYPE);
    return families.map((family) => ({ ...readPeer(lease, family, context), family }));
  }

  /** One key on one device, with the subnets of every family that the device carries. */
  #part(lease: Lease, { link }: Tunnel, peers: readonly Peer[]): PeerPart {
    const family = peers.some((peer) => peer.family === 4) ? 4 : 6;
    const separate = this.#backend.mode === "separate";
    // One device listens on one port, which is the one that every node says first: real
    // flannel says ListenPortV6 for IPv6, where nobody listens (contract 3.5).
    const dataFamily = separate || lease.attrs.backendData === "" ? family : 4;
    const field = dataFamily === 4 ? "BackendData" : "BackendV6Data";
    const data = backendDataOf(lease.attrs, dataFamily);
    const read = readWireguard(data, field, link);
    if (read.kind === "invalid") return { kind: "invalid", family, reason: read.reason };
    const endpoint = separate ? peers[0]?.publicIp : this.#endpoint(lease);
    if (endpoint === undefined) {
      const reason = `it has no public address that Mode "${this.#backend.mode}" can use`;
      return { kind: "invalid", family, reason };
    }
    const allowed = peers.map((peer) => peer.subnet);
    return {
      kind: "usable",
      family,
      claims: [...allowed.map((cidr) => `subnet ${formatCidr(cidr)}`), `key ${read.publicKey}`],
      objects: [
        {
          kind: "wireguard",
          object: {
            device: link.name,
            publicKey: read.publicKey,
            presharedKey: this.#presharedKey,
            endpoint: { ip: endpoint, port: read.port },
            keepaliveSeconds: this.#backend.keepaliveSeconds,
            allowed,
          },
        },
      ],
    };
  }

  /** The single device's way to a peer: as flannel chooses (contract 3.5). */
  #endpoint({ attrs }: Lease): Ip | undefined {
    const v4 = publicIpOf(attrs, 4);
    const v6 = publicIpOf(attrs, 6);
    const { publicIp, publicIpv6 } = this.#input.host;
    switch (this.#backend.mode) {
      case "ipv4":
        return v4;
      case "ipv6":
        return v6;
      default:
        if (v4 !== undefined && publicIp !== undefined && !isPrivate(v4)) return v4;
        if (v6 !== undefined && publicIpv6 !== undefined && arePublic(v6, publicIpv6)) return v6;
        return v4 !== undefined && publicIp !== undefined ? v4 : v6;
    }
  }

  /** flannel's bytes; a family without containers says nothing. */
  #data(family: Family): string {
    const own = this.#tunnels.find(({ families }) => families.includes(family));
    if (own === undefined) return "";
    return JSON.stringify({ PublicKey: own.link.publicKey, Port: own.link.listenPort });
  }
}

function arePublic(...addresses: readonly Ip[]): boolean {
  return addresses.every((address) => !isPrivate(address));
}

function networkRoute(destination: Cidr, device: string): RouteSpec {
  return {
    destination,
    gateway: undefined,
    device,
    onlink: false,
    // IPv6 routes have no scope; what is read back says "global".
    scope: destination.ip.family === 4 ? "link" : "global",
    type: "unicast",
    protocol: RTPROT_BOOT,
  };
}
