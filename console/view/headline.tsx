/** The state of the cluster as a sentence, with the warnings that need somebody. */
import type { JSX } from "preact";
import type { Cluster } from "../model/cluster.ts";
import { headlineOf } from "../model/headline.ts";
import type { NodeView } from "../model/node-views.ts";
import { plural } from "../model/words.ts";

export function Headline(props: {
  readonly cluster: Cluster;
  readonly views: readonly NodeView[];
}): JSX.Element {
  const { cluster, views } = props;
  const { tone, text, more } = headlineOf(cluster, views);
  const { warnings } = cluster.head;
  return (
    <section class="headline" aria-label="State">
      <div role="status">
        <h1 class={`sentence sentence-${tone}`}>{text}</h1>
        {more !== "" && <p class="sentence-more">{more}</p>}
      </div>
      {warnings.length > 0 && (
        <ul class="warnings">
          {warnings.map(({ code, message }) => (
            <li key={`${code} ${message}`}>
              <span class="mono code">{code}</span> {message}
            </li>
          ))}
        </ul>
      )}
      <Controllers cluster={cluster} />
    </section>
  );
}

function Controllers({ cluster }: { readonly cluster: Cluster }): JSX.Element | null {
  const { controllers, leader } = cluster.head;
  if (controllers.length === 0) return null;
  const streams = new Map<string, number>();
  for (const { controller } of cluster.nodes.values()) {
    streams.set(controller, (streams.get(controller) ?? 0) + 1);
  }
  return (
    <ul class="controllers" aria-label="Controllers">
      {controllers.map(({ name, address, fault, isAsked }) => (
        <li key={address} class={fault === "" ? "controller" : "controller controller-silent"}>
          <span class="controller-name">{name}</span>
          {address === leader && <span class="leads">leads</span>}
          <span class="controller-does">
            {fault !== ""
              ? "silent"
              : isAsked
                ? plural(streams.get(address) ?? 0, "node")
                : "follows"}
          </span>
        </li>
      ))}
    </ul>
  );
}
