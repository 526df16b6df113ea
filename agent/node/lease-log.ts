/** What happens to this node's lease, for log and health; refusals loudly, with what follows. */
import type { HealthComponent } from "../../common/health.ts";
import type { Logger } from "../../common/log.ts";
import type { LeaseNews } from "../lease/lease-holder.ts";
import type { Refused, Registered } from "../rpc/controller-message.ts";

export class LeaseLog {
  readonly #log: Logger;
  readonly #health: HealthComponent;

  constructor(log: Logger, health: HealthComponent) {
    this.#log = log;
    this.#health = health;
  }

  registered(answer: Registered, news: LeaseNews, before: string | undefined): void {
    const { lease, ttlSeconds, reused } = answer;
    const fields = { subnet: lease.key, ttl_s: ttlSeconds, reused };
    this.#health.ok();
    if (news === "acquired") {
      const how = reused ? "as before" : "newly";
      this.#log.event("lease.acquired", `this node holds ${lease.key}, ${how}`, fields);
    } else if (news === "renumbered") {
      const message =
        `this node's subnet is ${lease.key} now, no longer ${before ?? "?"}: containers on the ` +
        "old subnet are cut off until they are started again, bridges until they are made anew";
      this.#log.event("lease.moved", message, { ...fields, before });
    } else {
      this.#log.event("lease.kept", `a controller confirmed ${lease.key}`, fields);
    }
  }

  refused({ code, message, retryAfterMs }: Refused): void {
    const next = retryAfterMs === 0 ? "after a change" : `in ${Math.ceil(retryAfterMs / 1000)} s`;
    this.#health.degraded(`refused: ${message}`);
    this.#log.event("lease.refused", `${message} (asked again ${next})`, { key: code, code });
  }

  lost(subnet: string): void {
    this.#health.degraded(`lost ${subnet}, asked for again`);
    const message = `the lease ${subnet} ended under this node; the data plane stays, it is asked for again`;
    this.#log.event("lease.lost", message, { subnet });
  }
}
