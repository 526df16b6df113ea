/**
 * What every Store does, as one suite. test/contract/store.test.ts runs it against the memory
 * store and a real etcd, so what the unit tests assume of the store is what etcd does.
 */
import assert from "node:assert/strict";
import { getEventListeners, setMaxListeners } from "node:events";
import { describe, it } from "node:test";
import { TwillError } from "../../common/errors.ts";
import { NO_ETCD_LEASE, type Revision } from "../../common/lease/lease.ts";
import type { ChangeSet, Compare, Store, Write } from "../../controller/store/store.ts";
import { until } from "./until.ts";

/** A store with an empty prefix, and what an operator can do to it from outside. */
export interface StoreUnderTest extends AsyncDisposable {
  readonly store: Store;
  compact(revision: Revision): Promise<void>;
  /** Lets time pass until an etcd lease of `seconds` without keep-alive is surely gone. */
  outlast(seconds: number): Promise<void>;
}

export const TEST_TIMEOUT_MS = 30_000;

export function put(key: string, value: string, etcdLease = NO_ETCD_LEASE): Write {
  return { op: "put", key, value, etcdLease };
}

/** Commits writes without a condition; answers the revision. */
export async function write(
  store: Store,
  writes: readonly Write[],
  compares: readonly Compare[] = [],
): Promise<Revision> {
  const signal = AbortSignal.timeout(TEST_TIMEOUT_MS);
  const outcome = await store.transact({ compares, writes, onConflict: [] }, signal);
  assert.equal(outcome.kind, "committed");
  return outcome.revision;
}

/** The first `count` change sets of a watch; closes it. */
export async function take(
  changes: AsyncIterable<ChangeSet>,
  count: number,
): Promise<readonly ChangeSet[]> {
  const taken: ChangeSet[] = [];
  for await (const change of changes) {
    taken.push(change);
    if (taken.length >= count) break;
  }
  return taken;
}

export const codeOf = (error: unknown): string => TwillError.from(error).code;

/** A deadline that hundreds of calls wait on at once, which is no leak. */
export function sharedSignal(timeoutMs = 10 * TEST_TIMEOUT_MS): AbortSignal {
  const signal = AbortSignal.timeout(timeoutMs);
  setMaxListeners(0, signal);
  return signal;
}

export function storeContract(name: string, open: () => Promise<StoreUnderTest>): void {
  const signal = sharedSignal();

  describe(`${name} as a store: keys`, () => {
    it("lists an empty prefix with the revision it is empty at", async () => {
      await using test = await open();
      const listing = await test.store.list("", { signal });
      assert.deepEqual(listing.entries, []);
      assert.ok(listing.revision >= 1);
    });

    it("creates a key that did not exist and names the revision that made it", async () => {
      await using test = await open();
      const compares = [{ key: "subnets/10.5.1.0-24", createRevision: 0 }];
      const revision = await write(test.store, [put("subnets/10.5.1.0-24", "{}")], compares);
      const listing = await test.store.list("subnets/", { signal });
      assert.deepEqual(listing, {
        revision,
        entries: [
          {
            key: "subnets/10.5.1.0-24",
            value: "{}",
            createRevision: revision,
            modRevision: revision,
            etcdLease: NO_ETCD_LEASE,
          },
        ],
      });
    });

    it("keeps the create revision of a key that is put again", async () => {
      await using test = await open();
      const created = await write(test.store, [put("config", "1")]);
      const changed = await write(test.store, [put("config", "2")]);
      const { entries } = await test.store.list("config", { signal });
      assert.deepEqual(
        entries.map((entry) => [entry.value, entry.createRevision, entry.modRevision]),
        [["2", created, changed]],
      );
    });

    it("gives a key that was deleted and put again a new create revision", async () => {
      await using test = await open();
      await write(test.store, [put("config", "1")]);
      await write(test.store, [{ op: "delete", key: "config" }]);
      const again = await write(test.store, [put("config", "1")]);
      const { entries } = await test.store.list("config", { signal });
      assert.equal(entries[0]?.createRevision, again);
    });

    it("takes a range as a plain key prefix and answers in key order", async () => {
      await using test = await open();
      const keys = ["subnets/b", "subnets/a", "subnets-foo", "subnets", "config", "subnets/a&b"];
      for (const key of keys) await write(test.store, [put(key, key)]);
      const listed = async (range: string): Promise<readonly string[]> =>
        (await test.store.list(range, { signal })).entries.map((entry) => entry.key);
      assert.deepEqual(await listed("subnets/"), ["subnets/a", "subnets/a&b", "subnets/b"]);
      assert.deepEqual(await listed("subnets"), [
        "subnets",
        "subnets-foo",
        "subnets/a",
        "subnets/a&b",
        "subnets/b",
      ]);
      assert.equal((await listed("")).length, keys.length);
    });

    it("lists as of an earlier revision", async () => {
      await using test = await open();
      const before = await write(test.store, [put("a", "old"), put("b", "b")]);
      await write(test.store, [put("a", "new"), { op: "delete", key: "b" }, put("c", "c")]);
      const listing = await test.store.list("", { revision: before, signal });
      assert.equal(listing.revision, before);
      assert.deepEqual(
        listing.entries.map((entry) => [entry.key, entry.value]),
        [
          ["a", "old"],
          ["b", "b"],
        ],
      );
    });

    it("lists more keys than one answer of etcd should carry", async () => {
      await using test = await open();
      const total = 6_000;
      let revision = 0;
      for (let from = 0; from < total; from += 120) {
        const numbers = Array.from({ length: 120 }, (_, i) => String(from + i).padStart(5, "0"));
        revision = await write(
          test.store,
          numbers.map((n) => put(`k/${n}`, n)),
        );
      }
      const listing = await test.store.list("k/", { signal });
      assert.equal(listing.revision, revision);
      assert.deepEqual(
        listing.entries.map((entry) => Number(entry.value)),
        Array.from({ length: total }, (_, i) => i),
      );
    });

    it("carries any text in keys and values", async () => {
      await using test = await open();
      const texts = ["", "ü€😀", '{"a":"\\u003c"}', "line\nbreak\0", "x".repeat(100_000)];
      await write(
        test.store,
        texts.map((text, i) => put(`k/${i}&fd00:5::-64 ü`, text)),
      );
      const { entries } = await test.store.list("k/", { signal });
      assert.deepEqual(
        entries.map((entry) => entry.value),
        texts,
      );
      assert.equal(entries[0]?.key, "k/0&fd00:5::-64 ü");
    });

    it("refuses a list of compacted history", async () => {
      await using test = await open();
      const old = await write(test.store, [put("a", "1")]);
      const now = await write(test.store, [put("a", "2")]);
      await test.compact(now);
      await assert.rejects(
        () => test.store.list("", { revision: old, signal }),
        (error) => codeOf(error) === "STORE_COMPACTED",
      );
      assert.equal((await test.store.list("", { revision: now, signal })).revision, now);
    });

    it("answers a serializable list", async () => {
      await using test = await open();
      await write(test.store, [put("a", "1")]);
      const { entries } = await test.store.list("", { serializable: true, signal });
      assert.equal(entries.length, 1);
    });

    it("names the same instance every time", async () => {
      await using test = await open();
      const instance = await test.store.instance(signal);
      assert.notEqual(instance, "");
      assert.equal(await test.store.instance(signal), instance);
    });
  });

  describe(`${name} as a store: transactions`, () => {
    it("writes nothing on a conflict and answers the keys that exist", async () => {
      await using test = await open();
      const revision = await write(test.store, [put("subnets/a", "theirs")]);
      const outcome = await test.store.transact(
        {
          compares: [{ key: "subnets/a", createRevision: 0 }],
          writes: [put("subnets/a", "mine"), put("twill/nodes/n", "mine")],
          onConflict: ["twill/nodes/n", "subnets/a"],
        },
        signal,
      );
      assert.equal(outcome.kind, "conflict");
      assert.equal(outcome.revision, revision);
      assert.deepEqual(
        outcome.found.map((entry) => [entry.key, entry.value]),
        [["subnets/a", "theirs"]],
      );
      assert.equal((await test.store.list("twill/", { signal })).entries.length, 0);
    });

    it("compares the create revision exactly, so a vanished election key fences", async () => {
      await using test = await open();
      const token = await write(test.store, [put("twill/election/1", "me")]);
      const fence = [{ key: "twill/election/1", createRevision: token }];
      const fenced = async (): Promise<string> =>
        (
          await test.store.transact(
            { compares: fence, writes: [put("a", "1")], onConflict: [] },
            signal,
          )
        ).kind;
      assert.equal(await fenced(), "committed");
      await write(test.store, [put("twill/election/1", "still me")]);
      assert.equal(await fenced(), "committed");
      await write(test.store, [{ op: "delete", key: "twill/election/1" }]);
      assert.equal(await fenced(), "conflict");
      await write(test.store, [put("twill/election/1", "other")]);
      assert.equal(await fenced(), "conflict");
    });

    it("compares the mod revision exactly", async () => {
      await using test = await open();
      const first = await write(test.store, [put("a", "1")]);
      const compares = [{ key: "a", modRevision: first }];
      const transaction = { compares, writes: [put("a", "2")], onConflict: [] };
      assert.equal((await test.store.transact(transaction, signal)).kind, "committed");
      assert.equal((await test.store.transact(transaction, signal)).kind, "conflict");
    });

    it("demands every compare", async () => {
      await using test = await open();
      const first = await write(test.store, [put("a", "1")]);
      const outcome = await test.store.transact(
        {
          compares: [
            { key: "a", modRevision: first },
            { key: "b", modRevision: first },
          ],
          writes: [put("b", "2")],
          onConflict: [],
        },
        signal,
      );
      assert.equal(outcome.kind, "conflict");
    });

    it("does not move the revision when a key that is not there is deleted", async () => {
      await using test = await open();
      const before = await write(test.store, [put("a", "1")]);
      assert.equal(await write(test.store, [{ op: "delete", key: "none" }]), before);
    });

    it("takes 128 writes and refuses 129, or one key twice, as a bug of the caller", async () => {
      await using test = await open();
      const writes = Array.from({ length: 129 }, (_, i) => put(`k/${i}`, ""));
      await write(test.store, writes.slice(1));
      for (const wrong of [writes, [put("twice", "1"), put("twice", "2")]]) {
        await assert.rejects(
          () => write(test.store, wrong),
          (error) => codeOf(error) === "BUG",
        );
      }
      assert.equal((await test.store.list("k/", { signal })).entries.length, 128);
    });
  });

  watchContract(name, open);
  leaseContract(name, open);
}

function watchContract(name: string, open: () => Promise<StoreUnderTest>): void {
  const signal = sharedSignal();

  describe(`${name} as a store: watch`, () => {
    it("gives one change set per revision, everything of it together, in order", async () => {
      await using test = await open();
      const start = await write(test.store, [put("subnets/z", "0"), put("subnets/y", "0")]);
      const changes = test.store.watch("subnets/", start, signal);
      const first = await write(test.store, [
        put("subnets/b", "1"),
        put("subnets/a", "1"),
        { op: "delete", key: "subnets/z" },
        { op: "delete", key: "subnets/y" },
        put("other", "unseen"),
      ]);
      await write(test.store, [put("other", "unseen")]);
      const last = await write(test.store, [put("subnets/a", "2")]);
      const entry = { createRevision: first, modRevision: first, etcdLease: NO_ETCD_LEASE };
      assert.deepEqual(await take(changes, 2), [
        {
          revision: first,
          puts: [
            { key: "subnets/a", value: "1", ...entry },
            { key: "subnets/b", value: "1", ...entry },
          ],
          deletes: ["subnets/y", "subnets/z"],
        },
        {
          revision: last,
          puts: [{ key: "subnets/a", value: "2", ...entry, modRevision: last }],
          deletes: [],
        },
      ]);
    });

    it("replays history after the revision it is given", async () => {
      await using test = await open();
      const revisions: number[] = [];
      for (let i = 0; i < 5; i += 1) revisions.push(await write(test.store, [put("k", `${i}`)]));
      const taken = await take(test.store.watch("", revisions[1] ?? 0, signal), 3);
      assert.deepEqual(
        taken.map((change) => change.revision),
        revisions.slice(2),
      );
    });

    it("tells changes as they come to everyone who watches", async () => {
      await using test = await open();
      const start = await write(test.store, [put("k", "0")]);
      const watchers = [1, 2, 3].map(() => take(test.store.watch("k", start, signal), 20));
      for (let i = 1; i <= 20; i += 1) await write(test.store, [put("k", `${i}`)]);
      for (const changes of await Promise.all(watchers)) {
        assert.deepEqual(
          changes.map((change) => change.puts[0]?.value),
          Array.from({ length: 20 }, (_, i) => `${i + 1}`),
        );
      }
    });

    it("says that history was compacted away, with the revision", async () => {
      await using test = await open();
      const old = await write(test.store, [put("k", "0")]);
      await write(test.store, [put("k", "1")]);
      await write(test.store, [put("k", "2")]);
      const now = await write(test.store, [put("k", "3")]);
      await test.compact(now);
      await assert.rejects(
        () => take(test.store.watch("k", old, signal), 1),
        (error) => {
          const known = TwillError.from(error);
          return known.code === "STORE_COMPACTED" && known.context["compact_revision"] === now;
        },
      );
      const next = await write(test.store, [put("k", "4")]);
      assert.equal((await take(test.store.watch("k", now, signal), 1))[0]?.revision, next);
    });

    it("leaves no listener on the signal, nor does any other call", async () => {
      await using test = await open();
      const { signal: own } = new AbortController();
      const start = await write(test.store, [put("k", "0")]);
      await write(test.store, [put("k", "1")]);
      await take(test.store.watch("k", start, own), 1);
      await test.store.list("", { signal: own });
      await test.store.transact({ compares: [], writes: [], onConflict: [] }, own);
      const id = await test.store.grantLease(60, own);
      await test.store.keepAlive(id, own);
      await test.store.revokeLease(id, own);
      await until("no listener is left", () => getEventListeners(own, "abort").length === 0);
    });

    it("ends with the signal's reason", async () => {
      await using test = await open();
      const controller = new AbortController();
      const reason = new TwillError("SHUTTING_DOWN", "enough");
      const { revision } = await test.store.list("", { signal });
      const watching = take(test.store.watch("", revision, controller.signal), 1);
      await test.store.list("", { signal });
      controller.abort(reason);
      await assert.rejects(watching, reason);
      await assert.rejects(
        () => take(test.store.watch("", revision, controller.signal), 1),
        reason,
      );
    });
  });
}

function leaseContract(name: string, open: () => Promise<StoreUnderTest>): void {
  const signal = sharedSignal();

  describe(`${name} as a store: etcd leases`, () => {
    it("ties keys to an etcd lease and deletes them in one revision on revoke", async () => {
      await using test = await open();
      const id = await test.store.grantLease(60, signal);
      const made = await write(test.store, [put("a", "1", id), put("b", "1", id), put("c", "1")]);
      const { entries } = await test.store.list("", { signal });
      assert.deepEqual(
        entries.map((entry) => entry.etcdLease),
        [id, id, NO_ETCD_LEASE],
      );
      const changes = take(test.store.watch("", made, signal), 1);
      await test.store.revokeLease(id, signal);
      assert.deepEqual((await changes)[0]?.deletes, ["a", "b"]);
    });

    it("deletes the keys of an etcd lease that nobody keeps alive", async () => {
      await using test = await open();
      const id = await test.store.grantLease(2, signal);
      const made = await write(test.store, [put("a", "1", id)]);
      const changes = take(test.store.watch("", made, signal), 1);
      await test.outlast(2);
      assert.deepEqual((await changes)[0]?.deletes, ["a"]);
      assert.equal(await test.store.timeToLive(id, signal), undefined);
      assert.equal(await test.store.keepAlive(id, signal), undefined);
    });

    it("renews an etcd lease to its full TTL", async () => {
      await using test = await open();
      const id = await test.store.grantLease(60, signal);
      assert.equal(await test.store.keepAlive(id, signal), 60);
      const left = await test.store.timeToLive(id, signal);
      assert.ok(left !== undefined && left >= 58 && left <= 60, `${left} s left`);
    });

    it("keeps many etcd leases alive at once", async () => {
      await using test = await open();
      const grants = Array.from({ length: 200 }, (_, i) => test.store.grantLease(100 + i, signal));
      const ids = await Promise.all(grants);
      assert.equal(new Set(ids).size, 200);
      const ttls = await Promise.all(ids.map((id) => test.store.keepAlive(id, signal)));
      assert.deepEqual(
        ttls,
        ids.map((_, i) => 100 + i),
      );
    });

    it("moves a key to another etcd lease, and off any, with a put", async () => {
      await using test = await open();
      const first = await test.store.grantLease(60, signal);
      const second = await test.store.grantLease(60, signal);
      await write(test.store, [put("a", "1", first)]);
      await write(test.store, [put("b", "1", first)]);
      await write(test.store, [put("a", "1", second)]);
      await write(test.store, [put("b", "1")]);
      await test.store.revokeLease(first, signal);
      const { entries } = await test.store.list("", { signal });
      assert.deepEqual(
        entries.map((entry) => [entry.key, entry.etcdLease]),
        [
          ["a", second],
          ["b", NO_ETCD_LEASE],
        ],
      );
    });

    it("treats an etcd lease that is gone as an answer, except for a put that names it", async () => {
      await using test = await open();
      const id = await test.store.grantLease(60, signal);
      await test.store.revokeLease(id, signal);
      await test.store.revokeLease(id, signal);
      assert.equal(await test.store.timeToLive(id, signal), undefined);
      assert.equal(await test.store.keepAlive(id, signal), undefined);
      await assert.rejects(
        () => write(test.store, [put("a", "1", id)]),
        (error) => codeOf(error) === "LEASE_LOST",
      );
    });
  });
}
