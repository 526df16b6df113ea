/**
 * The catalogue of metrics: stable names that dashboards and alerts stand on. docs/metrics.md
 * is made from this table. Units are in the names; counters end in _total.
 */

export interface MetricSpec {
  readonly type: "counter" | "gauge" | "histogram";
  /** Which daemon shows it. */
  readonly on: "controller" | "agent" | "both";
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram's buckets, ascending. */
  readonly buckets?: readonly number[];
}

/** From half a millisecond to ten seconds: kernel passes and store requests alike. */
const SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

export const METRICS = {
  twill_build_info: {
    type: "gauge",
    on: "both",
    help: "1, with the version that runs.",
    labels: ["version"],
  },
  twill_component_ok: {
    type: "gauge",
    on: "both",
    help: "1 when the component is well, 0 when it is degraded.",
    labels: ["component"],
  },
  twill_log_events_total: {
    type: "counter",
    on: "both",
    help: "Log events of level warn and error, repeats included.",
    labels: ["event"],
  },
  // controller
  twill_leader: {
    type: "gauge",
    on: "controller",
    help: "1 while this replica leads.",
    labels: [],
  },
  twill_leadership_changes_total: {
    type: "counter",
    on: "controller",
    help: "Times this replica gained or lost leadership.",
    labels: ["change"],
  },
  twill_limited_total: {
    type: "counter",
    on: "controller",
    help: "Times that a peer was held back, by limit.",
    labels: ["limit"],
  },
  twill_table_revision: {
    type: "gauge",
    on: "controller",
    help: "etcd revision of the lease table here.",
    labels: [],
  },
  twill_leases: {
    type: "gauge",
    on: "controller",
    help: "Leases in the table, by whether a Twill node, a foreign node or nobody holds them.",
    labels: ["holder"],
  },
  twill_withdrawals_held: {
    type: "gauge",
    on: "controller",
    help: "Leases that ended in a storm and are withheld from agents until etcd confirms it.",
    labels: [],
  },
  twill_malformed_keys: {
    type: "gauge",
    on: "controller",
    help: "Keys below subnets/ that are no leases and are skipped.",
    labels: [],
  },
  twill_registrations_total: {
    type: "counter",
    on: "controller",
    help: "Answered requests for a lease, by outcome (acquired, reused, or the refusal's code).",
    labels: ["outcome"],
  },
  twill_store_request_seconds: {
    type: "histogram",
    on: "controller",
    help: "Duration of etcd requests, failures included.",
    labels: ["operation", "outcome"],
    buckets: SECONDS,
  },
  twill_streams: {
    type: "gauge",
    on: "controller",
    help: "Agents connected to this replica.",
    labels: [],
  },
  twill_stream_ends_total: {
    type: "counter",
    on: "controller",
    help: "Streams that ended, by reason.",
    labels: ["reason"],
  },
  twill_sent_bytes_total: {
    type: "counter",
    on: "controller",
    help: "Bytes sent to agents, by kind of message.",
    labels: ["kind"],
  },
  twill_applied_revision_min: {
    type: "gauge",
    on: "controller",
    help: "Lowest revision that a connected agent has acknowledged as applied.",
    labels: [],
  },
  twill_ack_seconds: {
    type: "histogram",
    on: "controller",
    help: "From publishing a change to an agent's acknowledgement that it is applied.",
    labels: [],
    buckets: SECONDS,
  },
  // agent
  twill_in_sync: {
    type: "gauge",
    on: "agent",
    help: "1 when a whole snapshot has been applied since the start.",
    labels: [],
  },
  twill_applied_revision: {
    type: "gauge",
    on: "agent",
    help: "Revision of the lease table that the kernel equals.",
    labels: [],
  },
  twill_peers: {
    type: "gauge",
    on: "agent",
    help: "Peers in the table.",
    labels: [],
  },
  twill_paths: {
    type: "gauge",
    on: "agent",
    help: "Peers by what the last probe through the tunnel said: reachable, unreachable, small-only (full-sized packets are lost), unprobed.",
    labels: ["state"],
  },
  twill_reconcile_seconds: {
    type: "histogram",
    on: "agent",
    help: "Duration of reconcile passes.",
    labels: [],
    buckets: SECONDS,
  },
  twill_kernel_changes_total: {
    type: "counter",
    on: "agent",
    help: "Kernel objects created, replaced or deleted, by kind.",
    labels: ["kind", "change"],
  },
  twill_kernel_failures: {
    type: "gauge",
    on: "agent",
    help: "Kernel objects that are not as they should be, by kind.",
    labels: ["kind"],
  },
  twill_drift_repaired_total: {
    type: "counter",
    on: "agent",
    help: "Objects that somebody else had changed and that were put right, by kind.",
    labels: ["kind"],
  },
  twill_tunnel_packets_total: {
    type: "counter",
    on: "agent",
    help: "Packets the udp backend carried, as containers send them, by direction.",
    labels: ["direction"],
  },
  twill_tunnel_bytes_total: {
    type: "counter",
    on: "agent",
    help: "Bytes of those packets.",
    labels: ["direction"],
  },
  twill_tunnel_drops_total: {
    type: "counter",
    on: "agent",
    help: "Packets the udp backend did not carry, by reason.",
    labels: ["reason"],
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;

type Catalogue = typeof METRICS;

/** Names of one type, so that a counter cannot be set nor a gauge observed. */
type NamesOf<Type extends MetricSpec["type"]> = {
  [Name in keyof Catalogue]: Catalogue[Name]["type"] extends Type ? Name : never;
}[keyof Catalogue];

export type CounterName = NamesOf<"counter">;
export type GaugeName = NamesOf<"gauge">;
export type HistogramName = NamesOf<"histogram">;
export type MetricName = keyof Catalogue;

/** Exactly the labels of the metric. */
export type LabelsOf<Name extends MetricName> = {
  readonly [Label in Catalogue[Name]["labels"][number]]: string;
};

/** The table of docs/metrics.md. */
export function renderMetricsTable(): string {
  const rows = Object.entries<MetricSpec>(METRICS).map(([name, { type, on, labels, help }]) => {
    const shown = labels.map((label) => `\`${label}\``).join(", ");
    return `| \`${name}\` | ${type} | ${on} | ${shown} | ${help} |`;
  });
  return ["| Name | Type | On | Labels | Meaning |", "|---|---|---|---|---|", ...rows, ""].join(
    "\n",
  );
}
