/**
 * ipip (contract 3.4): one tunnel without a remote, and per peer an onlink route whose gateway
 * is the peer's public address. With DirectRouting a peer on the same link is routed on the
 * external interface instead. IPv4 only.
 */
import type { IpipBackend } from "../../common/config/backend-config.ts";
import type { Lease } from "../../common/lease/lease.ts";
import { formatCidr } from "../../common/net/cidr.ts";
import { addressBits, formatIp } from "../../common/net/ip.ts";
import { type Peer, readPeer } from "../peers/peer.ts";
import type { BackendPlanner, MadePlanner, PeerPart, PlannerInput } from "./backend-planner.ts";
import { interfaceAddressOf } from "./host-facts.ts";
import type { KernelObject } from "./kernel-object.ts";
import type { IpipLink } from "./kernel-state.ts";
import { IPIP_OVERHEAD_BYTES, minimumMtuBytes, tunnelMtuBytes } from "./mtu.ts";
import { peerContext } from "./peer-context.ts";
import { RTPROT_BOOT, RTPROT_TWILL } from "./route-protocol.ts";

/** flannel's BackendType text. */
const BACKEND_TYPE = "ipip";
export const IPIP_DEVICE_NAME = "flannel.ipip";

export function ipipPlanner(input: PlannerInput, backend: IpipBackend): MadePlanner {
  const { external } = input.host;
  if (input.config.v4 === undefined || input.config.v6 !== undefined) {
    const reason = "backend ipip carries IPv4 only; use vxlan, wireguard or host-gw for IPv6";
    return { kind: "refused", reason };
  }
  const local = interfaceAddressOf(external, 4);
  if (local === undefined) {
    return { kind: "refused", reason: `interface ${external.name} has no IPv4 address` };
  }
  const mtuBytes = tunnelMtuBytes(external.mtuBytes, undefined, IPIP_OVERHEAD_BYTES);
  const least = minimumMtuBytes(4);
  if (mtuBytes < least) {
    const reason =
      `interface ${external.name} with MTU ${external.mtuBytes} leaves ${mtuBytes} bytes to ` +
      `the ipip tunnel, which needs ${least}; raise the interface's MTU`;
    return { kind: "refused", reason };
  }
  const link: IpipLink = { kind: "ipip", name: IPIP_DEVICE_NAME, mtuBytes, local };
  return { kind: "planner", planner: new IpipPlanner(input, backend, link) };
}

class IpipPlanner implements BackendPlanner {
  readonly type = "ipip";
  readonly links: readonly IpipLink[];
  readonly mtuBytes: number;
  readonly registration = { backendType: BACKEND_TYPE, backendData: "", backendV6Data: "" };
  readonly #input: PlannerInput;
  readonly #backend: IpipBackend;

  constructor(input: PlannerInput, backend: IpipBackend, link: IpipLink) {
    this.#input = input;
    this.#backend = backend;
    this.links = [link];
    this.mtuBytes = link.mtuBytes;
  }

  own({ subnets }: Lease): readonly KernelObject[] {
    const subnet = subnets.v4;
    if (subnet === undefined) return [];
    const object = { device: IPIP_DEVICE_NAME, ip: subnet.ip, prefix: addressBits(4) };
    return [{ kind: "address", object }];
  }

  peer(lease: Lease, own: Lease): readonly PeerPart[] {
    const read = readPeer(lease, 4, peerContext(this.#input, own, BACKEND_TYPE));
    if (read.kind === "ignored") return [];
    if (read.kind === "invalid") return [{ ...read, family: 4 }];
    const claims = [`subnet ${formatCidr(read.peer.subnet)}`];
    return [{ kind: "usable", family: 4, claims, objects: [this.#route(read.peer)] }];
  }

  /** Onlink in both cases, as flannel has it: the tunnel has no other way to know a gateway. */
  #route({ subnet, publicIp }: Peer): KernelObject {
    const { host } = this.#input;
    const direct = this.#backend.directRouting && host.direct.has(formatIp(publicIp));
    return {
      kind: "route",
      object: {
        destination: subnet,
        gateway: publicIp,
        device: direct ? host.external.name : IPIP_DEVICE_NAME,
        onlink: true,
        scope: "global",
        type: "unicast",
        protocol: direct ? RTPROT_TWILL : RTPROT_BOOT,
      },
    };
  }
}
