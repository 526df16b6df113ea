/** From watch responses to change sets, whatever the server splits, repeats or interleaves. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { IEvent, IWatchResponse } from "etcd3";
import fc from "fast-check";
import { EtcdKeys } from "../../../../controller/store/etcd-keys.ts";
import { WatchFold } from "../../../../controller/store/etcd-watch-fold.ts";
import type { ChangeSet } from "../../../../controller/store/store.ts";

const keys = new EtcdKeys("/p");
const CURRENT_REVISION = 1_000_000;

function event(revision: number, key: string, type: "Put" | "Delete" = "Put"): IEvent {
  const kv = {
    key: Buffer.from(`/p/${key}`),
    value: Buffer.from(type === "Put" ? `${key}@${revision}` : ""),
    create_revision: type === "Put" ? "2" : "0",
    mod_revision: `${revision}`,
    version: "1",
    lease: "0",
  };
  return { type, kv, prev_kv: kv };
}

/** etcd puts its current revision into the header, not the last one of the events. */
function response(events: readonly IEvent[], rest: Partial<IWatchResponse> = {}): IWatchResponse {
  return {
    header: { cluster_id: "1", member_id: "1", revision: `${CURRENT_REVISION}`, raft_term: "2" },
    watch_id: "0",
    created: false,
    canceled: false,
    compact_revision: "0",
    cancel_reason: "",
    fragment: false,
    ...rest,
    events: [...events],
  };
}

/** What a server sends after a revision: batches of whole revisions, one event per fragment. */
function catchUp(
  revisions: readonly (readonly IEvent[])[],
  after: number,
  batch: number,
): readonly IWatchResponse[] {
  const left = revisions.filter((each) => Number(each[0]?.kv.mod_revision) > after);
  const batches = Array.from({ length: Math.ceil(left.length / batch) }, (_, i) =>
    left.slice(i * batch, (i + 1) * batch).flat(),
  );
  return batches.flatMap((events) =>
    events.map((each, i) => response([each], { fragment: i < events.length - 1 })),
  );
}

const summary = (changes: readonly ChangeSet[]): readonly string[] =>
  changes.map(({ revision, puts, deletes }) =>
    [revision, ...puts.map((entry) => `+${entry.key}`), ...deletes.map((key) => `-${key}`)].join(
      " ",
    ),
  );

describe("the fold of a watch", () => {
  it("makes one change set of a revision, puts and deletes in key order", () => {
    const fold = new WatchFold(keys, 4);
    const changes = fold.accept(
      response([event(5, "b"), event(5, "a"), event(5, "d", "Delete"), event(6, "a", "Delete")]),
    );
    assert.deepEqual(summary(changes), ["5 +a +b -d", "6 -a"]);
    assert.deepEqual(changes[0]?.puts[0], {
      key: "a",
      value: "a@5",
      createRevision: 2,
      modRevision: 5,
      etcdLease: "0",
    });
    assert.equal(fold.last, 6);
  });

  it("does not take the header's revision for progress of a catch-up", () => {
    const fold = new WatchFold(keys, 4);
    fold.accept(response([], { created: true }));
    assert.equal(fold.last, 4);
    fold.accept(response([event(5, "a")]));
    assert.equal(fold.last, 5);
  });

  it("takes the header's revision of a progress notification", () => {
    const fold = new WatchFold(keys, 4);
    assert.deepEqual(fold.accept(response([])), []);
    assert.equal(fold.last, CURRENT_REVISION);
  });

  it("takes nothing from a cancellation", () => {
    const fold = new WatchFold(keys, 4);
    fold.accept(response([], { canceled: true }));
    assert.equal(fold.last, 4);
  });

  it("moves only when the last fragment has come", () => {
    const fold = new WatchFold(keys, 4);
    assert.deepEqual(fold.accept(response([event(5, "a")], { fragment: true })), []);
    assert.equal(fold.last, 4);
    assert.deepEqual(summary(fold.accept(response([event(5, "b"), event(6, "c")]))), [
      "5 +a +b",
      "6 +c",
    ]);
  });

  it("forgets the fragments of a stream that was cut", () => {
    const fold = new WatchFold(keys, 4);
    fold.accept(response([event(5, "a")], { fragment: true }));
    fold.restart();
    const whole = response([event(5, "a"), event(5, "b")]);
    assert.deepEqual(summary(fold.accept(whole)), ["5 +a +b"]);
    assert.equal(fold.accept(whole).length, 0);
  });

  it("gives the same however a history is batched, split, cut and sent again", () => {
    const history = fc.array(
      fc.record({
        gap: fc.integer({ min: 1, max: 3 }),
        names: fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e"), { minLength: 1 }),
      }),
      { minLength: 1, maxLength: 12 },
    );
    const cuts = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 6 });
    fc.assert(
      fc.property(history, cuts, fc.integer({ min: 1, max: 4 }), (steps, cutAt, batch) => {
        let revision = 1;
        const revisions = steps.map(({ gap, names }) => {
          revision += gap;
          return names.map((name) => event(revision, name));
        });
        const expected = summary(new WatchFold(keys, 1).accept(response(revisions.flat())));
        const fold = new WatchFold(keys, 1);
        const seen: string[] = [];
        for (const limit of [...cutAt, Number.POSITIVE_INFINITY]) {
          fold.restart();
          const stream = catchUp(revisions, fold.last, batch).slice(0, limit);
          seen.push(...stream.flatMap((each) => summary(fold.accept(each))));
        }
        assert.deepEqual(seen, expected);
      }),
    );
  });
});
