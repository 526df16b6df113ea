/** Every lease, with the time it runs: asked of etcd for the rows in sight. */
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { ConsoleLease } from "../../common/console/console-state.ts";
import { useEnds } from "../live/use-ends.ts";
import { nodeHref } from "../model/route.ts";
import { duration } from "../model/words.ts";
import { type Column, Table } from "./table.tsx";

const natural = new Intl.Collator("en", { numeric: true });

export function LeaseTable(props: {
  readonly leases: ReadonlyMap<string, ConsoleLease>;
}): JSX.Element {
  const { leases } = props;
  const rows = useMemo(
    () => [...leases.values()].sort((a, b) => natural.compare(a.key, b.key)),
    [leases],
  );
  const [shown, setShown] = useState<readonly string[]>([]);
  const ends = useEnds(shown);
  return (
    <Table
      label="Leases"
      rows={rows}
      columns={columnsOf(ends)}
      keyOf={({ key }) => key}
      empty="Nobody holds a lease."
      onShow={(visible) => {
        const keys = visible.map(({ key }) => key);
        if (keys.join() !== shown.join()) queueMicrotask(() => setShown(keys));
      }}
    />
  );
}

function columnsOf(ends: ReadonlyMap<string, number | null>): readonly Column<ConsoleLease>[] {
  return [
    {
      title: "Subnet",
      width: "minmax(9rem, 1.2fr)",
      cell: ({ subnet }) => <span class="mono">{subnet}</span>,
    },
    {
      title: "Held by",
      width: "minmax(8rem, 1.2fr)",
      cell: ({ node, isReserved }) =>
        node === "" ? (
          <span class="quiet">{isReserved ? "reserved" : "a flannel node"}</span>
        ) : (
          <a href={nodeHref(node)}>{node}</a>
        ),
    },
    {
      title: "Address",
      width: "minmax(8rem, 1fr)",
      cell: ({ publicIp, publicIpv6 }) => <span class="mono">{publicIp || publicIpv6}</span>,
    },
    {
      title: "Backend",
      width: "minmax(5rem, 0.6fr)",
      cell: ({ backendType }) => backendType || "none written",
    },
    {
      title: "Unless renewed, ends in",
      width: "minmax(9rem, 1fr)",
      cell: ({ key, isReserved }) => (isReserved ? "never" : endText(ends.get(key))),
    },
  ];
}

function endText(seconds: number | null | undefined): string {
  return seconds === undefined || seconds === null ? "" : duration(seconds);
}
