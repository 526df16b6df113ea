/**
 * VXLAN as flannel builds it (contract 3.1): per peer a permanent neighbour, an FDB entry and
 * an onlink route on flannel.<VNI>, or, with DirectRouting and a peer on the same link, one
 * plain route.
 */
import type { VxlanBackend } from "../../common/config/backend-config.ts";
import { type Lease, subnetOf } from "../../common/lease/lease.ts";
import { formatCidr } from "../../common/net/cidr.ts";
import { addressBits, type Family, formatIp, type Ip } from "../../common/net/ip.ts";
import type { Mac } from "../../common/net/mac.ts";
import { type Peer, readPeer } from "../peers/peer.ts";
import { readVtep } from "../peers/vtep.ts";
import type { BackendPlanner, MadePlanner, PeerPart, PlannerInput } from "./backend-planner.ts";
import { type HostFacts, interfaceAddressOf } from "./host-facts.ts";
import type { KernelObject } from "./kernel-object.ts";
import type { VxlanLink } from "./kernel-state.ts";
import { minimumMtuBytes, tunnelMtuBytes, vxlanOverheadBytes } from "./mtu.ts";
import { familiesOf, peerContext } from "./peer-context.ts";
import { RTPROT_BOOT, RTPROT_TWILL } from "./route-protocol.ts";

/** flannel's BackendType text. */
const BACKEND_TYPE = "vxlan";

/** One family's end of the tunnel on this node. */
interface Tunnel {
  readonly family: Family;
  readonly link: VxlanLink;
}

export function vxlanPlanner(input: PlannerInput, backend: VxlanBackend): MadePlanner {
  const tunnels: Tunnel[] = [];
  for (const family of familiesOf(input.config)) {
    const made = tunnel(input, backend, family);
    if (typeof made === "string") return { kind: "refused", reason: made };
    tunnels.push(made);
  }
  return { kind: "planner", planner: new VxlanPlanner(input, backend, tunnels) };
}

export function vxlanDeviceName(vni: number, family: Family): string {
  return family === 4 ? `flannel.${vni}` : `flannel-v6.${vni}`;
}

/** A tunnel, or why this host cannot have it. */
function tunnel(input: PlannerInput, backend: VxlanBackend, family: Family): Tunnel | string {
  const { external } = input.host;
  const local = interfaceAddressOf(external, family);
  if (local === undefined) return `interface ${external.name} has no IPv${family} address`;
  const mtuBytes = tunnelMtuBytes(external.mtuBytes, backend.mtuBytes, vxlanOverheadBytes(family));
  const least = minimumMtuBytes(family);
  if (mtuBytes < least) {
    return (
      `interface ${external.name} with MTU ${external.mtuBytes} leaves ${mtuBytes} bytes to ` +
      `VXLAN over IPv${family}, which needs ${least}; raise the interface's MTU or the config's Backend.MTU`
    );
  }
  const link: VxlanLink = {
    kind: "vxlan",
    name: vxlanDeviceName(backend.vni, family),
    mtuBytes,
    mac: family === 4 ? input.identity.vtepMac : input.identity.vtepMacV6,
    vni: backend.vni,
    lower: external.name,
    // The interface's address, never --public-ip: behind NAT that is not local (contract 3.1).
    local,
    port: backend.port,
    learning: backend.learning,
    gbp: backend.gbp,
  };
  return { family, link };
}

class VxlanPlanner implements BackendPlanner {
  readonly type = "vxlan";
  readonly links: readonly VxlanLink[];
  readonly mtuBytes: number;
  readonly registration: BackendPlanner["registration"];
  readonly #input: PlannerInput;
  readonly #backend: VxlanBackend;
  readonly #tunnels: readonly Tunnel[];

  constructor(input: PlannerInput, backend: VxlanBackend, tunnels: readonly Tunnel[]) {
    this.#input = input;
    this.#backend = backend;
    this.#tunnels = tunnels;
    this.links = tunnels.map(({ link }) => link);
    // Containers have one MTU for both families, so the smaller device decides.
    this.mtuBytes = Math.min(...this.links.map((link) => link.mtuBytes));
    this.registration = {
      backendType: BACKEND_TYPE,
      backendData: this.#data(4),
      backendV6Data: this.#data(6),
    };
  }

  /** The address containers' hosts are seen by: the subnet's first, as /32 or /128. */
  own(lease: Lease): readonly KernelObject[] {
    return this.#tunnels.flatMap(({ family, link }): KernelObject[] => {
      const subnet = subnetOf(lease.subnets, family);
      if (subnet === undefined) return [];
      const object = { device: link.name, ip: subnet.ip, prefix: addressBits(family) };
      return [{ kind: "address", object }];
    });
  }

  peer(lease: Lease, own: Lease): readonly PeerPart[] {
    const context = peerContext(this.#input, own, BACKEND_TYPE);
    return this.#tunnels.flatMap(({ family, link }): PeerPart[] => {
      const read = readPeer(lease, family, context);
      if (read.kind === "ignored") return [];
      if (read.kind === "invalid") return [{ ...read, family }];
      return [this.#part(read.peer, link)];
    });
  }

  /** A direct peer needs no VTEP of ours, but a broken one is still worth a word: checked first. */
  #part(peer: Peer, link: VxlanLink): PeerPart {
    const { family } = peer;
    const vtep = readVtep(peer, { vni: link.vni, mac: link.mac });
    if (vtep.kind === "invalid") return { kind: "invalid", family, reason: vtep.reason };
    const claims = [`subnet ${formatCidr(peer.subnet)}`, `MAC ${vtep.mac}`];
    const direct = this.#backend.directRouting && isDirect(this.#input.host, peer.publicIp);
    const objects = direct ? [directRoute(peer)] : tunnelObjects(peer, vtep.mac, link.name);
    return { kind: "usable", family, claims, objects };
  }

  #data(family: Family): string {
    const own = this.#tunnels.find((candidate) => candidate.family === family);
    if (own === undefined) return "";
    return JSON.stringify({ VNI: own.link.vni, VtepMAC: own.link.mac });
  }
}

function isDirect(host: HostFacts, publicIp: Ip): boolean {
  return host.direct.has(formatIp(publicIp));
}

function tunnelObjects(peer: Peer, mac: Mac, device: string): KernelObject[] {
  const vtepIp = peer.subnet.ip;
  return [
    { kind: "neighbour", object: { device, ip: vtepIp, mac } },
    { kind: "fdb", object: { device, mac, remote: peer.publicIp } },
    {
      kind: "route",
      object: {
        destination: peer.subnet,
        gateway: vtepIp,
        device,
        onlink: true,
        scope: "global",
        type: "unicast",
        protocol: RTPROT_BOOT,
      },
    },
  ];
}

/** No device is named: the kernel finds the one that reaches the peer (contract 3.1). */
function directRoute(peer: Peer): KernelObject {
  return {
    kind: "route",
    object: {
      destination: peer.subnet,
      gateway: peer.publicIp,
      device: undefined,
      onlink: false,
      scope: "global",
      type: "unicast",
      protocol: RTPROT_TWILL,
    },
  };
}
