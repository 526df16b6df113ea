/** The nodes as a table: the same as the picture says, in words, worst first. */
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { Cluster } from "../model/cluster.ts";
import { CONDITION_WORDS, CONDITIONS, type NodeView } from "../model/node-views.ts";
import { nodeHref } from "../model/route.ts";
import { count } from "../model/words.ts";
import { Stitch } from "./stitch.tsx";
import { type Column, Table } from "./table.tsx";

export function NodeTable(props: {
  readonly cluster: Cluster;
  readonly views: readonly NodeView[];
}): JSX.Element {
  const { cluster, views } = props;
  const rows = useMemo(() => worstFirst(views), [views]);
  const columns = useMemo(() => columnsOf(cluster), [cluster.head.controllers]);
  return (
    <Table
      label="Nodes"
      rows={rows}
      columns={columns}
      keyOf={({ name }) => name}
      empty="No node has joined yet."
    />
  );
}

function worstFirst(views: readonly NodeView[]): readonly NodeView[] {
  return CONDITIONS.flatMap((wanted) => views.filter(({ condition }) => condition === wanted));
}

function columnsOf({ head }: Cluster): readonly Column<NodeView>[] {
  const names = new Map(head.controllers.map(({ address, name }) => [address, name]));
  return [
    {
      title: "Node",
      width: "minmax(8rem, 1.2fr)",
      cell: ({ name }) => <a href={nodeHref(name)}>{name}</a>,
    },
    {
      title: "State",
      width: "minmax(8rem, 1fr)",
      cell: ({ condition }) => (
        <>
          <Stitch condition={condition} /> {CONDITION_WORDS[condition]}
        </>
      ),
    },
    {
      title: "Subnet",
      width: "minmax(9rem, 1.2fr)",
      cell: ({ lease }) => <span class="mono">{lease?.subnet ?? "none"}</span>,
    },
    {
      title: "Address",
      width: "minmax(8rem, 1fr)",
      cell: ({ lease }) => <span class="mono">{lease?.publicIp || lease?.publicIpv6}</span>,
    },
    {
      title: "Revision",
      width: "6rem",
      cell: ({ status }) => (status === undefined ? "" : count(status.applied)),
    },
    {
      title: "Stream",
      width: "minmax(6rem, 0.8fr)",
      cell: ({ status }) => (status === undefined ? "" : (names.get(status.controller) ?? "")),
    },
  ];
}
