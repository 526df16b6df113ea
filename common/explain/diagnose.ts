/**
 * Names what is broken on a path, the cause before its consequences: first what a kernel has
 * otherwise than the leases say, then what throws packets away, then what only probes can tell.
 * Both directions count: an answer must come back. Pure.
 */
import type { Evidence, Finding, Side } from "./evidence.ts";
import { type Direction, tunnelFaults, underlayFaults } from "./link-faults.ts";
import {
  containerFaults,
  filterFaults,
  filterSuspects,
  forwardingFaults,
  reversePathFaults,
} from "./policy-faults.ts";
import { probeFaults } from "./probe-faults.ts";
import { routeFaults } from "./route-faults.ts";

export interface Diagnosis {
  /** Every probe of the asked-for kind came back. */
  readonly works: boolean;
  /** The broken hop first; empty: nothing was found. */
  readonly findings: readonly Finding[];
}

export function diagnose(evidence: Evidence): Diagnosis {
  const { from, to } = evidence;
  const forth: Direction = { evidence, from, to };
  const back: Direction = { evidence, from: to, to: from };
  const directions = [forth, back];
  const works = [from, to].every(({ probes }) => probes.every(({ received }) => received > 0));
  const certain = [
    ...sharedMacs(evidence),
    ...directions.flatMap(reversePathFaults),
    ...directions.flatMap(kernelFaults),
    ...[from, to].flatMap(forwardingFaults),
    ...directions.flatMap(filterFaults),
    ...directions.flatMap(containerFaults),
  ];
  const probed = certain.length > 0 ? [] : directions.flatMap(probeFaults);
  const findings = [...certain, ...probed];
  if (findings.length > 0 || works) return { works, findings: distinct(findings) };
  const rest = [...directions.flatMap(filterSuspects), ...[from, to].flatMap(silence), UNKNOWN];
  return { works, findings: distinct(rest) };
}

/** What lies lowest breaks what stands on it, so it is named first. */
function kernelFaults(direction: Direction): Finding[] {
  const { from, to, evidence } = direction;
  const { facts } = from;
  if (facts === undefined) return [];
  const sending = {
    ...{ node: from.end.node, facts, to: to.end, transport: evidence.transport },
  };
  const below = underlayFaults(direction);
  return [...below, ...routeFaults(sending), ...tunnelFaults(direction)];
}

function sharedMacs({ from, to, sharedMacs: nodes }: Evidence): Finding[] {
  if (nodes.length === 0) return [];
  return [
    {
      code: "MAC_DUPLICATE",
      node: nodes.includes(to.end.node) ? to.end.node : from.end.node,
      says: `${nodes.join(" and ")} have the same VTEP MAC, so packets for one go to the other`,
      fix: "cloned disks: stop one agent, remove its state folder and its flannel device, start it",
    },
  ];
}

function silence(side: Side): Finding[] {
  if (side.facts !== undefined) return [];
  const { node } = side.end;
  const says = `it could not be asked: ${side.silence}`;
  return [{ code: "NODE_SILENT", node, says, fix: "is the machine up and its agent running?" }];
}

const UNKNOWN: Finding = {
  code: "UNKNOWN",
  node: "",
  says: "packets are lost, but both kernels look right",
  fix: "tcpdump on both machines' interfaces shows where they end",
};

function distinct(findings: readonly Finding[]): Finding[] {
  const seen = new Map(findings.map((one) => [`${one.code} ${one.node} ${one.says}`, one]));
  return [...seen.values()].toSorted((a, b) => rank(a) - rank(b));
}

/** The causes that have consequences which look like causes. */
const FIRST: readonly string[] = [
  "NIC_DOWN",
  "UNDERLAY_NO_ROUTE",
  "UNDERLAY_ARP_STALE",
  "MAC_DUPLICATE",
  "RP_FILTER",
  "VTEP_MAC_CHANGED",
  "TUNNEL_MISMATCH",
];

function rank({ code }: Finding): number {
  const at = FIRST.indexOf(code);
  return at < 0 ? FIRST.length : at;
}
