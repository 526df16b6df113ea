/**
 * Events of all controllers as one line each. Every replica sees the table, so what is said
 * twice is told once. Pure but for what it remembers.
 */
import type { LeaseEvent, WatchEvent } from "../../proto/gen/twill/v1/inspect.ts";

/** Replicas are some milliseconds apart, not thousands of events. */
const REMEMBERED = 4096;

export class WatchLines {
  #told = new Set<string>();

  /** undefined: another controller has told it already. */
  line(event: WatchEvent): string | undefined {
    const words = describe(event.event);
    if (words === undefined) return undefined;
    if (SHARED.has(event.event?.$case ?? "")) {
      if (this.#told.has(words)) return undefined;
      if (this.#told.size >= REMEMBERED) this.#told = new Set();
      this.#told.add(words);
    }
    return `${new Date(event.atMs).toISOString()}  ${words}`;
  }
}

/** Kinds that every replica tells; their words name the revision, or what is so now. */
const SHARED: ReadonlySet<string> = new Set(["lease", "config"]);

function describe(event: WatchEvent["event"]): string | undefined {
  switch (event?.$case) {
    case "lease":
      return line("lease", leaseWords(event.value));
    case "config": {
      const { revision, fault } = event.value;
      return line("config", fault === "" ? `revision ${revision} is in force` : fault);
    }
    case "leader":
      return line("leader", event.value.leader === "" ? "nobody leads" : event.value.leader);
    case "stream": {
      const { node, connected, reason } = event.value;
      return line("stream", `${node} ${connected ? "is connected" : "has gone"}: ${reason}`);
    }
    case "ack": {
      const { node, revision, applyMs, failures } = event.value;
      const failed = failures.length === 0 ? "" : `, ${failures.length} failures`;
      return line("ack", `${node} has applied revision ${revision} in ${applyMs} ms${failed}`);
    }
    case "drift": {
      const { node, drift } = event.value;
      const found = drift?.found === "" ? "missing" : (drift?.found ?? "");
      return line("drift", `${node} repaired ${drift?.kind} ${drift?.key}, which was ${found}`);
    }
    case undefined:
      return undefined;
  }
}

function leaseWords({ lease, revision, gone }: LeaseEvent): string {
  const { key = "", node = "", publicIp = "", publicIpv6 = "" } = lease ?? {};
  if (gone) return `${key} is gone, revision ${revision}`;
  const holder = node === "" ? "nobody of Twill's" : node;
  const at = [publicIp, publicIpv6].filter((ip) => ip !== "").join(" ");
  return `${key} of ${holder} at ${at}, revision ${revision}`;
}

function line(kind: string, words: string): string {
  return `${kind.padEnd(7)} ${words}`;
}
