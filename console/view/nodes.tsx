/** The nodes as a cloth of stitches, or as a table. */
import type { JSX } from "preact";
import { useCallback, useState } from "preact/hooks";
import { clothFor } from "../model/cloth.ts";
import type { Cluster } from "../model/cluster.ts";
import {
  CONDITION_WORDS,
  CONDITIONS,
  countConditions,
  type NodeView,
} from "../model/node-views.ts";
import { nodeHref } from "../model/route.ts";
import { count, plural } from "../model/words.ts";
import type { Brush } from "./brush.ts";
import { NodeTable } from "./node-table.tsx";
import { Panel } from "./panel.tsx";
import { Picture } from "./picture.tsx";
import { Stitch } from "./stitch.tsx";
import { drawStitches } from "./stitches.ts";

export function Nodes(props: {
  readonly cluster: Cluster;
  readonly views: readonly NodeView[];
}): JSX.Element {
  const { cluster, views } = props;
  const [pointed, setPointed] = useState<number | undefined>();
  const draw = useCallback((brush: Brush) => drawStitches(brush, views), [views]);
  const at = pointed === undefined ? undefined : views[pointed];
  const picture = (): JSX.Element => (
    <>
      <Picture
        label={`${plural(views.length, "node")}; arrow keys walk, Enter opens`}
        count={views.length}
        clothFor={(width) => clothFor(views.length, width)}
        draw={draw}
        describe={(index) => describe(views[index])}
        onOpen={(index) => open(views[index])}
        onPoint={setPointed}
      />
      <p class="caption" aria-hidden="true">
        {at === undefined ? <Legend views={views} /> : describe(at)}
      </p>
    </>
  );
  return (
    <Panel
      title="Nodes"
      summary={views.length === 0 ? "none yet" : count(views.length)}
      picture={picture}
      table={() => <NodeTable cluster={cluster} views={views} />}
    />
  );
}

function open(view: NodeView | undefined): void {
  if (view !== undefined) location.hash = nodeHref(view.name);
}

function describe(view: NodeView | undefined): string {
  if (view === undefined) return "";
  const { name, condition, reason, lease, behind } = view;
  const lag = behind > 0 ? ` by ${plural(behind, "revision")}` : "";
  const why = reason === "" ? "" : `: ${reason}`;
  return `${name}, ${lease?.subnet ?? "no lease"}, ${CONDITION_WORDS[condition]}${lag}${why}`;
}

function Legend({ views }: { readonly views: readonly NodeView[] }): JSX.Element {
  const counts = countConditions(views);
  const shown = CONDITIONS.filter((condition) => counts[condition] > 0);
  return (
    <>
      {shown.map((condition) => (
        <span key={condition} class="legend">
          <Stitch condition={condition} />
          {count(counts[condition])} {CONDITION_WORDS[condition]}
        </span>
      ))}
    </>
  );
}
