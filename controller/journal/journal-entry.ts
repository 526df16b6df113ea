/**
 * One entry of the journal: who asked for what, when, and what each key was before and after.
 * Its own key's create revision is the revision of the change when both were written in one
 * transaction; an entry written afterwards says the revision itself. A live key keeps its
 * revision through compaction, and so does the journal.
 */
import { isJsonObject } from "../../common/config/json-fields.ts";
import type { Revision } from "../../common/lease/lease.ts";
import type { Entry } from "../store/store.ts";
import { JOURNAL } from "../view/keys.ts";

/** What happened, for people and for filters; docs/store.md has the table. */
export const JOURNAL_ACTIONS = {
  "lease.allocated": "a node got a subnet",
  "lease.updated": "a node's addresses or backend data changed on the same lease",
  "lease.claimed": "a node took the reservation made for it",
  "lease.taken-over": "a node took over the lease of the real flannel on the same machine",
  "lease.released": "a lease was given back",
  "lease.reserved": "a lease stays for ever, or a free subnet waits for a machine",
  "node.drained": "a node's lease ended, and it gets none until it is let in again",
  "node.undrained": "a drained node may take a lease again",
  "node.removed": "a node's lease ended and its record was deleted",
  "config.applied": "an administrator put another network config",
  "node.invited": "an administrator made a token by which a machine may become this node",
  "node.enrolled": "a machine became this node by its token",
  "backend.changing": "an administrator began to change the backend live; nodes prepare",
  "backend.switching": "every node is prepared; the config names the new backend",
  "backend.changed": "every node has left the old backend",
  "backend.returning": "the change of backend is undone; the note says why",
  "backend.unchanged": "the change of backend was given up; the note says why",
  "store.changed": "config or leases were changed without a controller: etcdctl, flannel, expiry",
} as const satisfies Record<string, string>;

export type JournalAction = keyof typeof JOURNAL_ACTIONS;

/** A key below subnets/, or config, as it stood. */
export interface KeyState {
  readonly value: string;
  /** No etcd lease: a reservation, or the config. */
  readonly forever: boolean;
}

export interface KeyChange {
  /** Relative to the prefix. */
  readonly key: string;
  /** undefined: it was not there. */
  readonly before: KeyState | undefined;
  readonly after: KeyState | undefined;
}

export interface JournalEntry {
  /** ISO 8601, UTC, by the clock of the controller that wrote it. */
  readonly at: string;
  /** Who asked: "node/a", "operator/alice", "controller/c1", OUTSIDE. */
  readonly by: string;
  readonly action: JournalAction;
  /** The node, subnet or other thing that it is about. */
  readonly subject: string;
  readonly changes: readonly KeyChange[];
  /** Said when it is not that of the entry's own key. */
  readonly revision?: Revision;
  /** What else there is to know, for people. */
  readonly note?: string;
}

/** An entry as it lies in the store. */
export interface WrittenEntry extends JournalEntry {
  readonly key: string;
  readonly revision: Revision;
}

/** Whoever changed the store past the controllers; etcd does not tell who. */
export const OUTSIDE = "outside";

export function encodeJournalEntry(entry: JournalEntry): string {
  return JSON.stringify(entry);
}

/** undefined: not an entry that this version can read. */
export function decodeJournalEntry(stored: Entry): WrittenEntry | undefined {
  if (!stored.key.startsWith(JOURNAL)) return undefined;
  const json = parsed(stored.value);
  if (!isJsonObject(json)) return undefined;
  const { at, by, action, subject, changes, revision, note } = json;
  if (typeof at !== "string" || typeof by !== "string" || typeof subject !== "string") {
    return undefined;
  }
  if (!isAction(action) || !Array.isArray(changes)) return undefined;
  return {
    key: stored.key,
    at,
    by,
    action,
    subject,
    changes: changes.flatMap(readChange),
    ...(typeof note === "string" ? { note } : {}),
    revision: typeof revision === "number" ? revision : stored.createRevision,
  };
}

/** Every readable entry of a listing, the oldest first. */
export function readJournal(entries: readonly Entry[]): readonly WrittenEntry[] {
  return entries
    .flatMap((entry) => decodeJournalEntry(entry) ?? [])
    .toSorted((a, b) => a.revision - b.revision || (a.key < b.key ? -1 : 1));
}

function isAction(text: unknown): text is JournalAction {
  return typeof text === "string" && Object.hasOwn(JOURNAL_ACTIONS, text);
}

function readChange(json: unknown): readonly KeyChange[] {
  if (!isJsonObject(json) || typeof json["key"] !== "string") return [];
  return [{ key: json["key"], before: readState(json["before"]), after: readState(json["after"]) }];
}

function readState(json: unknown): KeyState | undefined {
  if (!isJsonObject(json) || typeof json["value"] !== "string") return undefined;
  return { value: json["value"], forever: json["forever"] === true };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
