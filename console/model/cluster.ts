/** The cluster as the page has it: a snapshot with every delta since folded in. Pure. */
import type {
  ConsoleDelta,
  ConsoleEvent,
  ConsoleHead,
  ConsoleLease,
  ConsoleNode,
  ConsoleSnapshot,
} from "../../common/console/console-state.ts";

export interface Cluster {
  readonly sequence: number;
  /** Of the controller's clock, when it said this. */
  readonly atMs: number;
  readonly head: ConsoleHead;
  readonly nodes: ReadonlyMap<string, ConsoleNode>;
  readonly leases: ReadonlyMap<string, ConsoleLease>;
  /** Oldest first. */
  readonly events: readonly ConsoleEvent[];
}

const KEPT_EVENTS = 400;

export function fromSnapshot(snapshot: ConsoleSnapshot): Cluster {
  const { sequence, atMs, head, nodes, leases, events } = snapshot;
  return {
    sequence,
    atMs,
    head,
    nodes: new Map(nodes.map((node) => [node.node, node])),
    leases: new Map(leases.map((lease) => [lease.key, lease])),
    events: events.slice(-KEPT_EVENTS),
  };
}

/** undefined: the delta does not follow this state, so a snapshot is needed. */
export function fold(cluster: Cluster, delta: ConsoleDelta): Cluster | undefined {
  if (delta.sequence !== cluster.sequence + 1) return undefined;
  const { sequence, atMs, head, events } = delta;
  return {
    sequence,
    atMs,
    head: head ?? cluster.head,
    nodes: merge(cluster.nodes, delta.nodes, delta.nodesGone, ({ node }) => node),
    leases: merge(cluster.leases, delta.leases, delta.leasesGone, ({ key }) => key),
    events:
      events === undefined ? cluster.events : [...cluster.events, ...events].slice(-KEPT_EVENTS),
  };
}

/** The same map when nothing changed, so that what hangs on it need not be made again. */
function merge<T>(
  map: ReadonlyMap<string, T>,
  upserts: readonly T[] | undefined,
  gone: readonly string[] | undefined,
  nameOf: (value: T) => string,
): ReadonlyMap<string, T> {
  if (upserts === undefined && gone === undefined) return map;
  const merged = new Map(map);
  for (const value of upserts ?? []) merged.set(nameOf(value), value);
  for (const name of gone ?? []) merged.delete(name);
  return merged;
}
