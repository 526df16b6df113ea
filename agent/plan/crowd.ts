/**
 * Routes of a large fleet. Linux hashes an IPv4 route without its gateway, so routes of one
 * device that differ in nothing else stand in one chain, and each insertion walks it: 20,000
 * took 12 s, of which 80 % in fib_create_info (docs/kernel.md, profiled). Different metrics
 * stand in different chains. Above a size that no fleet of flannel's is comfortable with, each
 * route gets a metric from its subnet; below, `ip route` shows what flannel's would.
 */
import type { Cidr } from "../../common/net/cidr.ts";
import type { KernelObject } from "./kernel-object.ts";

/** Peers. Between the two it stays as it is, so that a fleet at the edge does not go to and fro. */
export const CROWDED = { above: 2000, notBelow: 1500 } as const;
/** Metrics in use are 1 to this: chains of 20 routes at 20,000 peers. */
const METRICS = 1024;

/** Whether routes are spread over metrics from now on. */
export function isCrowd(was: boolean, leases: number): boolean {
  return was ? leases >= CROWDED.notBelow : leases > CROWDED.above;
}

/** The object with its crowd metric, if it is a route that meets others of its like. */
export function spread(item: KernelObject): KernelObject {
  if (item.kind !== "route") return item;
  const { destination, gateway, metric } = item.object;
  // IPv6 routes are kept in the tree alone.
  if (gateway === undefined || metric !== undefined || destination.ip.family === 6) return item;
  return { kind: "route", object: { ...item.object, metric: metricOf(destination) } };
}

/** Neighbouring subnets get neighbouring metrics: a dense network is spread evenly. */
function metricOf({ ip, prefix }: Cidr): number {
  return 1 + Number((ip.value >> BigInt(32 - prefix)) % BigInt(METRICS));
}
