/** A node's peers: what its kernel holds of each, by what it has acknowledged. */
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { usePath } from "../live/use-path.ts";
import type { Cluster } from "../model/cluster.ts";
import type { NodeView } from "../model/node-views.ts";
import { type PeerState, type PeerView, peerViews } from "../model/peer-views.ts";
import { nodeHref } from "../model/route.ts";
import { count } from "../model/words.ts";
import { PathDrawing } from "./path.tsx";
import { type Column, Table } from "./table.tsx";

const STATE_WORDS: Readonly<Record<PeerState, string>> = {
  held: "in its kernel",
  "under way": "on its way",
  failing: "refused",
  unknown: "not known",
};

const columnsOf = (explain: (to: string) => void): readonly Column<PeerView>[] => [
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
  {
    title: "Way",
    width: "5.5rem",
    cell: ({ lease: { node } }) =>
      node === "" ? (
        ""
      ) : (
        <button type="button" class="ask" onClick={() => explain(node)}>
          Explain<span class="unseen"> the way to {node}</span>
        </button>
      ),
  },
];

export function Peers(props: { readonly view: NodeView; readonly cluster: Cluster }): JSX.Element {
  const { view, cluster } = props;
  const peers = useMemo(
    () => peerViews(cluster, view).toSorted((a, b) => rank(a) - rank(b)),
    [cluster.leases, view],
  );
  const [path, explain] = usePath(view.name);
  return (
    <section class="panel" aria-label="Peers">
      <header class="panel-head">
        <h2>Peers</h2>
        <p class="summary">{count(peers.length)}</p>
      </header>
      <PathDrawing state={path} from={view.name} />
      <Table
        label={`Peers of ${view.name}`}
        rows={peers}
        columns={columnsOf(explain)}
        keyOf={({ lease }) => lease.key}
        empty="It is alone in the network."
      />
    </section>
  );
}

function rank({ state }: PeerView): number {
  return ["failing", "under way", "unknown", "held"].indexOf(state);
}
