/** The nodes whose streams are served here, as operators see them: sent and applied apart. */
import type { NodeStatus } from "../../proto/gen/twill/v1/operator.ts";
import type { Hub } from "./hub.ts";
import type { Subscriber } from "./subscriber.ts";

export function nodeStatuses(hub: Hub, nowMs: number): readonly NodeStatus[] {
  return [...hub.subscribers].map((subscriber) => nodeStatus(subscriber, nowMs));
}

function nodeStatus(subscriber: Subscriber, nowMs: number): NodeStatus {
  const { node, version, address, report } = subscriber;
  return {
    node,
    version,
    address,
    sentRevision: subscriber.sentRevision,
    appliedRevision: subscriber.applied?.revision ?? 0,
    failures: [...subscriber.failures],
    state: report.state,
    reason: report.reason,
    driftRepaired: subscriber.driftRepaired,
    connectedSeconds: Math.floor((nowMs - subscriber.sinceMs) / 1000),
  };
}
