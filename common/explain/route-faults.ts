/** Whether the kernel sends a packet where the lease says: device, route, gateway. Pure. */
import type { PathFacts, RouteFact } from "../../proto/gen/twill/v1/node.ts";
import type { Finding, PathEnd, Transport } from "./evidence.ts";

export interface Sending {
  readonly node: string;
  readonly facts: PathFacts;
  /** The other end. */
  readonly to: PathEnd;
  readonly transport: Transport;
}

export function routeFaults(sending: Sending): Finding[] {
  const device = deviceFault(sending);
  if (device !== undefined) return [device];
  const { facts, to } = sending;
  const hop = facts.remote;
  if (hop === undefined) return [noRoute(sending)];
  if (isRight(sending, hop)) return [];
  const best = facts.routes[0];
  if (best === undefined || best.destination === "0.0.0.0/0" || best.destination === "::/0") {
    return [missing(sending)];
  }
  if (isExpected(sending, best)) {
    return [
      finding(sending, "RULE_DIVERTS", {
        says: `the route to ${to.subnet} is right, but a rule (ip rule) sends the packet to ${hopText(hop)} instead`,
        fix: "`ip rule` shows which one; remove it or exempt the container network",
      }),
    ];
  }
  return [wrongRoute(sending, best)];
}

/** The tunnel's device first: routes go with it. */
function deviceFault(sending: Sending): Finding | undefined {
  const { facts, transport } = sending;
  if (transport.device === "") return undefined;
  const device = facts.devices.find(({ name }) => name === transport.device);
  const fix = "the agent makes it again; if it does not, its log says why (`twillctl node show`)";
  if (device === undefined) {
    const says = `the device ${transport.device} is missing`;
    return finding(sending, "DEVICE_MISSING", { says, fix });
  }
  if (device.up) return undefined;
  const says = `the device ${transport.device} is down`;
  return finding(sending, "DEVICE_DOWN", { says, fix });
}

function noRoute(sending: Sending): Finding {
  const blackhole = sending.facts.routes.find(({ type }) => type === "blackhole");
  if (blackhole === undefined) {
    const known = sending.facts.routes.find((route) => isExpected(sending, route));
    if (known === undefined) return missing(sending);
    return finding(sending, "RULE_DIVERTS", {
      says: `the route to ${sending.to.subnet} is right, but a rule (ip rule) makes the kernel refuse the packet`,
      fix: "`ip rule` shows which one; remove it or exempt the container network",
    });
  }
  return finding(sending, "ROUTE_BLACKHOLE", {
    says: `the route ${blackhole.destination} throws packets to ${sending.to.subnet} away (blackhole)`,
    fix: `ip route del blackhole ${blackhole.destination}, after finding out who added it`,
  });
}

function missing(sending: Sending): Finding {
  const { to, facts } = sending;
  const instead = facts.remote === undefined ? "" : `; packets go to ${hopText(facts.remote)}`;
  return finding(sending, "ROUTE_MISSING", {
    says: `there is no route to ${to.subnet}${instead}`,
    fix: "the agent puts it back; if it does not, `twillctl node show` says what it lacks",
  });
}

function wrongRoute(sending: Sending, best: RouteFact): Finding {
  const { to, facts } = sending;
  const own = facts.routes.find((route) => isExpected(sending, route));
  const where = `${best.destination} ${hopText(best)}`;
  if (best.destination !== to.subnet) {
    return finding(sending, "ROUTE_HIJACKED", {
      says: `the more specific route ${where} takes packets away from the one to ${to.subnet}`,
      fix: `ip route del ${best.destination}, after finding out who added it`,
    });
  }
  if (own !== undefined && own.metric > best.metric) {
    return finding(sending, "ROUTE_METRIC", {
      says: `the route ${where} has metric ${best.metric} and wins over the right one with metric ${own.metric}`,
      fix: `remove the other route; the right one goes by ${hopText(own)}`,
    });
  }
  return finding(sending, "ROUTE_WRONG", {
    says: `the route to ${to.subnet} goes to ${hopText(best)}, not to ${expectedText(sending)}`,
    fix: "the agent puts it right unless another daemon keeps changing it",
  });
}

function isRight(sending: Sending, hop: { device: string; gateway: string }): boolean {
  const { transport, to, facts } = sending;
  const isDirect = hop.device === facts.underlay?.device && hop.gateway === to.machine;
  if (transport.device === "" || (transport.mayBeDirect && isDirect)) return isDirect;
  if (hop.device !== transport.device) return false;
  return hop.gateway === expectedGateway(sending) || hop.gateway === "";
}

function isExpected(sending: Sending, route: RouteFact): boolean {
  const covers = sending.transport.backend === "udp" || route.destination === sending.to.subnet;
  return covers && route.type === "unicast" && isRight(sending, route);
}

/** The peer's VTEP address, or the machine itself. */
function expectedGateway({ transport, to }: Sending): string {
  if (transport.backend === "vxlan") return to.subnet.replace(/\/\d+$/, "");
  return transport.backend === "ipip" ? to.machine : "";
}

function expectedText(sending: Sending): string {
  const { transport, to } = sending;
  if (transport.device === "") return `via ${to.machine}`;
  return hopText({ device: transport.device, gateway: expectedGateway(sending) });
}

function hopText({ device, gateway }: { device: string; gateway: string }): string {
  const via = gateway === "" ? "" : `via ${gateway} `;
  return device === "" ? via.trim() : `${via}dev ${device}`;
}

function finding({ node }: Sending, code: string, words: Pick<Finding, "says" | "fix">): Finding {
  return { code, node, ...words };
}
