/**
 * Puts what happens into the ring: the table by following the view, the streams by being told.
 * Telling costs a push; whether anybody watches makes no difference.
 */
import type { Clock } from "../../common/async/clock.ts";
import { leaseToWire } from "../../common/lease/lease-wire.ts";
import type { Ack, Report } from "../../proto/gen/twill/v1/fabric.ts";
import type { WatchEvent } from "../../proto/gen/twill/v1/inspect.ts";
import type { LeaseView, ViewChange } from "../view/lease-view.ts";
import { EventRing } from "./event-ring.ts";

export interface WatchFeedParts {
  readonly view: LeaseView;
  readonly clock: Pick<Clock, "wallMs">;
  /** "host:port" of the leader now; empty: nobody leads. */
  readonly leader: () => string;
}

export class WatchFeed {
  readonly ring = new EventRing();
  readonly #parts: WatchFeedParts;
  #leader: string;

  constructor(parts: WatchFeedParts) {
    this.#parts = parts;
    this.#leader = parts.leader();
  }

  /** Follows the view until the answer is called. */
  follow(): () => void {
    return this.#parts.view.onChange((change) => this.#changed(change));
  }

  stream(node: string, connected: boolean, reason: string): void {
    this.#push({ $case: "stream", value: { node, connected, reason } });
  }

  ack(node: string, { revision, applyMs, failures }: Ack): void {
    this.#push({ $case: "ack", value: { node, revision, applyMs, failures } });
  }

  report(node: string, { drift }: Report): void {
    for (const one of drift) this.#push({ $case: "drift", value: { node, drift: one } });
  }

  #changed({ change, config }: ViewChange): void {
    const { revision, upserts, removes } = change;
    for (const { lease } of upserts) {
      this.#push({ $case: "lease", value: { revision, lease: leaseToWire(lease), gone: false } });
    }
    for (const key of removes) {
      this.#push({ $case: "lease", value: { revision, lease: { ...NO_LEASE, key }, gone: true } });
    }
    if (config.kind === "accepted") {
      this.#push({ $case: "config", value: { revision, fault: "" } });
    }
    const leader = this.#parts.leader();
    if (leader === this.#leader) return;
    this.#leader = leader;
    this.#push({ $case: "leader", value: { leader } });
  }

  #push(event: WatchEvent["event"]): void {
    this.ring.push({ atMs: this.#parts.clock.wallMs(), event });
  }
}

const NO_LEASE = {
  ...{ key: "", publicIp: "", publicIpv6: "", node: "" },
  ...{ backendType: "", backendData: "", backendV6Data: "" },
} as const;
