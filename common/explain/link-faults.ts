/** Whether what the route leads to is right: neighbour, FDB, peer, both devices, the machines' network. Pure. */
import type { DeviceFact, PathFacts } from "../../proto/gen/twill/v1/node.ts";
import { answers, type Evidence, type Finding, type Side } from "./evidence.ts";

/** One direction of a path. */
export interface Direction {
  readonly evidence: Evidence;
  readonly from: Side;
  readonly to: Side;
}

export function tunnelFaults(direction: Direction): Finding[] {
  const { from, evidence } = direction;
  const { facts } = from;
  const { transport } = evidence;
  if (facts === undefined || facts.remote?.device !== transport.device) return [];
  if (transport.backend === "vxlan")
    return [...vtepFaults(direction, facts), ...deviceFaults(direction)];
  if (transport.backend === "wireguard") return wireguardFaults(direction, facts);
  return deviceFaults(direction);
}

function vtepFaults({ from, to, evidence }: Direction, facts: PathFacts): Finding[] {
  const { device } = evidence.transport;
  const { node } = from.end;
  const vtep = to.end.subnet.replace(/\/\d+$/, "");
  const neighbour = facts.neighbours.find((one) => one.device === device && one.ip === vtep);
  const fix = "the agent puts it back unless another program keeps changing it";
  if (neighbour === undefined) {
    const says = `${device} has no ARP entry for ${vtep}, the VTEP of ${to.end.node}`;
    return [{ code: "ARP_MISSING", node, says, fix }];
  }
  if (neighbour.mac !== to.end.vtepMac) {
    const says = `${device} has a stale ARP entry: ${vtep} is ${to.end.vtepMac} by the lease of ${to.end.node}, not ${neighbour.mac}`;
    return [{ code: "ARP_STALE", node, says, fix }];
  }
  const entries = facts.fdb.filter((one) => one.device === device && one.mac === neighbour.mac);
  if (entries.some(({ remote }) => remote === to.end.machine)) return [];
  const [entry] = entries;
  if (entry === undefined) {
    const says = `the FDB of ${device} does not know ${neighbour.mac}, the MAC of ${to.end.node}`;
    return [{ code: "FDB_MISSING", node, says, fix }];
  }
  const says = `the FDB of ${device} sends packets for ${to.end.node} to ${entry.remote}, not to ${to.end.machine}`;
  return [{ code: "FDB_WRONG", node, says, fix }];
}

/** Both ends of one tunnel must agree. */
function deviceFaults({ from, to, evidence }: Direction): Finding[] {
  const { device, overheadBytes } = evidence.transport;
  const [ours, theirs] = [find(from.facts, device), find(to.facts, device)];
  const findings: Finding[] = [];
  const { node } = from.end;
  const lower = find(from.facts, from.facts?.underlay?.device ?? "");
  if (ours !== undefined && lower !== undefined && ours.mtuBytes + overheadBytes > lower.mtuBytes) {
    findings.push({
      code: "MTU_TOO_LARGE",
      node,
      says: `${device} has an MTU of ${ours.mtuBytes}, but ${lower.name} below it carries ${lower.mtuBytes} and the tunnel adds ${overheadBytes}`,
      fix: `give ${lower.name} its MTU back, or restart the agent and the containers for the smaller one`,
    });
  }
  if (theirs === undefined) return findings;
  const peer = to.end.node;
  if (ours !== undefined && (ours.port !== theirs.port || ours.vni !== theirs.vni)) {
    findings.push({
      code: "TUNNEL_MISMATCH",
      node: peer,
      says: `${device} uses VNI ${theirs.vni} and port ${theirs.port} here, ${ours.vni} and ${ours.port} on ${node}`,
      fix: "both agents must have applied the same config: `twillctl nodes` shows who is behind",
    });
  }
  if (to.end.vtepMac !== "" && theirs.mac !== to.end.vtepMac) {
    findings.push({
      code: "VTEP_MAC_CHANGED",
      node: peer,
      says: `${device} has the MAC ${theirs.mac}, but its lease tells others ${to.end.vtepMac}: it drops what they send`,
      fix: "the agent puts it right; who changed it (systemd's MACAddressPolicy, NetworkManager)?",
    });
  }
  return findings;
}

function wireguardFaults({ from, to }: Direction, facts: PathFacts): Finding[] {
  const { node } = from.end;
  const [peer] = facts.wireguard;
  if (peer === undefined) {
    const says = `no WireGuard peer may have ${to.end.subnet} (allowed-ips)`;
    return [{ code: "PEER_MISSING", node, says, fix: "`wg show`; the agent puts it back" }];
  }
  if (peer.hasSession || answers(from, "overlay") !== false) return [];
  const says = `WireGuard has no session with ${to.end.node} at ${peer.endpoint || "no endpoint"}`;
  const fix = "is the UDP port open between the machines, and has the peer the key of its lease?";
  return [{ code: "PEER_NO_SESSION", node, says, fix }];
}

export function underlayFaults({ from, to }: Direction): Finding[] {
  const { facts } = from;
  const { node } = from.end;
  if (facts === undefined) return [];
  const hop = facts.underlay;
  if (hop === undefined) {
    const says = `there is no way to the machine ${to.end.machine}`;
    const fix = "`ip route get` on the node; repair the machines' own network first";
    return [{ code: "UNDERLAY_NO_ROUTE", node, says, fix }];
  }
  const device = find(facts, hop.device);
  if (device !== undefined && (!device.up || !device.running)) {
    const says = `${device.name} is ${device.up ? "without carrier (cable, switch port)" : "down"}`;
    return [{ code: "NIC_DOWN", node, says, fix: "plug it in, or ip link set up" }];
  }
  return neighbourFaults(from, to, { next: hop.gateway || to.end.machine, device: hop.device });
}

/** The machine's neighbour, where the two share a link; its MAC is known from the other side. */
function neighbourFaults(
  from: Side,
  to: Side,
  { next, device }: { readonly next: string; readonly device: string },
): Finding[] {
  const known = from.after?.neighbours ?? from.facts?.neighbours ?? [];
  const entry = known.find((one) => one.device === device && one.ip === next);
  if (next !== to.end.machine) return [];
  const real = to.facts?.devices.find(({ addresses }) =>
    addresses.some((address) => address.startsWith(`${next}/`)),
  );
  if (entry === undefined) {
    // Nobody answers ARP: only worth a word when nothing else does either.
    if (answers(from, "underlay") !== false) return [];
    const says = `${next} does not answer ARP on ${device}: ${to.end.node} is off, cut off, or has another address`;
    const fix = "look at that machine and at the switch between";
    return [{ code: "UNDERLAY_NO_ARP", node: from.end.node, says, fix }];
  }
  if (real === undefined || real.mac === entry.mac) return [];
  return [
    {
      code: "UNDERLAY_ARP_STALE",
      node: from.end.node,
      says: `${device} has a stale ARP entry for the machine ${next}: ${entry.mac}, but its ${real.name} is ${real.mac}`,
      fix: `ip neigh del ${next} dev ${device}; does another machine have the same address?`,
    },
  ];
}

function find(facts: PathFacts | undefined, device: string): DeviceFact | undefined {
  return facts?.devices.find(({ name }) => name === device);
}
