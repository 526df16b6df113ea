/** One node: what it holds, how far its kernel is, what it cannot do, and its peers. */
import type { JSX } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { useEnds } from "../live/use-ends.ts";
import type { Cluster } from "../model/cluster.ts";
import { CONDITION_WORDS, type NodeView } from "../model/node-views.ts";
import { count, duration, plural } from "../model/words.ts";
import { Events } from "./events.tsx";
import { Peers } from "./peers.tsx";
import { Stitch } from "./stitch.tsx";

export interface NodePageProps {
  readonly cluster: Cluster;
  readonly views: readonly NodeView[];
  readonly name: string;
}

export function NodePage({ cluster, views, name }: NodePageProps): JSX.Element {
  const view = views.find((one) => one.name === name);
  const title = useRef<HTMLHeadingElement>(null);
  // Who came by keyboard goes on reading here.
  useEffect(() => title.current?.focus(), [name]);
  const events = useMemo(
    () => cluster.events.filter((event) => event.subject === name),
    [cluster.events, name],
  );
  return (
    <article class="node">
      <p class="back">
        <a href="#/">All nodes</a>
      </p>
      <h1 ref={title} tabIndex={-1} class="node-name">
        {view !== undefined && <Stitch condition={view.condition} />}
        {name}
      </h1>
      {view === undefined ? (
        <p class="node-state">No node of this name holds a lease or a stream.</p>
      ) : (
        <>
          <p class={`node-state state-${view.condition}`} role="status">
            {stateText(view, cluster)}
          </p>
          <div class="overview">
            <div class="pictures">
              <Facts view={view} cluster={cluster} />
              <Failures view={view} />
              <Peers view={view} cluster={cluster} />
            </div>
            <Events events={events} nodes={new Map()} />
          </div>
        </>
      )}
    </article>
  );
}

function stateText(view: NodeView, { head }: Cluster): string {
  const { condition, behind, reason, status } = view;
  if (condition === "ready")
    return `Its kernel holds revision ${count(head.revision)}, the newest.`;
  if (condition === "behind") {
    const applied = count(status?.applied ?? 0);
    return `Its kernel holds revision ${applied}, ${plural(behind, "revision")} behind${reason === "" ? "" : `: ${reason}`}.`;
  }
  return `${CONDITION_WORDS[condition][0]?.toUpperCase()}${CONDITION_WORDS[condition].slice(1)}: ${reason}.`;
}

function Facts({
  view,
  cluster,
}: {
  readonly view: NodeView;
  readonly cluster: Cluster;
}): JSX.Element {
  const { lease, status } = view;
  const ends = useEnds(lease === undefined ? [] : [lease.key]);
  const end = lease === undefined ? undefined : ends.get(lease.key);
  const serving = cluster.head.controllers.find(({ address }) => address === status?.controller);
  const since = status === undefined ? undefined : (cluster.atMs - status.sinceMs) / 1000;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["Subnet", lease?.subnet],
    ["Address", [lease?.publicIp, lease?.publicIpv6].filter(Boolean).join(" ")],
    ["Backend", lease?.backendType],
    ["Backend data", lease?.backendData],
    [
      "Lease ends in",
      end === undefined || end === null ? undefined : `${duration(end)} unless renewed`,
    ],
    ["Lease revision", lease === undefined ? undefined : count(lease.revision)],
    [
      "Stream",
      serving === undefined ? status?.controller : `${serving.name}, from ${status?.address}`,
    ],
    ["Connected for", since === undefined ? undefined : duration(since)],
    ["Sent to it", status === undefined ? undefined : `revision ${count(status.sent)}`],
    ["In its kernel", status === undefined ? undefined : `revision ${count(status.applied)}`],
    ["Drift repaired", status === undefined ? undefined : plural(status.driftRepaired, "object")],
    ["Says of itself", status?.state],
    ["Version", status?.version],
  ];
  return (
    <section class="panel" aria-label="Facts">
      <dl class="facts">
        {facts
          .filter(([, value]) => value !== undefined && value !== "")
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd class={/^[\d.:/{ a-f]+/.test(value ?? "") ? "mono" : ""}>{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  );
}

function Failures({ view }: { readonly view: NodeView }): JSX.Element | null {
  const { status } = view;
  if (status === undefined || status.failureCount === 0) return null;
  return (
    <section class="panel" aria-label="What its kernel refuses">
      <h2>What its kernel refuses</h2>
      <ul class="failures">
        {status.failures.map(({ kind, key, code, message }) => (
          <li key={`${kind} ${key}`}>
            <span class="mono">
              {kind} {key}
            </span>{" "}
            {code} {message}
          </li>
        ))}
      </ul>
      {status.failureCount > status.failures.length && (
        <p class="quiet">and {count(status.failureCount - status.failures.length)} more</p>
      )}
    </section>
  );
}
