/** The whole page: who speaks, what is the matter, and one of two views below. */
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { useLive } from "../live/use-live.ts";
import { useRoute } from "../live/use-route.ts";
import type { Cluster } from "../model/cluster.ts";
import { type NodeView, nodeViews } from "../model/node-views.ts";
import { Headline } from "./headline.tsx";
import { LinkNotice } from "./link-notice.tsx";
import { Masthead } from "./masthead.tsx";
import { NodePage } from "./node-page.tsx";
import { Overview } from "./overview.tsx";

export function App(): JSX.Element {
  const { link, cluster } = useLive();
  const route = useRoute();
  const views = useMemo(
    () => (cluster === undefined ? [] : nodeViews(cluster)),
    [cluster?.nodes, cluster?.leases, cluster?.head],
  );
  return (
    <div class={link.kind === "lost" ? "page page-stale" : "page"}>
      <a class="skip" href="#main">
        To the content
      </a>
      <Masthead link={link} cluster={cluster} />
      <LinkNotice link={link} />
      <main id="main" tabIndex={-1}>
        {cluster === undefined ? (
          <p class="waiting">Asking {location.host} how the network is…</p>
        ) : (
          <Content
            cluster={cluster}
            views={views}
            node={route.kind === "node" ? route.node : undefined}
          />
        )}
      </main>
    </div>
  );
}

function Content(props: {
  readonly cluster: Cluster;
  readonly views: readonly NodeView[];
  readonly node: string | undefined;
}): JSX.Element {
  const { cluster, views, node } = props;
  if (node !== undefined) return <NodePage cluster={cluster} views={views} name={node} />;
  return (
    <>
      <Headline cluster={cluster} views={views} />
      <Overview cluster={cluster} views={views} />
    </>
  );
}
