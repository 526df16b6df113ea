/** Which events the reader wants to see: a group, and words that must all be there. Pure. */
import type { ConsoleEvent } from "../../common/console/console-state.ts";

export const EVENT_GROUPS = ["all", "leases", "nodes", "kernels", "controllers"] as const;
export type EventGroup = (typeof EVENT_GROUPS)[number];

export interface EventFilter {
  readonly group: EventGroup;
  readonly words: string;
}

export const ALL_EVENTS: EventFilter = { group: "all", words: "" };

const GROUPS: Readonly<Record<string, EventGroup>> = {
  lease: "leases",
  record: "leases",
  stream: "nodes",
  revision: "kernels",
  kernel: "kernels",
  drift: "kernels",
  leader: "controllers",
  controller: "controllers",
  store: "controllers",
  config: "controllers",
};

export function groupOf({ kind }: ConsoleEvent): EventGroup {
  return GROUPS[kind.split(".")[0] ?? ""] ?? "controllers";
}

export function filterEvents(
  events: readonly ConsoleEvent[],
  { group, words }: EventFilter,
): readonly ConsoleEvent[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return events.filter((event) => {
    if (group !== "all" && groupOf(event) !== group) return false;
    const text = `${event.kind} ${event.subject} ${event.text}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}
