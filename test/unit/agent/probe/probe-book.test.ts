/** Who is probed: the changed soon, the others now and then, and never many. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProbeBook, type ProbedPeer, SETTLE_MS } from "../../../../agent/probe/probe-book.ts";
import { seededRandom } from "../../../support/seeded-random.ts";

const peers = (count: number): ProbedPeer[] =>
  Array.from({ length: count }, (_, n) => ({ key: `k${n}`, address: `10.0.${n >> 8}.${n & 255}` }));
const GOOD = { state: "reachable", rttUs: 5, atMs: 0 } as const;
const ALWAYS = (): number => 0;
const BAD = { state: "unreachable", rttUs: 0, atMs: 0 } as const;

describe("the book of probes", () => {
  it("lets a new peer settle, then has it probed until it answers or is given up", () => {
    const book = new ProbeBook();
    const [peer] = peers(1);
    assert.ok(peer);
    book.setPeers([peer], 0, ALWAYS);
    assert.deepEqual(
      book.round(SETTLE_MS - 1, () => 0),
      [],
    );
    assert.deepEqual(
      book.round(SETTLE_MS, () => 0),
      [peer],
    );
    book.note(peer, GOOD);
    assert.equal(book.result("k0")?.state, "reachable");
    book.setPeers([{ ...peer, address: "10.9.9.9" }], 100, ALWAYS);
    assert.equal(book.result("k0"), undefined, "elsewhere it is a new path");
    book.note(peer, GOOD);
    assert.equal(book.result("k0"), undefined, "an answer from where it was counts no more");
    book.setPeers([], 200, ALWAYS);
    assert.deepEqual(book.count(), { reachable: 0, unreachable: 0, "small-only": 0, unprobed: 0 });
  });

  it("asks about log2 of all peers a round, and a bounded number when all are new", () => {
    const book = new ProbeBook();
    const all = peers(1000);
    book.setPeers(all, 0, seededRandom(4));
    const due = all.filter(({ key }) => book.isDue(key)).length;
    assert.ok(due > 4 && due < 40, String(due));
    assert.ok(book.round(SETTLE_MS, seededRandom(1)).length <= 16 + 10);
    for (const peer of all) book.note(peer, GOOD);
    const idle = book.round(SETTLE_MS, seededRandom(2));
    assert.ok(idle.length > 5 && idle.length <= 10, String(idle.length));
  });

  it("reaches every peer in the end, also those that were silent", () => {
    const book = new ProbeBook();
    book.setPeers(peers(100), 0, seededRandom(5));
    const random = seededRandom(3);
    const seen = new Set<string>();
    for (let round = 0; round < 300; round += 1) {
      for (const peer of book.round(SETTLE_MS, random)) {
        seen.add(peer.key);
        book.note(peer, BAD);
      }
    }
    assert.equal(seen.size, 100);
    assert.equal(book.count().unreachable, 100);
  });
});
