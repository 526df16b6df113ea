/** The table of leases: snapshots, deltas, gaps, resume, and the digest that finds divergence. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  PeerTable,
  type TableMessage,
  type TableOutcome,
} from "../../../../agent/peers/peer-table.ts";
import type { Lease } from "../../../../common/lease/lease.ts";
import { digestOf, formatDigest } from "../../../../common/lease/lease-digest.ts";
import { vxlanLease } from "../../../support/leases.ts";
import { seededRandom } from "../../../support/seeded-random.ts";
import { expansions, type State } from "../../../support/state-sequences.ts";

const A = vxlanLease(1);
const B = vxlanLease(2);
const B_MOVED = vxlanLease(2, { ip: "10.99.7.7" });
const C = vxlanLease(3);

function snapshot(revision: number, leases: readonly Lease[]): TableMessage[] {
  const half = Math.ceil(leases.length / 2);
  return [
    { kind: "snapshot-begin", revision, leases: leases.length },
    { kind: "snapshot-part", upserts: leases.slice(0, half) },
    { kind: "snapshot-part", upserts: leases.slice(half) },
    { kind: "snapshot-end", revision, digest: formatDigest(digestOf(leases)) },
  ];
}

function delta(from: number, to: number, upserts: Lease[], removes: string[] = []): TableMessage {
  return { kind: "delta", fromRevision: from, toRevision: to, upserts, removes };
}

function feed(table: PeerTable, messages: readonly TableMessage[]): TableOutcome {
  const outcomes = messages.map((message) => table.apply(message));
  return outcomes.at(-1) ?? { kind: "held" };
}

function changeOf(outcome: TableOutcome) {
  assert.equal(outcome.kind, "changed", outcome.kind === "out-of-step" ? outcome.reason : "");
  return outcome.change;
}

function tableWith(revision: number, leases: readonly Lease[]): PeerTable {
  const table = new PeerTable();
  table.welcome("etcd-1");
  feed(table, snapshot(revision, leases));
  return table;
}

function assertOutOfStep(outcome: TableOutcome, reason: RegExp): void {
  assert.equal(outcome.kind, "out-of-step");
  assert.match(outcome.reason, reason);
}

describe("the peer table", () => {
  it("takes a snapshot over only at its end, and is in sync then", () => {
    const table = new PeerTable();
    table.welcome("etcd-1");
    const [begin, part, rest, end] = snapshot(7, [A, B]);
    assert.ok(begin && part && rest && end);
    for (const message of [begin, part, rest]) {
      assert.deepEqual(table.apply(message), { kind: "held" });
      assert.equal(table.size, 0);
      assert.equal(table.isInSync, false);
    }
    const change = changeOf(table.apply(end));
    assert.deepEqual(change.upserts, [A, B]);
    assert.equal(change.cameInSync, true);
    assert.equal(table.isInSync, true);
    assert.deepEqual(table.position, {
      instance: "etcd-1",
      revision: 7,
      digest: formatDigest(digestOf([A, B])),
    });
  });

  it("answers a second snapshot with what differs only", () => {
    const table = tableWith(7, [A, B]);
    table.welcome("etcd-1");
    const change = changeOf(feed(table, snapshot(9, [B_MOVED, A, C])));
    assert.deepEqual(change.upserts, [B_MOVED, C]);
    assert.deepEqual(change.removes, []);
    assert.equal(change.cameInSync, false);
    const shrunk = changeOf(feed(table, snapshot(10, [A])));
    assert.deepEqual(shrunk.upserts, []);
    assert.deepEqual([...shrunk.removes].sort(), [B.key, C.key]);
  });

  it("applies a delta from exactly its own revision", () => {
    const table = tableWith(7, [A, B]);
    const change = changeOf(table.apply(delta(7, 9, [B_MOVED, C], [A.key])));
    assert.deepEqual(change.upserts, [B_MOVED, C]);
    assert.deepEqual(change.removes, [A.key]);
    assert.equal(change.position.revision, 9);
    assert.equal(change.position.digest, formatDigest(digestOf([B_MOVED, C])));
  });

  it("leaves out of a change what the table already says", () => {
    const table = tableWith(7, [A, B]);
    const change = changeOf(table.apply(delta(7, 8, [A], ["10.244.99.0-24"])));
    assert.deepEqual([change.upserts, change.removes], [[], []]);
  });

  it("lets an upsert win over a remove of the same key in one delta", () => {
    const table = tableWith(7, [A, B]);
    const change = changeOf(table.apply(delta(7, 8, [B_MOVED], [B.key])));
    assert.deepEqual([change.upserts, change.removes], [[B_MOVED], []]);
  });

  it("refuses a delta over a gap and stays as it was", () => {
    const table = tableWith(7, [A]);
    const before = table.position;
    assertOutOfStep(table.apply(delta(8, 9, [B])), /from 8 while at 7/);
    assertOutOfStep(table.apply(delta(7, 6, [B])), /back from 7 to 6/);
    assert.deepEqual(table.position, before);
  });

  it("refuses a delta of an instance that it does not hold", () => {
    const table = tableWith(7, [A]);
    table.welcome("etcd-2");
    assertOutOfStep(table.apply(delta(7, 8, [B])), /not held/);
    assertOutOfStep(new PeerTable().apply(delta(0, 8, [B])), /not held/);
  });

  it("follows a new instance by snapshot, as a diff", () => {
    const table = tableWith(7, [A, B]);
    table.welcome("etcd-2");
    const change = changeOf(feed(table, snapshot(3, [A, C])));
    assert.deepEqual([change.upserts, change.removes], [[C], [B.key]]);
    assert.deepEqual([table.position.instance, table.position.revision], ["etcd-2", 3]);
  });

  it("forgets half a snapshot when a new stream begins", () => {
    const table = tableWith(7, [A]);
    const [begin, part, , end] = snapshot(9, [B, C]);
    assert.ok(begin && part && end);
    feed(table, [begin, part]);
    table.welcome("etcd-1");
    assertOutOfStep(table.apply(end), /without its begin/);
    assert.deepEqual([...table.leases()], [A]);
    changeOf(table.apply(delta(7, 8, [C])));
  });

  it("refuses a snapshot that is not whole", () => {
    const [begin, part, rest] = snapshot(9, [A, B]);
    assert.ok(begin && part && rest);
    const good = formatDigest(digestOf([A, B]));
    const ends: [TableMessage[], RegExp][] = [
      [
        [begin, part, { kind: "snapshot-end", revision: 9, digest: good }],
        /announced 2 .* brought 1/,
      ],
      [[begin, part, rest, { kind: "snapshot-end", revision: 8, digest: good }], /ended at 8/],
      [[begin, part, rest, { kind: "snapshot-end", revision: 9, digest: "00" }], /digest/],
      [[part], /part without its begin/],
      [[begin, delta(9, 10, [C])], /inside a snapshot/],
    ];
    for (const [messages, reason] of ends) {
      const table = new PeerTable();
      table.welcome("etcd-1");
      assertOutOfStep(feed(table, messages), reason);
      assert.deepEqual([table.size, table.isInSync], [0, false]);
    }
  });

  it("follows a bookmark, and asks for a whole snapshot when the digests differ", () => {
    const table = tableWith(7, [A]);
    const digest = formatDigest(digestOf([A]));
    assert.deepEqual(table.apply({ kind: "bookmark", revision: 12, digest }), { kind: "held" });
    assert.equal(table.position.revision, 12);
    assertOutOfStep(table.apply({ kind: "bookmark", revision: 11, digest }), /while at 12/);
    const wrong = table.apply({ kind: "bookmark", revision: 13, digest: "0000000000000000" });
    assertOutOfStep(wrong, /digest/);
    assert.equal(table.position.instance, "", "Hello names no table, so a snapshot follows");
    assert.equal(table.size, 1, "the data plane still stands on what is held");
  });

  it("is not in sync from the cache until a controller went on from it", () => {
    const table = new PeerTable();
    table.restore("etcd-1", 7, [A, B]);
    assert.equal(table.isInSync, false);
    assert.equal(table.position.digest, formatDigest(digestOf([A, B])));
    table.welcome("etcd-1");
    const change = changeOf(table.apply(delta(7, 8, [], [B.key])));
    assert.deepEqual([change.removes, change.cameInSync], [[B.key], true]);

    const unchanged = new PeerTable();
    unchanged.restore("etcd-1", 7, [A]);
    unchanged.welcome("etcd-1");
    const digest = formatDigest(digestOf([A]));
    const said = changeOf(unchanged.apply({ kind: "bookmark", revision: 7, digest }));
    assert.deepEqual([said.upserts, said.removes, said.cameInSync], [[], [], true]);
  });

  it("does not take the cache over what a controller already said", () => {
    const table = tableWith(7, [A]);
    table.restore("etcd-0", 99, [B]);
    assert.deepEqual([...table.leases()], [A]);
    assert.equal(table.position.revision, 7);
  });

  it("depends on the end of a sequence only, not on the way there", () => {
    const leases = [A, B, B_MOVED, C, vxlanLease(4), vxlanLease(4, { type: "host-gw" })];
    const state = fc
      .subarray(leases)
      .map((some): State<Lease> => new Map(some.map((one) => [one.key, one])));
    fc.assert(
      fc.property(fc.array(state, { maxLength: 5 }), fc.nat(), (states, seed) => {
        const end = states.at(-1) ?? new Map<string, Lease>();
        for (const { name, steps } of expansions(states, seededRandom(seed))) {
          const table = tableWith(1, []);
          for (const { upserts, removes } of steps) {
            const at = table.position.revision;
            table.apply(
              delta(
                at,
                at + 1,
                upserts.map(([, lease]) => lease),
                [...removes],
              ),
            );
          }
          const held = new Map([...table.leases()].map((lease) => [lease.key, lease]));
          assert.deepEqual(new Map([...held].sort()), new Map([...end].sort()), name);
          assert.equal(table.position.digest, formatDigest(digestOf(end.values())), name);
        }
      }),
    );
  });
});
