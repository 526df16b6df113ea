/** A node's peers: what its kernel holds of each, by what it has acknowledged. */
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { Cluster } from "../model/cluster.ts";
import type { NodeView } from "../model/node-views.ts";
import { type PeerState, type PeerView, peerViews } from "../model/peer-views.ts";
import { nodeHref } from "../model/route.ts";
import { count } from "../model/words.ts";
import { type Column, Table } from "./table.tsx";

const STATE_WORDS: Readonly<Record<PeerState, string>> = {
  held: "in its kernel",
  "under way": "on its way",
  failing: "refused",
  unknown: "not known",
};

const COLUMNS: readonly Column<PeerView>[] = [
  {
    title: "Peer",
    width: "minmax(8rem, 1.2fr)",
    cell: ({ lease: { node } }) =>
      node === "" ? <span class="quiet">a flannel node</span> : <a href={nodeHref(node)}>{node}</a>,
  },
  {
    title: "Subnet",
    width: "minmax(9rem, 1.2fr)",
    cell: ({ lease }) => <span class="mono">{lease.subnet}</span>,
  },
  {
    title: "Reached at",
    width: "minmax(8rem, 1fr)",
    cell: ({ lease }) => <span class="mono">{lease.publicIp || lease.publicIpv6}</span>,
  },
  {
    title: "State",
    width: "minmax(10rem, 1.6fr)",
    cell: ({ state, reason }) => (
      <span class={`peer-${state.replace(" ", "-")}`}>
        {STATE_WORDS[state]}
        {reason !== "" && `: ${reason}`}
      </span>
    ),
  },
];

export function Peers(props: { readonly view: NodeView; readonly cluster: Cluster }): JSX.Element {
  const { view, cluster } = props;
  const peers = useMemo(
    () => peerViews(cluster, view).toSorted((a, b) => rank(a) - rank(b)),
    [cluster.leases, view],
  );
  return (
    <section class="panel" aria-label="Peers">
      <header class="panel-head">
        <h2>Peers</h2>
        <p class="summary">{count(peers.length)}</p>
      </header>
      <Table
        label={`Peers of ${view.name}`}
        rows={peers}
        columns={COLUMNS}
        keyOf={({ lease }) => lease.key}
        empty="It is alone in the network."
      />
    </section>
  );
}

function rank({ state }: PeerView): number {
  return ["failing", "under way", "unknown", "held"].indexOf(state);
}
