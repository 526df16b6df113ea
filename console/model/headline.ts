/** The state of the cluster in one sentence, and how worrying it is. Pure. */
import type { Cluster } from "./cluster.ts";
import { type Counts, countConditions, type NodeView } from "./node-views.ts";
import { count, plural } from "./words.ts";

export interface Headline {
  readonly tone: "calm" | "attention" | "trouble";
  readonly text: string;
  /** What adds to it; "" when there is nothing. */
  readonly more: string;
}

export function headlineOf(cluster: Cluster, views: readonly NodeView[]): Headline {
  const counts = countConditions(views);
  const more = facts(counts, views.length);
  if (cluster.head.storeFault !== "") {
    const text = "etcd does not answer; packets flow by what the kernels hold";
    return { tone: "trouble", text, more };
  }
  if (cluster.head.leader === "") {
    const text = "Nobody leads: running nodes go on, new ones wait";
    return { tone: "trouble", text, more };
  }
  const { revision } = cluster.head;
  if (views.length === 0) {
    const text = "No node has joined yet";
    return { tone: "calm", text, more: `Revision ${count(revision)}.` };
  }
  if (counts.ready === views.length) {
    const who = views.length === 1 ? "The one node holds" : `All ${count(views.length)} nodes hold`;
    return { tone: "calm", text: `${who} revision ${count(revision)}`, more: "" };
  }
  const known = views.length - counts.unseen;
  const tone = counts.failing + counts.lost > 0 ? "trouble" : "attention";
  const text = `${count(counts.ready)} of ${plural(known, "node")} hold revision ${count(revision)}`;
  return { tone, text, more };
}

function facts(counts: Counts, total: number): string {
  if (counts.ready === total) return "";
  const said = [
    counts.failing > 0 ? `${count(counts.failing)} cannot program their kernel` : "",
    counts.lost > 0 ? `${count(counts.lost)} without a stream` : "",
    counts.behind > 0 ? `${count(counts.behind)} behind` : "",
    counts.unseen > 0 ? `${count(counts.unseen)} not seen from here` : "",
  ].filter((text) => text !== "");
  return said.length === 0 ? "" : `${said.join(", ")}.`;
}
