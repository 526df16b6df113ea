/** Nodes, events and the network's blocks beside one another. */
import type { JSX } from "preact";
import type { Cluster } from "../model/cluster.ts";
import type { NodeView } from "../model/node-views.ts";
import { Events } from "./events.tsx";
import { Nodes } from "./nodes.tsx";
import { Subnets } from "./subnets.tsx";

export function Overview(props: {
  readonly cluster: Cluster;
  readonly views: readonly NodeView[];
}): JSX.Element {
  const { cluster, views } = props;
  return (
    <div class="overview">
      <div class="pictures">
        <Nodes cluster={cluster} views={views} />
        {cluster.head.ranges.map((range) => (
          <Subnets key={range.network} range={range} leases={cluster.leases} />
        ))}
      </div>
      <Events events={cluster.events} nodes={cluster.nodes} />
    </div>
  );
}
