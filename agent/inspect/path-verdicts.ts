/**
 * The packets of one path and the hooks that each passes on this node: the container's own in
 * both directions, and the tunnel's between the machines. Pure.
 */
import type { Ip } from "../../common/net/ip.ts";
import type { FilterVerdict } from "../../proto/gen/twill/v1/node.ts";
import type { RouteLookup } from "../kernel/kernel.ts";
import type { FilterPacket } from "./filter-match.ts";
import { type Ruleset, verdictOf } from "./filter-verdict.ts";

export interface PathEnds {
  readonly remote: Ip;
  readonly local: Ip | undefined;
  readonly machine: Ip | undefined;
  readonly toRemote: RouteLookup | undefined;
  readonly toLocal: RouteLookup | undefined;
  readonly underlay: RouteLookup | undefined;
  /** 0: no tunnel. */
  readonly tunnelPort: number;
}

interface Passage {
  readonly name: string;
  readonly hooks: readonly string[];
  readonly packet: FilterPacket;
}

export function verdictsOf(ruleset: Ruleset, ends: PathEnds): FilterVerdict[] {
  return [...containerPassages(ends), ...tunnelPassages(ends)].flatMap(({ name, hooks, packet }) =>
    hooks.map((hook) => ({ hook, packet: name, ...verdictOf(ruleset, hook, packet) })),
  );
}

/** A packet of this node's own is not forwarded. */
function containerPassages({ remote, local, toRemote, toLocal }: PathEnds): Passage[] {
  const isOwn = toLocal?.isLocal === true || local === undefined;
  const outer = toRemote?.device ?? "";
  const inner = isOwn ? "" : (toLocal?.device ?? "");
  const common = { protocol: "icmp", port: undefined } as const;
  return [
    {
      name: "container-out",
      hooks: isOwn ? ["output", "postrouting"] : ["prerouting", "forward", "postrouting"],
      packet: { iif: inner, oif: outer, from: local, to: remote, ...common },
    },
    {
      name: "container-in",
      hooks: isOwn ? ["prerouting", "input"] : ["prerouting", "forward", "postrouting"],
      packet: { iif: outer, oif: inner, from: remote, to: local, ...common },
    },
  ];
}

function tunnelPassages({ machine, underlay, tunnelPort }: PathEnds): Passage[] {
  if (machine === undefined || underlay === undefined || tunnelPort === 0) return [];
  const { device, source } = underlay;
  const common = { protocol: "udp", port: tunnelPort } as const;
  return [
    {
      name: "tunnel-out",
      hooks: ["output", "postrouting"],
      packet: { iif: "", oif: device, from: source, to: machine, ...common },
    },
    {
      name: "tunnel-in",
      hooks: ["prerouting", "input"],
      packet: { iif: device, oif: "", from: machine, to: source, ...common },
    },
  ];
}
