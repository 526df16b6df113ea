/** A path's evidence as the steps a packet takes, each there or missing; the page draws them. Pure. */
import type {
  ConsoleDirection,
  ConsoleHop,
  ConsolePath,
} from "../../common/console/console-path.ts";
import type { Diagnosis } from "../../common/explain/diagnose.ts";
import type { Evidence, Side } from "../../common/explain/evidence.ts";
import type { Hop, PathFacts } from "../../proto/gen/twill/v1/node.ts";

export function consolePath(evidence: Evidence, diagnosis: Diagnosis): ConsolePath {
  const { from, to } = evidence;
  return {
    works: diagnosis.works,
    findings: diagnosis.findings.map(({ code, node, says, fix }) => ({ code, node, says, fix })),
    directions: [direction(evidence, from, to), direction(evidence, to, from)],
  };
}

function direction(evidence: Evidence, near: Side, far: Side): ConsoleDirection {
  return {
    from: near.end.node,
    fromAddress: near.end.address,
    to: far.end.node,
    toAddress: far.end.address,
    silence: near.silence,
    hops: near.facts === undefined ? [] : hopsOf(evidence, near.facts, near, far),
    probes: near.probes.map(({ label, sent, received, rttUs, error }) => ({
      ...{ label, sent, received, rttUs, error },
    })),
  };
}

function hopsOf(
  { transport }: Evidence,
  facts: PathFacts,
  near: Side,
  far: Side,
): readonly ConsoleHop[] {
  const isTunnelled = transport.device !== "" && facts.remote?.device === transport.device;
  return [
    hop("route", routeText(facts)),
    ...(isTunnelled ? tunnelHops(facts, transport.device) : []),
    hop("underlay", hopText(facts.underlay)),
    filterHop(near),
    hop("arrives", far.facts === undefined ? undefined : hopText(far.facts.local), far.silence),
  ];
}

function tunnelHops(facts: PathFacts, device: string): readonly ConsoleHop[] {
  const gateway = facts.remote?.gateway ?? "";
  const vtep = facts.neighbours.find((one) => one.device === device && one.ip === gateway);
  const entry = facts.fdb.find((one) => one.device === device && one.mac === vtep?.mac);
  const tunnel = facts.devices.find(({ name }) => name === device);
  const state = tunnel?.up === true ? "up" : "down";
  const link = hop(
    "tunnel",
    tunnel === undefined ? undefined : `${device} ${state}, mtu ${tunnel.mtuBytes}`,
  );
  // Only vxlan has neighbours and a forwarding database; others go by the route alone.
  if (tunnel?.kind !== "vxlan") return [link];
  return [
    hop("neighbour", vtep === undefined ? undefined : `${vtep.ip} is ${vtep.mac}`),
    hop("fdb", entry === undefined ? undefined : `${entry.mac} is at ${entry.remote}`),
    link,
  ];
}

/** `text` undefined: the kernel has no such thing, or `unknown` says why nobody knows. */
function hop(kind: string, text: string | undefined, unknown = ""): ConsoleHop {
  if (text !== undefined) return { kind, text, state: "there" };
  if (unknown !== "") return { kind, text: unknown, state: "unknown" };
  return { kind, text: "not in the kernel", state: "missing" };
}

function routeText({ remote, routes }: PathFacts): string | undefined {
  const way = hopText(remote);
  const [covering] = routes;
  if (way === undefined || covering === undefined) return way;
  return `${covering.destination} ${way}`;
}

function hopText(way: Hop | undefined): string | undefined {
  if (way === undefined) return undefined;
  if (way.isLocal) return "its own address";
  const via = way.gateway === "" ? "" : `via ${way.gateway} `;
  return `${via}dev ${way.device}${way.mtuBytes > 0 ? `, mtu ${way.mtuBytes}` : ""}`;
}

function filterHop({ facts }: Side): ConsoleHop {
  const dropping = facts?.verdicts.find(({ verdict }) => verdict === "drop");
  if (dropping === undefined) return { kind: "filter", text: "nothing drops it", state: "there" };
  const { hook, rule } = dropping;
  return { kind: "filter", text: `dropped at ${hook}: ${rule}`, state: "missing" };
}
