/** What throws packets away although the way is right: packet filters, rp_filter, forwarding, absent containers. Pure. */
import type { PathFacts } from "../../proto/gen/twill/v1/node.ts";
import { answers, type Finding, growth, type Side } from "./evidence.ts";
import type { Direction } from "./link-faults.ts";

/** What the filters do to the packets of one direction: out at one end, in at the other. */
export function filterFaults({ from, to }: Direction): Finding[] {
  const passages = [
    { side: from, packets: ["container-out", "tunnel-out"] },
    { side: to, packets: ["tunnel-in", "container-in"] },
  ];
  return passages.flatMap(({ side, packets }) =>
    (side.facts?.verdicts ?? [])
      .filter(({ packet, verdict }) => verdict === "drop" && packets.includes(packet))
      .map(({ hook, packet, rule }) => ({
        code: "FILTER_DROPS",
        node: side.end.node,
        says: `the packet filter drops ${describe(packet)} on ${hook} (${rule})`,
        fix: "`nft list ruleset` shows the rule; allow the tunnel's port and the container network",
      })),
  );
}

function describe(packet: string): string {
  if (packet.startsWith("tunnel")) return "the tunnel's packets";
  return packet === "container-in" ? "packets to its containers" : "packets of its containers";
}

/** A rule that could not be judged from here, named only when nothing else explains the loss. */
export function filterSuspects({ from, to }: Direction): Finding[] {
  return [from, to].flatMap((side) =>
    (side.facts?.verdicts ?? [])
      .filter(({ verdict, packet }) => verdict === "unknown" && packet !== "")
      .map(({ hook, rule }) => ({
        code: "FILTER_SUSPECT",
        node: side.end.node,
        says: `a rule on ${hook} may drop the packet; it needs what is not known here (${rule})`,
        fix: "look at that rule's sets and matches",
      })),
  );
}

/** The receiver's strict check: a packet must come in where the answer would go out. */
export function reversePathFaults({ to, evidence }: Direction): Finding[] {
  const { facts } = to;
  const arrival = evidence.transport.device || facts?.underlay?.device || "";
  const back = facts?.remote?.device;
  if (facts === undefined || back === undefined || back === arrival) return [];
  const strict = Math.max(reversePath(facts, "all"), reversePath(facts, arrival)) === 1;
  if (!strict && growth(to, "TcpExt.IPReversePathFilter") === 0) return [];
  return [
    {
      code: "RP_FILTER",
      node: to.end.node,
      says: `rp_filter drops what comes in by ${arrival}, because the way back goes by ${back}`,
      fix: `repair the route back, or set net.ipv4.conf.${arrival}.rp_filter to 2 (loose)`,
    },
  ];
}

function reversePath(facts: PathFacts, device: string): number {
  const name = `net/ipv4/conf/${device}/rp_filter`;
  return Number(facts.settings.find((setting) => setting.name === name)?.value ?? 0);
}

export function forwardingFaults(side: Side): Finding[] {
  const { facts, end } = side;
  if (facts === undefined || !end.isContainer) return [];
  const name = end.address.includes(":") ? "net/ipv6/conf/all/forwarding" : "net/ipv4/ip_forward";
  if (facts.settings.find((setting) => setting.name === name)?.value !== "0") return [];
  const sysctl = name.replaceAll("/", ".");
  const says = `forwarding is off (${sysctl} = 0), so its containers reach nobody and nobody them`;
  return [{ code: "FORWARDING_OFF", node: end.node, says, fix: `sysctl -w ${sysctl}=1` }];
}

/** The last hop: from the node to its own container. */
export function containerFaults({ from, to }: Direction): Finding[] {
  const { after, end } = to;
  if (after === undefined || !end.isContainer || answers(from, "pod") !== false) return [];
  const { node, address } = end;
  if (after.local === undefined || after.local.device === after.remote?.device) {
    const says = `it has no route to its own container ${address}: no bridge or device has the subnet ${end.subnet}`;
    const fix = "are its containers started with the subnet of /run/flannel/subnet.env?";
    return [{ code: "CONTAINER_NO_ROUTE", node, says, fix }];
  }
  if (after.containers.includes(address)) return [];
  const says = `nobody answers ARP for ${address} on ${after.local.device}: no container has that address now`;
  return [
    {
      code: "CONTAINER_ABSENT",
      node,
      says,
      fix: "is the container running, and is that its address?",
    },
  ];
}
