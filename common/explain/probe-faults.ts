/** What the probes tell when both kernels look right: where between the machines packets are lost. Pure. */
import { answers, deviceGrowth, type Finding, growth, probeOf } from "./evidence.ts";
import type { Direction } from "./link-faults.ts";

export function probeFaults(direction: Direction): Finding[] {
  const { from } = direction;
  if (answers(from, "overlay") === false) return lostInTunnel(direction);
  return [...sizeFaults(direction), ...checksumFaults(direction)];
}

function lostInTunnel(direction: Direction): Finding[] {
  const { from, to, evidence } = direction;
  const { device, port } = evidence.transport;
  if (answers(from, "underlay") === false) return [machinesApart(direction)];
  if (device === "" || to.facts === undefined) return [];
  if (deviceGrowth(to, device, "received") >= atLeast(direction)) return [];
  const checksums = checksumFaults(direction);
  if (checksums.length > 0) return checksums;
  if (deviceGrowth(from, device, "sent") < atLeast(direction)) {
    const says = `${device} did not take the packets for ${to.end.node}`;
    const fix = "`ip -s link` on the node; the kernel's log may say why";
    return [{ code: "TUNNEL_REFUSES", node: from.end.node, says, fix }];
  }
  const what = port === 0 ? "the tunnel's packets" : `UDP port ${port}`;
  return [
    {
      code: "TUNNEL_DROPPED",
      node: "",
      says: `${what} from ${from.end.node} to ${to.end.node} is dropped between the machines: they left, and did not arrive, while the machines reach each other otherwise`,
      fix: "a firewall or security group between the machines must allow it in both directions",
    },
  ];
}

/** Probes that were sent into the tunnel; more than the nodes' own probing in that time. */
function atLeast({ from }: Direction): number {
  return Math.max(1, probeOf(from, "overlay")?.sent ?? 1);
}

function machinesApart({ from, to }: Direction): Finding {
  return {
    code: "UNDERLAY_DOWN",
    node: "",
    says: `the machines of ${from.end.node} and ${to.end.node} do not reach each other at all`,
    fix: "repair the machines' own network first: cable, switch, address, routing",
  };
}

function sizeFaults({ from, to }: Direction): Finding[] {
  const names = `${from.end.node} to ${to.end.node}`;
  for (const [small, full] of [
    ["underlay", "underlay-full"],
    ["overlay", "overlay-full"],
  ] as const) {
    if (answers(from, small) !== true || answers(from, full) !== false) continue;
    const error = probeOf(from, full)?.error ?? "";
    const told = error === "" ? "silently" : `with ${error}`;
    return [
      {
        code: "MTU_BLACK_HOLE",
        node: "",
        says: `small packets from ${names} arrive, full-sized ones are lost ${told}: something between carries less than the devices' MTU`,
        fix: "raise the MTU on the way, or lower that of the machines' interfaces and restart the agents",
      },
    ];
  }
  return [];
}

function checksumFaults({ from, to }: Direction): Finding[] {
  const isLost = answers(from, "overlay") === false || answers(from, "overlay-udp") === false;
  if (!isLost || growth(to, "Udp.InCsumErrors") === 0) return [];
  return [
    {
      code: "CHECKSUM",
      node: to.end.node,
      says: `packets from ${from.end.node} arrive with wrong UDP checksums and are thrown away: checksum offload on the way out is broken, or something rewrites them`,
      fix: `on ${from.end.node}: ethtool -K DEVICE tx-checksum-ip-generic off, for the tunnel's device and the one below it`,
    },
  ];
}
