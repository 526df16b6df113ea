/**
 * Stop-watches at both ends of a change: when a key appears in etcd or goes, and when each
 * node's kernel gets or loses a route. Both are told by the parts themselves (etcdctl watch,
 * ip monitor), not polled, so that times of a few milliseconds can be measured.
 */
import { systemClock } from "../../common/async/clock.ts";
import { LineProcess } from "./line-process.ts";
import type { Machine } from "./machine.ts";
import { until } from "./poll.ts";

export interface Sighting {
  /** Name of the machine that said it. */
  readonly where: string;
  readonly text: string;
  /** By the monotonic clock. */
  readonly atMs: number;
}

export class Stopwatch implements AsyncDisposable {
  readonly #seen: Sighting[] = [];
  readonly #processes: LineProcess[] = [];

  /** Route changes on these nodes, from now on. */
  watchRoutes(nodes: readonly Machine[]): void {
    for (const node of nodes) this.#follow(node, ["ip", "-o", "monitor", "route"]);
  }

  /** Changes below a key of etcd, asked on an etcd member or controller. */
  watchKeys(machine: Machine, prefix: string): void {
    this.#follow(machine, ["etcdctl", "watch", "--prefix", prefix]);
  }

  now(): number {
    return systemClock.monotonicMs();
  }

  /** The first line from that machine since `sinceMs` that matches. */
  async sighting(
    where: string,
    pattern: RegExp,
    sinceMs: number,
    deadlineMs: number,
  ): Promise<Sighting> {
    return until(`${where} says ${pattern}`, { deadlineMs, everyMs: 5 }, () =>
      this.#seen.find(
        (one) => one.where === where && one.atMs >= sinceMs && pattern.test(one.text),
      ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) await process[Symbol.asyncDispose]();
  }

  #follow(machine: Machine, argv: readonly string[]): void {
    const onLine = (text: string): void => {
      this.#seen.push({ where: machine.name, text, atMs: systemClock.monotonicMs() });
    };
    this.#processes.push(new LineProcess(machine.enter(argv), onLine, machine.env));
  }
}

/** A line of `ip monitor route` that adds (or changes) the route to the subnet. */
export function routeAdded(subnet: string): RegExp {
  return new RegExp(`^${subnet.replaceAll(".", "\\.")} `);
}

export function routeDeleted(subnet: string): RegExp {
  return new RegExp(`^Deleted ${subnet.replaceAll(".", "\\.")} `);
}
