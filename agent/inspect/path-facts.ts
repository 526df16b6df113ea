/**
 * What this node's kernel does with packets between an address of its own side and a remote
 * one, both ways: read at the moment of the question, from the kernel and not from what the
 * agent believes. Reads only.
 */
import { containsIp, formatCidr } from "../../common/net/cidr.ts";
import { formatIp, type Ip, parseIp } from "../../common/net/ip.ts";
import type {
  DeviceFact,
  FdbFact,
  FilterVerdict,
  Hop,
  NeighbourFact,
  PathFacts,
  PathQuestion,
  RouteFact,
  Setting,
  WireguardFact,
} from "../../proto/gen/twill/v1/node.ts";
import type { RunCommand } from "../kernel/command.ts";
import type { Kernel, LinkState, RouteLookup, RouteState } from "../kernel/kernel.ts";
import type { Sysctl, SysctlName } from "../kernel/sysctl.ts";
import { parseRuleset } from "./filter-verdict.ts";
import { type PathEnds, verdictsOf } from "./path-verdicts.ts";
import { parseDeviceCounters, parseLayerCounters } from "./proc-counters.ts";

export interface PathPorts {
  readonly kernel: Kernel;
  readonly sysctl: Sysctl;
  readonly run: RunCommand;
  /** A file below /proc/net, of this network namespace; empty when there is none. */
  readonly readProcNet: (name: string) => Promise<string>;
}

const MAX_DEVICES = 64;
const MAX_LISTED = 32;
const NFT_TIMEOUT_MS = 5000;

/** A question whose addresses cannot be read has no facts. */
export async function pathFacts(
  question: PathQuestion,
  ports: PathPorts,
  signal: AbortSignal,
): Promise<PathFacts | undefined> {
  const [remote, local, machine] = [question.remote, question.local, question.machine].map(parseIp);
  if (remote === undefined) return undefined;
  const { kernel } = ports;
  const lookUp = (ip: Ip | undefined): Promise<RouteLookup | undefined> =>
    ip === undefined ? Promise.resolve(undefined) : kernel.lookUpRoute(ip, signal);
  const toRemote = await lookUp(remote);
  const toLocal = await lookUp(local);
  const underlay = await lookUp(machine);
  const links = await kernel.listLinks(signal);
  const onPath = distinct([toRemote?.device, underlay?.device, toLocal?.device]);
  const tunnels = links.filter(({ kind }) => TUNNEL_KINDS.has(kind)).map(({ name }) => name);
  const bridges = links.filter(({ kind }) => kind === "bridge").map(({ name }) => name);
  const near = distinct([...onPath, ...tunnels, ...bridges]);
  const neighbours = await neighboursOf(
    near,
    { remote, toRemote, underlay, machine },
    ports,
    signal,
  );
  const ends: PathEnds = {
    ...{ remote, local, machine, toRemote, toLocal, underlay },
    tunnelPort: question.tunnelPort,
  };
  return {
    remote: hop(toRemote),
    local: hop(toLocal),
    underlay: hop(underlay),
    routes: covering(await kernel.listRoutes(signal), remote).map(routeFact),
    devices: await deviceFacts(links, near, ports, signal),
    neighbours: neighbours.relevant,
    containers: neighbours.containers,
    fdb: await fdbFacts(tunnels, neighbours.relevant, ports, signal),
    settings: await settings(onPath, ports),
    verdicts: await filterVerdicts(ends, ports, signal),
    counters: parseLayerCounters(
      await ports.readProcNet("snmp"),
      await ports.readProcNet("netstat"),
    ),
    wireguard: await wireguardFacts(links, remote, ports, signal),
  };
}

const TUNNEL_KINDS: ReadonlySet<string> = new Set(["vxlan", "ipip", "wireguard", "tun"]);

function hop(found: RouteLookup | undefined): Hop | undefined {
  if (found === undefined) return undefined;
  const { device, gateway, source, mtuBytes = 0, isLocal = false } = found;
  return { device, gateway: text(gateway), source: text(source), mtuBytes, isLocal };
}

/** The most specific first, then by metric: the order in which the kernel would choose. */
function covering(routes: readonly RouteState[], remote: Ip): readonly RouteState[] {
  return routes
    .filter(({ destination }) => destination.ip.family === remote.family)
    .filter(({ destination }) => containsIp(destination, remote))
    .toSorted((a, b) => b.destination.prefix - a.destination.prefix || a.metric - b.metric)
    .slice(0, MAX_LISTED);
}

function routeFact(route: RouteState): RouteFact {
  const { destination, gateway, device = "", metric, protocol, type } = route;
  return {
    destination: formatCidr(destination),
    ...{ gateway: text(gateway), device, metric, protocol, type },
  };
}

async function deviceFacts(
  links: readonly LinkState[],
  near: readonly string[],
  { kernel, readProcNet }: PathPorts,
  signal: AbortSignal,
): Promise<DeviceFact[]> {
  const addresses = await kernel.listAddresses(signal);
  const counters = parseDeviceCounters(await readProcNet("dev"));
  const rank = (name: string): number => (near.includes(name) ? near.indexOf(name) : near.length);
  return links
    .toSorted((a, b) => rank(a.name) - rank(b.name))
    .slice(0, MAX_DEVICES)
    .map(({ name, kind, up, running, mtuBytes, mac, vxlan, wireguard }) => ({
      ...{ name, kind, up, running, mtuBytes, ...counters(name) },
      mac: mac ?? "",
      addresses: addresses
        .filter(({ device }) => device === name)
        .slice(0, MAX_LISTED)
        .map(({ ip, prefix }) => `${formatIp(ip)}/${prefix}`),
      vni: vxlan?.vni ?? 0,
      port: vxlan?.port ?? wireguard?.listenPort ?? 0,
      local: text(vxlan?.local),
    }));
}

interface NextHops {
  readonly remote: Ip;
  readonly toRemote: RouteLookup | undefined;
  readonly underlay: RouteLookup | undefined;
  readonly machine: Ip | undefined;
}

/** The neighbours that the path needs, and the containers that this node has seen. */
async function neighboursOf(
  devices: readonly string[],
  { remote, toRemote, underlay, machine }: NextHops,
  { kernel }: PathPorts,
  signal: AbortSignal,
): Promise<{ readonly relevant: NeighbourFact[]; readonly containers: string[] }> {
  const wanted = distinct(
    [toRemote?.gateway ?? remote, underlay?.gateway ?? machine].map((ip) => text(ip)),
  );
  const relevant: NeighbourFact[] = [];
  const others: NeighbourFact[] = [];
  for (const device of devices) {
    for (const { ip, mac, permanent } of await kernel.listNeighbours(device, signal)) {
      const fact = { device, ip: formatIp(ip), mac, permanent };
      // The network's first addresses stand for nodes (VTEPs), whatever the packet is for.
      if (wanted.includes(fact.ip)) relevant.push(fact);
      else if (!permanent) others.push(fact);
    }
  }
  const containers = others.map(({ ip }) => ip).filter((ip) => !ip.startsWith("fe80:"));
  return {
    relevant: [...relevant, ...others].slice(0, MAX_LISTED),
    containers: containers.slice(0, MAX_LISTED),
  };
}

/** Those of the MACs that the path uses; a table of thousands stays where it is. */
async function fdbFacts(
  tunnels: readonly string[],
  neighbours: readonly NeighbourFact[],
  { kernel }: PathPorts,
  signal: AbortSignal,
): Promise<FdbFact[]> {
  const macs = new Set(neighbours.map(({ mac }) => mac));
  const facts: FdbFact[] = [];
  for (const tunnel of tunnels) {
    for (const { device, mac, remote } of await kernel.listFdb(tunnel, signal)) {
      if (macs.has(mac)) facts.push({ device, mac, remote: formatIp(remote) });
    }
  }
  return facts.slice(0, MAX_LISTED);
}

async function wireguardFacts(
  links: readonly LinkState[],
  remote: Ip,
  { kernel }: PathPorts,
  signal: AbortSignal,
): Promise<WireguardFact[]> {
  const facts: WireguardFact[] = [];
  for (const { name } of links.filter(({ kind }) => kind === "wireguard")) {
    for (const peer of await kernel.listWireguardPeers(name, signal)) {
      const covers = peer.allowed.some(
        (network) => network.ip.family === remote.family && containsIp(network, remote),
      );
      if (!covers) continue;
      const { endpoint, publicKey, hasSession } = peer;
      const where = endpoint === undefined ? "" : `${formatIp(endpoint.ip)}:${endpoint.port}`;
      const allowed = peer.allowed.slice(0, MAX_LISTED).map(formatCidr);
      facts.push({ device: name, publicKey, endpoint: where, allowed, hasSession });
    }
  }
  return facts.slice(0, MAX_LISTED);
}

async function settings(devices: readonly string[], { sysctl }: PathPorts): Promise<Setting[]> {
  const names: SysctlName[] = [
    ["net", "ipv4", "ip_forward"],
    ["net", "ipv6", "conf", "all", "forwarding"],
    ...["all", ...devices].map(
      (device): SysctlName => ["net", "ipv4", "conf", device, "rp_filter"],
    ),
  ];
  const found: Setting[] = [];
  for (const name of names) {
    const value = await sysctl.read(name);
    if (value !== undefined) found.push({ name: name.join("/"), value });
  }
  return found;
}

async function filterVerdicts(
  ends: PathEnds,
  { run }: PathPorts,
  signal: AbortSignal,
): Promise<FilterVerdict[]> {
  try {
    const options = { signal, timeoutMs: NFT_TIMEOUT_MS };
    const { stdout } = await run(["nft", "--json", "list", "ruleset"], options);
    const ruleset = parseRuleset(stdout);
    if (ruleset !== undefined) return verdictsOf(ruleset, ends);
  } catch {
    signal.throwIfAborted();
  }
  return [{ hook: "", packet: "", verdict: "unknown", rule: "nft does not list its rules here" }];
}

function distinct(names: readonly (string | undefined)[]): string[] {
  return [...new Set(names.filter((name) => name !== undefined && name !== ""))].map(String);
}

function text(ip: Ip | undefined): string {
  return ip === undefined ? "" : formatIp(ip);
}
