/**
 * What is known of a path between two nodes before anybody judges it: what the leases promise,
 * what both kernels say, and what became of probes. Plain data, so that a captured case is a test.
 */
import type { PathFacts, ProbeResult } from "../../proto/gen/twill/v1/node.ts";

/** One end of the path. */
export interface PathEnd {
  readonly node: string;
  /** What was asked about: a container's address or the node's own in the container network. */
  readonly address: string;
  readonly isContainer: boolean;
  /** The machine's address. */
  readonly machine: string;
  /** "10.244.2.0/24" */
  readonly subnet: string;
  /** By the lease; empty for backends without one. */
  readonly vtepMac: string;
}

/** What packets between nodes should use. */
export interface Transport {
  /** vxlan, host-gw, udp, ipip, wireguard … */
  readonly backend: string;
  /** The tunnel's device; empty: none, packets go by the machines' own network. */
  readonly device: string;
  /** UDP port between the machines; 0: none. */
  readonly port: number;
  /** What the tunnel puts around a packet. */
  readonly overheadBytes: number;
  /** Peers on the same link may be reached without the tunnel. */
  readonly mayBeDirect: boolean;
}

export interface Side {
  readonly end: PathEnd;
  /** undefined: the node could not be asked; `silence` says why. */
  readonly facts: PathFacts | undefined;
  /** After the probes; undefined as `facts`. */
  readonly after: PathFacts | undefined;
  readonly silence: string;
  /** Probes from here to the other end. */
  readonly probes: readonly ProbeResult[];
}

export interface Evidence {
  readonly transport: Transport;
  readonly from: Side;
  readonly to: Side;
  /** Nodes that share an end's VTEP MAC by their leases; empty: none. */
  readonly sharedMacs: readonly string[];
}

/** What probes are called. */
export type Layer =
  | "underlay"
  | "underlay-full"
  | "overlay"
  | "overlay-full"
  | "overlay-udp"
  | "pod";

/** One thing that keeps packets from arriving, in words. */
export interface Finding {
  /** Stable, for scripts. */
  readonly code: string;
  /** Node at which it is wrong; empty: between the nodes. */
  readonly node: string;
  readonly says: string;
  readonly fix: string;
}

export function probeOf(side: Side, layer: Layer): ProbeResult | undefined {
  return side.probes.find(({ label }) => label === layer);
}

/** undefined: was not tried, or could not be. */
export function answers(side: Side, layer: Layer): boolean | undefined {
  const result = probeOf(side, layer);
  return result === undefined ? undefined : result.received > 0;
}

/** How much a counter of the IP layers grew during the probes. */
export function growth(side: Side, counter: string): number {
  const read = (facts: PathFacts | undefined): number =>
    facts?.counters.find(({ name }) => name === counter)?.value ?? 0;
  return read(side.after) - read(side.facts);
}

/** How much a device's counter grew during the probes; 0 when the node could not be asked. */
export function deviceGrowth(side: Side, device: string, counter: "received" | "sent"): number {
  const read = (facts: PathFacts | undefined): number =>
    facts?.devices.find(({ name }) => name === device)?.[counter] ?? 0;
  return read(side.after) - read(side.facts);
}
