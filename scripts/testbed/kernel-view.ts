/** What a node's kernel holds, read by iproute2 and compared with what etcd says it should. */
import { run, tryRun } from "./command.ts";
import type { Machine } from "./machine.ts";
import type { LeaseRow, Reach } from "./registry.ts";

export interface KernelView {
  /** Destinations of the main table that go to a peer: gateway or device of ours. */
  readonly routes: readonly {
    readonly destination: string;
    readonly via: string;
    readonly device: string;
  }[];
  readonly neighbours: readonly { readonly ip: string; readonly mac: string }[];
  readonly fdb: readonly { readonly mac: string; readonly remote: string }[];
}

/** Backends with one route a peer; the others (udp, wireguard) are judged by pings alone. */
const ROUTED_BACKENDS: ReadonlySet<string> = new Set(["vxlan", "host-gw", "ipip"]);

export function hasRouteForEachPeer(backend: string): boolean {
  return ROUTED_BACKENDS.has(backend);
}

/** Devices the backends make: flannel.1, flannel.ipip, flannel0, flannel-wg. */
const OVERLAY_DEVICE = /^flannel/;

export async function readKernel(machine: Machine): Promise<KernelView> {
  const ip = ["ip", "-n", machine.namespace, "-j"];
  const [routes, routes6, neighbours, fdb] = await Promise.all([
    tryRun([...ip, "route", "show"]),
    tryRun([...ip, "-6", "route", "show"]),
    tryRun([...ip, "neigh", "show"]),
    tryRun(["bridge", "-n", machine.namespace, "-j", "fdb", "show"]),
  ]);
  return {
    routes: [...rows(routes.stdout), ...rows(routes6.stdout)]
      .map((row) => ({ destination: row("dst"), via: row("gateway"), device: row("dev") }))
      .filter((row) => row.via !== "" && row.destination !== "default"),
    neighbours: rows(neighbours.stdout)
      .filter((row) => OVERLAY_DEVICE.test(row("dev")))
      .map((row) => ({ ip: row("dst"), mac: row("lladdr") })),
    fdb: rows(fdb.stdout)
      .filter((row) => OVERLAY_DEVICE.test(row("ifname")) && row("dst") !== "")
      .map((row) => ({ mac: row("mac"), remote: row("dst") })),
  };
}

/**
 * Differences between a node's kernel and the leases, as sentences; empty: converged. Peers
 * of vxlan that are reached directly (DirectRouting) need their route only.
 */
export function differences(
  view: KernelView,
  leases: readonly LeaseRow[],
  own: { readonly ip: string; readonly ip6: string },
): string[] {
  const others = leases.filter((lease) => !isLeaseOf(lease, own));
  const missing = others.flatMap(({ backendType, reaches }) =>
    reaches.flatMap((peer) => missingFor(view, peer, backendType)),
  );
  const peers = others.flatMap(({ reaches }) => reaches);
  const known = new Set(peers.map((peer) => peer.subnet));
  const left = view.routes
    .filter((route) => !known.has(route.destination))
    .map((route) => `route ${route.destination} belongs to no lease`);
  const macs = new Set(peers.map((peer) => peer.vtepMac));
  const orphans = view.fdb
    .filter((entry) => !macs.has(entry.mac))
    .map((entry) => `FDB entry ${entry.mac} belongs to no lease`);
  return [...missing, ...left, ...orphans];
}

/** A node is known by either of its underlay addresses: IPv6-only leases have no other. */
export function isLeaseOf(
  { reaches }: Pick<LeaseRow, "reaches">,
  machine: { readonly ip: string; readonly ip6: string },
): boolean {
  return reaches.some(({ publicIp }) => publicIp === machine.ip || publicIp === machine.ip6);
}

function missingFor(view: KernelView, peer: Reach, backendType: string): string[] {
  if (!hasRouteForEachPeer(backendType)) return [];
  const route = view.routes.find((one) => one.destination === peer.subnet);
  if (route === undefined) return [`no route to ${peer.subnet} of ${peer.publicIp}`];
  if (backendType !== "vxlan" || route.via === peer.publicIp) return [];
  const neighbour = view.neighbours.some((one) => one.ip === route.via && one.mac === peer.vtepMac);
  const forwarding = view.fdb.some(
    (one) => one.mac === peer.vtepMac && one.remote === peer.publicIp,
  );
  return [
    ...(neighbour ? [] : [`no neighbour ${route.via} lladdr ${peer.vtepMac}`]),
    ...(forwarding ? [] : [`no FDB entry ${peer.vtepMac} dst ${peer.publicIp}`]),
  ];
}

/** Everything that matters of a node's kernel, as the text an operator would read. */
export async function kernelText(machine: Machine): Promise<string> {
  const ns = machine.namespace;
  const commands = [
    ["ip", "-n", ns, "-d", "link", "show"],
    ["ip", "-n", ns, "address", "show"],
    ["ip", "-n", ns, "route", "show", "table", "main"],
    ["ip", "-n", ns, "-6", "route", "show", "table", "main"],
    ["ip", "-n", ns, "neigh", "show"],
    ["bridge", "-n", ns, "fdb", "show"],
    ["ip", "netns", "exec", ns, "nft", "list", "ruleset"],
    ["ip", "netns", "exec", ns, "iptables-save"],
  ];
  const parts = await Promise.all(
    commands.map(async (argv) => `$ ${argv.join(" ")}\n${await run(argv).catch(String)}`),
  );
  return parts.join("\n");
}

type Row = (name: string) => string;

/** Rows of `ip -j`: an array of flat objects; text fields only. */
function rows(json: string): Row[] {
  const parsed: unknown = json.trim() === "" ? [] : JSON.parse(json);
  if (!Array.isArray(parsed)) return [];
  return parsed.map((row: unknown) => (name) => {
    const value: unknown = typeof row === "object" && row !== null ? Reflect.get(row, name) : "";
    return typeof value === "string" ? value : "";
  });
}
