/** host-gw (contract 3.2): every peer is a gateway on the external interface's own link. */
import type { Lease } from "../../common/lease/lease.ts";
import { formatCidr } from "../../common/net/cidr.ts";
import { formatIp, sameIp } from "../../common/net/ip.ts";
import { type Peer, readPeer } from "../peers/peer.ts";
import type { BackendPlanner, MadePlanner, PeerPart, PlannerInput } from "./backend-planner.ts";
import { interfaceAddressOf, publicAddressOf } from "./host-facts.ts";
import type { KernelObject } from "./kernel-object.ts";
import { familiesOf, peerContext } from "./peer-context.ts";
import { RTPROT_TWILL } from "./route-protocol.ts";

/** flannel's BackendType text. */
const BACKEND_TYPE = "host-gw";

export function hostGwPlanner(input: PlannerInput): MadePlanner {
  for (const family of familiesOf(input.config)) {
    const { external } = input.host;
    const own = interfaceAddressOf(external, family);
    const said = publicAddressOf(input.host, family);
    if (own === undefined) {
      return { kind: "refused", reason: `interface ${external.name} has no IPv${family} address` };
    }
    // Peers use the public address as their gateway, so it must be on the link itself.
    if (said === undefined || !sameIp(own, said)) {
      const text = said === undefined ? "missing" : formatIp(said);
      return {
        kind: "refused",
        reason:
          `the public address ${text} differs from interface ${external.name}'s ${formatIp(own)}: ` +
          "host-gw cannot pass a NAT; use vxlan or wireguard, or leave --public-ip out",
      };
    }
  }
  return { kind: "planner", planner: new HostGwPlanner(input) };
}

class HostGwPlanner implements BackendPlanner {
  readonly type = "host-gw";
  readonly links = [];
  readonly mtuBytes: number;
  readonly registration = { backendType: BACKEND_TYPE, backendData: "", backendV6Data: "" };
  readonly #input: PlannerInput;

  constructor(input: PlannerInput) {
    this.#input = input;
    this.mtuBytes = input.host.external.mtuBytes;
  }

  own(): readonly KernelObject[] {
    return [];
  }

  peer(lease: Lease, own: Lease): readonly PeerPart[] {
    const context = peerContext(this.#input, own, BACKEND_TYPE);
    return familiesOf(this.#input.config).flatMap((family): PeerPart[] => {
      const read = readPeer(lease, family, context);
      if (read.kind === "ignored") return [];
      if (read.kind === "invalid") return [{ ...read, family }];
      const claims = [`subnet ${formatCidr(read.peer.subnet)}`];
      return [{ kind: "usable", family, claims, objects: [this.#route(read.peer)] }];
    });
  }

  #route(peer: Peer): KernelObject {
    return {
      kind: "route",
      object: {
        destination: peer.subnet,
        gateway: peer.publicIp,
        device: this.#input.host.external.name,
        onlink: false,
        scope: "global",
        type: "unicast",
        protocol: RTPROT_TWILL,
      },
    };
  }
}
