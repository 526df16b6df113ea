/**
 * The catalogue of log events: stable identifiers that people alert on. docs/events.md is
 * made from this table. Transitions, not heartbeats; the first failure of a kind in full,
 * then a count, then one recovery line.
 */

export type Level = "error" | "warn" | "info" | "debug";

export interface EventSpec {
  readonly level: Level;
  /** What happened and what the fields say, for docs/events.md. */
  readonly meaning: string;
}

const event = (level: Level, meaning: string): EventSpec => ({ level, meaning });

export const EVENTS = {
  // process
  "process.started": event("info", "the daemon runs; version and options, secrets left out"),
  "process.reloading": event("info", "SIGHUP: certificates and revocation lists are read again"),
  "process.stopping": event(
    "info",
    "a signal or fatal error ends the daemon; the data plane stays",
  ),
  "process.stopped": event("info", "ordered shutdown is complete"),
  "process.failed": event("error", "the daemon cannot go on; code and message say why"),
  "admin.listening": event("info", "health, metrics and state are served by HTTP here"),
  "admin.failed": event("warn", "a page of the admin server could not be made"),
  "option.ignored": event("warn", "an option or variable has no effect; message says why"),
  "option.insecure": event("warn", "plaintext was asked for; said at every start"),
  "console.listening": event("info", "the web console is served here"),
  "server.listening": event("info", "the gRPC server accepts connections; address"),
  "tls.reloaded": event("info", "certificates or revocation lists changed and are in force; files"),
  "tls.unusable": event("error", "a TLS file cannot be used; what was read before stays in force"),
  "tls.overdue": event("warn", "the revocation list should have been replaced; it still counts"),
  "peer.distrusted": event(
    "warn",
    "a connection was ended because its certificate is revoked or has expired; nodes",
  ),
  "node.certified": event("info", "a node got a certificate from this controller; node, serial"),
  "peer.limited": event("warn", "a peer was held back; which limit, and who"),
  "event.suppressed": event("warn", "how many repeats of an event were left out of the log"),
  // controller: store and leadership
  "store.connected": event("info", "etcd answers (again)"),
  "store.unavailable": event("warn", "etcd does not answer; retried with back-off"),
  "watch.started": event("info", "watching the prefix from this revision"),
  "watch.interrupted": event("warn", "the watch ended and is opened again"),
  "table.loaded": event("info", "the lease table was read; leases, and how much history"),
  "watch.resynced": event("warn", "the table was listed again; upserts and removes it found"),
  "withdrawals.held": event(
    "warn",
    "a large share of the leases ended within seconds; nodes keep their routes until etcd confirms it",
  ),
  "withdrawals.passed": event(
    "info",
    "the storm is over and etcd has confirmed what was held; how many leases were withdrawn",
  ),
  "leadership.gained": event(
    "info",
    "this replica allocates; fencing_token is its key's create revision",
  ),
  "leadership.lost": event("warn", "this replica no longer allocates; reason"),
  "election.interrupted": event("warn", "a campaign or leadership ended; another campaign begins"),
  "leader.buried": event(
    "warn",
    "the leader's process is gone (its address refuses connections); its election key was ended",
  ),
  "leader.unburied": event("warn", "a dead leader's key could not be deleted; tried again"),
  "leader.changed": event("info", "another replica leads"),
  "config.accepted": event("info", "a valid network config is in force; revision"),
  "config.rejected": event(
    "error",
    "the config key holds an invalid value; problems; the last good one stays",
  ),
  "config.missing": event("warn", "etcd has no config key yet"),
  "rollout.waiting": event("info", "a change of backend waits for these nodes; phase"),
  "rollout.step": event("info", "a change of backend has gone on, is done, or is undone; step"),
  "config.warning": event("warn", "the config is valid but has a trap; message"),
  "config.ambiguous": event(
    "error",
    "real flannel reads this config otherwise than Twill, and such nodes are there; message",
  ),
  "record.malformed": event("warn", "a key or value below subnets/ is not a lease; skipped"),
  "table.diverged": event("error", "a list found what the watch had missed; healed"),
  // leases
  "lease.acquired": event("info", "a node got its subnet"),
  "lease.updated": event("info", "addresses or backend data of a lease changed in place"),
  "leases.nudged": event(
    "info",
    "a round of --nudge-interval is over; how many leases were put again",
  ),
  "lease.kept": event("debug", "a keep-alive was answered"),
  "lease.unkept": event("warn", "etcd did not take a keep-alive; it is tried again in time"),
  "lease.moved": event("warn", "a node's subnet changed; containers on the old one must move"),
  "lease.released": event("info", "a lease was given back"),
  "lease.unreleased": event("warn", "a lease could not be given back; it stays until it expires"),
  "lease.lost": event("error", "a lease ended under a live node"),
  "lease.refused": event("error", "a node's request was refused; code and message"),
  // streams
  "stream.opened": event("info", "an agent's stream began; resumed or snapshot"),
  "stream.closed": event("info", "an agent's stream ended; reason"),
  "stream.evicted": event("warn", "an agent that did not read or fell behind was cut off"),
  "stream.rejected": event("warn", "a stream was refused; code and message"),
  // agent
  "interface.selected": event("info", "the external interface and public addresses"),
  "interface.missing": event(
    "error",
    "no interface fits; what was tried and the way out; the last choice stays in force",
  ),
  "controller.connected": event("info", "the stream to a controller is up"),
  "controller.unreachable": event(
    "warn",
    "an attempt failed; the first of an outage, and again when the reason changes",
  ),
  "controller.lost": event("warn", "the stream ended; the data plane stays as it is"),
  "backend.refused": event("error", "this host cannot run the network's backend; reason"),
  "snapshot.applied": event("info", "a whole table was programmed; in sync"),
  "cache.loaded": event("warn", "started from the cached table; add-only until in sync"),
  "state.ignored": event("warn", "a file of the state directory cannot be used; reason"),
  "state.unwritable": event("warn", "a file of the state directory cannot be written"),
  "peer.invalid": event("warn", "a peer's lease cannot be used; the others are"),
  "reconcile.applied": event("info", "kernel objects were changed; counts by kind"),
  "reconcile.failed": event("warn", "the kernel refused objects; the first of a kind in full"),
  "reconcile.recovered": event("info", "what had failed is programmed now"),
  "drift.repaired": event(
    "warn",
    "somebody changed an object of ours; it is as it should be again",
  ),
  "link.created": event("info", "the backend's device was created"),
  "link.adopted": event("info", "an existing device fits and is used as it is"),
  "link.recreated": event("warn", "the backend's device was made anew"),
  "tunnel.opened": event("info", "the udp backend's packet loop runs; device and address"),
  "tunnel.failed": event(
    "warn",
    "the udp backend's packet loop could not start or has ended; it is tried again",
  ),
  "extension.ran": event("info", "a command of the extension backend succeeded; which, for whom"),
  "extension.failed": event(
    "warn",
    "a command of the extension backend failed or took too long; it is tried again",
  ),
  "rules.written": event("info", "packet-filter rules were written; which"),
  "rules.removed": event("info", "packet-filter rules of the mode not in use were removed; which"),
  "rules.left": event("warn", "packet-filter rules of the mode not in use could not be removed"),
  "link.unset": event("debug", "an optional setting of a device could not be made"),
  "link.removed": event("info", "a device of an earlier config was removed"),
  "drift.contested": event(
    "warn",
    "somebody keeps changing an object of ours; repairs of it are slowed down",
  ),
  "kernel.overrun": event("warn", "netlink events were lost; everything is read again"),
  "file.written": event("info", "subnet.env or another hand-off file was written"),
  "file.failed": event("error", "a hand-off file cannot be written; tried again"),
  "membership.joined": event("info", "this machine became the node by its token; until when"),
  "membership.renewed": event("info", "the node's certificate was made anew; until when"),
  "membership.failed": event(
    "warn",
    "no certificate could be had; tried again, the one there is stays in use",
  ),
  "agent.ready": event(
    "info",
    "programmed, in sync or from the cached table (message); containers may start",
  ),
  "cleanup.done": event("info", "everything of ours was removed"),
  "notify.failed": event("warn", "systemd could not be told"),
} as const satisfies Record<string, EventSpec>;

/** The table of docs/events.md. */
export function renderEventsTable(): string {
  const rows = Object.entries<EventSpec>(EVENTS).map(
    ([name, { level, meaning }]) =>
      `| \`${name}\` | ${level} | ${meaning.replaceAll("|", "\\|")} |`,
  );
  return ["| Event | Level | Meaning |", "|---|---|---|", ...rows, ""].join("\n");
}

export type EventName = keyof typeof EVENTS;
