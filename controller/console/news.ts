/**
 * Turns changes into the sentences of the console's event stream. Pure. Many of one kind at
 * once become one sentence: a thousand nodes that apply a revision are one piece of news.
 */
import type {
  ConsoleEvent,
  ConsoleHead,
  ConsoleLease,
  ConsoleNode,
} from "../../common/console/console-state.ts";

export type News = Omit<ConsoleEvent, "id" | "atMs">;

/** What became of one node or lease; undefined: it was not there, or is not any more. */
export interface Change<T> {
  readonly before: T | undefined;
  readonly after: T | undefined;
}

/** More of one kind than this at once are told as one. */
const MANY = 6;
const NAMED = 3;
/** A connection this young is news. */
const FRESH_MS = 20_000;

export function leaseNews(changes: readonly Change<ConsoleLease>[]): readonly News[] {
  return condense(
    changes.flatMap(({ before, after }) => {
      if (after === undefined) return before === undefined ? [] : [gone(before)];
      return [before === undefined ? appeared(after) : changed(before, after)];
    }),
    {
      "lease.appeared": "leases appeared",
      "lease.changed": "leases changed",
      "lease.gone": "leases went",
    },
  );
}

function appeared(lease: ConsoleLease): News {
  const at = lease.publicIp === "" ? lease.publicIpv6 : lease.publicIp;
  const text = `${lease.subnet} is ${holder(lease)}, reached at ${at}`;
  return { kind: "lease.appeared", tone: "plain", subject: subject(lease), text };
}

function changed(before: ConsoleLease, after: ConsoleLease): News {
  const text =
    before.node === after.node && before.publicIp === after.publicIp
      ? `${after.subnet}: its backend data changed`
      : `${after.subnet} is now ${holder(after)}, reached at ${after.publicIp}`;
  return { kind: "lease.changed", tone: "plain", subject: subject(after), text };
}

function gone(lease: ConsoleLease): News {
  const text = `${lease.subnet} was ${holder(lease)} and is free`;
  return { kind: "lease.gone", tone: "warn", subject: subject(lease), text };
}

function holder({ node, isReserved }: ConsoleLease): string {
  if (node !== "") return `${node}'s`;
  return isReserved ? "reserved" : "a flannel node's";
}

function subject({ node, key }: ConsoleLease): string {
  return node === "" ? key : node;
}

export function nodeNews(all: readonly Change<ConsoleNode>[], nowMs: number): readonly News[] {
  const changes = all.filter(({ before, after }) => before !== undefined || isFresh(after, nowMs));
  const each = changes.flatMap(({ before, after }) => [
    ...streamNews(before, after),
    ...(after === undefined ? [] : kernelNews(before, after)),
  ]);
  const one = condense(each, {
    "stream.opened": "nodes connected",
    "stream.closed": "nodes disconnected",
    "stream.moved": "nodes went to another controller",
    "kernel.failed": "nodes cannot program their kernels",
    "kernel.recovered": "nodes' kernels are as they should be again",
    "drift.repaired": "nodes repaired what somebody had changed",
  });
  return [...one, ...appliedNews(changes)];
}

/** A node that is heard of for the first time though it came long ago: another replica's. */
function isFresh(node: ConsoleNode | undefined, nowMs: number): boolean {
  return node !== undefined && nowMs - node.sinceMs < FRESH_MS;
}

function streamNews(before: ConsoleNode | undefined, after: ConsoleNode | undefined): News[] {
  const subject = (after ?? before)?.node ?? "";
  const told = (kind: string, tone: News["tone"], text: string): News[] => [
    { kind, tone, subject, text },
  ];
  if (after === undefined) {
    return told("stream.closed", "warn", `${subject} has no stream any more`);
  }
  if (before === undefined) {
    return told("stream.opened", "plain", `${subject} is connected to ${after.controller}`);
  }
  if (before.controller === after.controller) return [];
  return told(
    "stream.moved",
    "plain",
    `${subject} went from ${before.controller} to ${after.controller}`,
  );
}

function kernelNews(before: ConsoleNode | undefined, after: ConsoleNode): News[] {
  const news: News[] = [];
  const { node: subject } = after;
  const [failure] = after.failures;
  const hadFailed = (before?.failureCount ?? 0) > 0;
  if (failure !== undefined && !hadFailed) {
    const { kind, key, code, message } = failure;
    const text = `${subject} cannot program ${kind} ${key}: ${code} ${message}`;
    news.push({ kind: "kernel.failed", tone: "bad", subject, text });
  }
  if (failure === undefined && hadFailed) {
    const text = `${subject}'s kernel is as it should be again`;
    news.push({ kind: "kernel.recovered", tone: "good", subject, text });
  }
  const repaired = after.driftRepaired - (before?.driftRepaired ?? after.driftRepaired);
  if (repaired > 0) {
    const objects = repaired === 1 ? "a kernel object" : `${repaired} kernel objects`;
    const text = `${subject} put back ${objects} that somebody had changed`;
    news.push({ kind: "drift.repaired", tone: "warn", subject, text });
  }
  return news;
}

/** By revision, however few: "revision 12 is in the kernels of node1 and node2". */
function appliedNews(changes: readonly Change<ConsoleNode>[]): News[] {
  const byRevision = new Map<number, string[]>();
  for (const { before, after } of changes) {
    if (after === undefined || after.applied <= (before?.applied ?? 0)) continue;
    const names = byRevision.get(after.applied) ?? [];
    names.push(after.node);
    byRevision.set(after.applied, names);
  }
  return [...byRevision].map(([revision, nodes]) => {
    const where = nodes.length > NAMED ? `${nodes.length} kernels` : `the kernel of ${list(nodes)}`;
    const subject = nodes.length === 1 ? (nodes[0] ?? "") : "";
    const text = `revision ${revision} is in ${where}`;
    return { kind: "revision.applied", tone: "good", subject, text };
  });
}

export function headNews(before: ConsoleHead, after: ConsoleHead): readonly News[] {
  const news: News[] = [];
  const tell = (kind: string, tone: News["tone"], text: string): void => {
    news.push({ kind, tone, subject: "", text });
  };
  if (before.leader !== after.leader) {
    const [leader] = after.controllers;
    if (leader === undefined) tell("leader.changed", "bad", "nobody leads");
    else tell("leader.changed", "warn", `${leader.name} leads now`);
  }
  if (before.storeFault === "" && after.storeFault !== "") {
    tell("store.unavailable", "bad", `etcd does not answer: ${after.storeFault}`);
  }
  if (before.storeFault !== "" && after.storeFault === "") {
    tell("store.connected", "good", "etcd answers again");
  }
  if (before.configRevision !== after.configRevision) {
    const text = `the config of revision ${after.configRevision} is in force`;
    tell("config.accepted", "good", text);
  }
  const known = new Set(before.warnings.map(({ message }) => message));
  for (const { code, message } of after.warnings) {
    if (known.has(message) || code === "STORE_STALE" || code === "NO_LEADER") continue;
    tell(WARNING_KINDS[code] ?? "warning", "warn", message);
  }
  return news;
}

const WARNING_KINDS: Readonly<Record<string, string>> = {
  CONFIG_FAULTY: "config.rejected",
  KEY_MALFORMED: "record.malformed",
  CONTROLLER_SILENT: "controller.silent",
};

/** `words`: what is said of many, by kind. */
function condense(news: readonly News[], words: Readonly<Record<string, string>>): readonly News[] {
  return Object.entries(words).flatMap(([kind, of]) => {
    const same = news.filter((one) => one.kind === kind);
    const [first] = same;
    if (first === undefined || same.length <= MANY) return same;
    const { tone } = first;
    return [{ kind, tone, subject: "", text: `${same.length} ${of}` }];
  });
}

function list(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}
