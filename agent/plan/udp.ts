/**
 * udp (contract 3.3): one TUN device that the whole network is routed to, and a table of peers
 * for the packet loop behind it (agent/tunnel). IPv4 only, as flannel's packet format is.
 */
import type { UdpBackend } from "../../common/config/backend-config.ts";
import type { SubnetRange } from "../../common/config/network-config.ts";
import type { Lease } from "../../common/lease/lease.ts";
import { formatCidr } from "../../common/net/cidr.ts";
import { addressBits } from "../../common/net/ip.ts";
import { readPeer } from "../peers/peer.ts";
import type {
  BackendPlanner,
  MadePlanner,
  PeerPart,
  PlannerInput,
  TunnelSpec,
} from "./backend-planner.ts";
import { interfaceAddressOf } from "./host-facts.ts";
import type { KernelObject } from "./kernel-object.ts";
import type { TunLink } from "./kernel-state.ts";
import { minimumMtuBytes, tunnelMtuBytes, UDP_OVERHEAD_BYTES } from "./mtu.ts";
import { peerContext } from "./peer-context.ts";
import { RTPROT_BOOT } from "./route-protocol.ts";

/** Unless the host has another udp network (agent/host/udp-device.ts). */
export const UDP_DEVICE_NAME = "flannel0";

export function udpPlanner(input: PlannerInput, backend: UdpBackend): MadePlanner {
  const { external } = input.host;
  const range = input.config.v4;
  if (range === undefined) {
    const reason = "backend udp carries IPv4 only; use vxlan, wireguard or host-gw for IPv6";
    return { kind: "refused", reason };
  }
  const bind = interfaceAddressOf(external, 4);
  if (bind === undefined) {
    return { kind: "refused", reason: `interface ${external.name} has no IPv4 address` };
  }
  const mtuBytes = tunnelMtuBytes(external.mtuBytes, undefined, UDP_OVERHEAD_BYTES);
  const least = minimumMtuBytes(4);
  if (mtuBytes < least) {
    const reason =
      `interface ${external.name} with MTU ${external.mtuBytes} leaves ${mtuBytes} bytes to ` +
      `the udp tunnel, which needs ${least}; raise the interface's MTU`;
    return { kind: "refused", reason };
  }
  const deviceName = input.identity.udpDevice ?? UDP_DEVICE_NAME;
  const tunnel = { deviceName, bind, port: backend.port };
  return { kind: "planner", planner: new UdpPlanner(input, { tunnel, range, mtuBytes }) };
}

interface UdpPlan {
  readonly tunnel: TunnelSpec;
  readonly range: SubnetRange;
  readonly mtuBytes: number;
}

class UdpPlanner implements BackendPlanner {
  readonly type = "udp";
  readonly links: readonly TunLink[];
  readonly tunnel: TunnelSpec;
  readonly mtuBytes: number;
  /** flannel writes no BackendType for udp (contract 1.2). */
  readonly registration = { backendType: "", backendData: "", backendV6Data: "" };
  readonly #input: PlannerInput;
  readonly #range: SubnetRange;

  constructor(input: PlannerInput, { tunnel, range, mtuBytes }: UdpPlan) {
    this.#input = input;
    this.#range = range;
    this.tunnel = tunnel;
    this.mtuBytes = mtuBytes;
    this.links = [{ kind: "tun", name: tunnel.deviceName, mtuBytes }];
  }

  /** The subnet's first address on the device, and one route for everybody's subnets. */
  own(lease: Lease): readonly KernelObject[] {
    const device = this.tunnel.deviceName;
    const subnet = lease.subnets.v4;
    if (subnet === undefined) return [];
    return [
      { kind: "address", object: { device, ip: subnet.ip, prefix: addressBits(4) } },
      {
        kind: "route",
        object: {
          destination: this.#range.network,
          gateway: undefined,
          device,
          onlink: false,
          scope: "global",
          type: "unicast",
          protocol: RTPROT_BOOT,
        },
      },
    ];
  }

  /** Leases of every backend type are udp peers, as for flannel (contract 1.7). */
  peer(lease: Lease, own: Lease): readonly PeerPart[] {
    const read = readPeer(lease, 4, peerContext(this.#input, own, lease.attrs.backendType));
    if (read.kind === "ignored") return [];
    if (read.kind === "invalid") return [{ ...read, family: 4 }];
    const { subnet, publicIp } = read.peer;
    return [
      {
        kind: "usable",
        family: 4,
        claims: [`subnet ${formatCidr(subnet)}`],
        objects: [],
        tunnelPeer: { subnet, remote: publicIp, port: this.tunnel.port },
      },
    ];
  }
}
