/**
 * Judges a whole history of the store, revision by revision, by the rules of the promise:
 * who may write, and what the leases may never look like. It reads keys and values as any
 * operator would, and who wrote them from what the network saw.
 */
import { publicIpOf } from "../../../common/lease/lease.ts";
import { decodeLeaseValue } from "../../../common/lease/lease-json.ts";
import { parseSubnetKey } from "../../../common/lease/subnet-key.ts";
import { overlaps } from "../../../common/net/cidr.ts";
import { formatIp } from "../../../common/net/ip.ts";
import type { ChangeSet, Entry } from "../../../controller/store/store.ts";
import type { Author, Ledgers } from "./simulated-link.ts";

const SUBNETS = "subnets/";
const NODES = "twill/nodes/";
const ELECTION = "twill/election/";

/** A node was told that it holds a lease: the key, and the store's revision at that time. */
export interface Told {
  readonly node: string;
  readonly key: string;
  readonly revision: number;
}

export interface History {
  readonly changes: readonly ChangeSet[];
  /** When each revision was made. */
  readonly atMs: ReadonlyMap<number, number>;
  /** From then on no call is late and no answer lost. */
  readonly fairFromMs: number;
  readonly ledgers: Ledgers;
  readonly told: readonly Told[];
}

/** What was done against the rules, in words; empty: nothing. */
export function violations(history: History): string[] {
  const judge = new Judge(history);
  for (const change of history.changes) judge.take(change);
  return judge.found;
}

class Judge {
  readonly found: string[] = [];
  readonly #history: History;
  readonly #live = new Map<string, Entry>();
  /** Node -> the subnets key it had last, as long as it has not given it back. */
  readonly #last = new Map<string, string>();

  /** Subnets key -> the election key under which it was written. */
  readonly #term = new Map<string, string | undefined>();

  constructor(history: History) {
    this.#history = history;
  }

  take(change: ChangeSet): void {
    const author = this.#history.ledgers.authors.get(change.revision);
    const leases = [...change.puts.map(({ key }) => key), ...change.deletes].filter(
      (key) => key.startsWith(SUBNETS) || key.startsWith(NODES),
    );
    if (author !== undefined && leases.length > 0) {
      if (author.by === "transaction") this.#checkLeader(change, author);
      for (const key of change.deletes) this.#checkDelete(change, key, author);
      for (const entry of change.puts) this.#checkPut(change, entry);
    }
    for (const key of change.deletes) this.#live.delete(key);
    for (const entry of change.puts) this.#live.set(entry.key, entry);
    if (leases.length > 0) this.#checkTable(change);
  }

  /** Only who held the oldest election key may have written leases. */
  #checkLeader({ revision }: ChangeSet, { process }: Author): void {
    const leader = this.#leader();
    const owner = leader === undefined ? "nobody" : this.#history.ledgers.candidacies.get(leader);
    if (owner !== process) this.#say(revision, `${process} wrote while ${owner} led`);
  }

  /** The oldest election key. */
  #leader(): string | undefined {
    return [...this.#live.values()]
      .filter(({ key }) => key.startsWith(ELECTION))
      .sort((a, b) => a.createRevision - b.createRevision)
      .at(0)?.key;
  }

  #checkDelete({ revision }: ChangeSet, key: string, { process, by }: Author): void {
    const was = this.#live.get(key);
    if (!key.startsWith(SUBNETS) || was === undefined) return;
    if (by === "transaction") this.#last.delete(ownerOf(was));
    if (was.etcdLease === "0") this.#say(revision, `${process} deleted the reservation ${key}`);
    if (isForeign(was)) this.#say(revision, `${process} deleted the foreign lease ${key}`);
    const wasTold = this.#history.told.some(
      (told) => told.key === key && told.revision >= was.modRevision && told.revision < revision,
    );
    // A leader that is deposed cannot recall a revocation that is under way; the next one may
    // have told the node of the lease meanwhile. Its keep-alive finds out and claims it again.
    const isSameTerm = this.#term.get(key) === this.#leader();
    if (by === "revocation" && wasTold && isSameTerm) {
      this.#say(revision, `${process} revoked ${key}, which a node had been told it holds`);
    }
  }

  #checkPut({ revision, deletes }: ChangeSet, entry: Entry): void {
    if (!entry.key.startsWith(SUBNETS)) return;
    const was = this.#live.get(entry.key);
    const [owner, before] = [ownerOf(entry), was === undefined ? "" : ownerOf(was)];
    if (was !== undefined && isForeign(was)) this.#say(revision, `wrote over foreign ${entry.key}`);
    if (before !== "" && before !== owner) {
      this.#say(revision, `${entry.key} went from ${before} to ${owner} without being free`);
    }
    if (was?.etcdLease === "0" && entry.etcdLease !== "0") {
      this.#say(revision, `the reservation ${entry.key} was given an end`);
    }
    const last = this.#last.get(owner);
    const isFree = last !== undefined && !deletes.includes(last) && !this.#live.has(last);
    // Before that, a leader may not know yet, or have an unanswered write for somebody there.
    const isFair = (this.#history.atMs.get(revision) ?? 0) >= this.#history.fairFromMs;
    if (was === undefined && isFree && isFair && last !== entry.key) {
      this.#say(revision, `${owner} got ${entry.key}, though its last subnet ${last} was free`);
    }
    this.#last.set(owner, entry.key);
    this.#term.set(entry.key, this.#leader());
  }

  /** No overlap, and no two leases of one machine. */
  #checkTable({ revision }: ChangeSet): void {
    const rows = [...this.#live.values()].filter(({ key }) => key.startsWith(SUBNETS));
    rows.forEach((a, index) => {
      for (const b of rows.slice(index + 1)) {
        if (keysOverlap(a.key, b.key)) this.#say(revision, `${a.key} and ${b.key} overlap`);
        if (ownerOf(a) === ownerOf(b)) {
          this.#say(revision, `${ownerOf(a)} holds both ${a.key} and ${b.key}`);
        }
      }
    });
  }

  #say(revision: number, what: string): void {
    this.found.push(`revision ${revision}: ${what}`);
  }
}

/** The public address it advertises. */
function ownerOf(entry: Entry): string {
  const value = decodeLeaseValue(entry.value);
  const ip = value.kind === "malformed" ? undefined : publicIpOf(value.attrs, 4);
  return ip === undefined ? "" : formatIp(ip);
}

/** Simulated foreign machines have addresses of their own range. */
function isForeign(entry: Entry): boolean {
  return ownerOf(entry).startsWith("10.98.");
}

function keysOverlap(a: string, b: string): boolean {
  const [one, other] = [a, b].map((key) => parseSubnetKey(key.slice(SUBNETS.length))?.v4);
  return one !== undefined && other !== undefined && overlaps(one, other);
}
