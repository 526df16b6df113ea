/**
 * From etcd's watch responses to change sets; pure. Holds the only state a watch has to
 * resume from: the last revision that was delivered whole. It never moves by a response's
 * header on `created` or with events, because etcd puts its *current* revision there while a
 * catch-up is still thousands of revisions behind (that is how etcd3 loses events).
 */
import type { IEvent, IWatchResponse } from "etcd3";
import type { Revision } from "../../common/lease/lease.ts";
import type { EtcdKeys } from "./etcd-keys.ts";
import type { ChangeSet, Entry } from "./store.ts";

interface Group {
  readonly puts: Entry[];
  readonly deletes: string[];
}

export class WatchFold {
  readonly #keys: EtcdKeys;
  #last: Revision;
  #fragments: IEvent[] = [];

  constructor(keys: EtcdKeys, after: Revision) {
    this.#keys = keys;
    this.#last = after;
  }

  /** Everything up to here was delivered, or is not in the range. */
  get last(): Revision {
    return this.#last;
  }

  /** A new stream begins: fragments of the old one are sent again. */
  restart(): void {
    this.#fragments = [];
  }

  /** Change sets in order, each revision once, whatever the stream repeats. */
  accept(response: IWatchResponse): readonly ChangeSet[] {
    const events = this.#fragments.concat(response.events);
    if (response.fragment) {
      this.#fragments = events;
      return [];
    }
    this.#fragments = [];
    // A progress notification: etcd has sent all there is up to this revision.
    if (events.length === 0 && !response.created && !response.canceled) {
      this.#last = Math.max(this.#last, Number(response.header.revision));
    }
    const changes = this.#group(events.filter((e) => Number(e.kv.mod_revision) > this.#last));
    this.#last = changes.at(-1)?.revision ?? this.#last;
    return changes;
  }

  #group(events: readonly IEvent[]): readonly ChangeSet[] {
    const groups = new Map<Revision, Group>();
    for (const event of events) {
      const revision = Number(event.kv.mod_revision);
      const group = groups.get(revision) ?? { puts: [], deletes: [] };
      groups.set(revision, group);
      if (event.type === "Delete") group.deletes.push(this.#keys.relative(event.kv.key));
      else group.puts.push(this.#keys.entry(event.kv));
    }
    return [...groups]
      .sort(([a], [b]) => a - b)
      .map(([revision, { puts, deletes }]) => ({
        revision,
        puts: puts.sort((a, b) => (a.key < b.key ? -1 : 1)),
        deletes: deletes.sort(),
      }));
  }
}
