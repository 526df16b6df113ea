/** Campaigns on the memory store with a clock that tests move: who leads, and never two. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { TwillError } from "../../../../common/errors.ts";
import {
  LEADER_TTL_SECONDS,
  type Lead,
  runElection,
} from "../../../../controller/store/campaign.ts";
import { ELECTION_RANGE, observeLeader } from "../../../../controller/store/election.ts";
import type { Leadership } from "../../../../controller/store/store.ts";
import { FaultyStore } from "../../../support/faulty-store.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { MemoryStore } from "../../../support/memory-store.ts";

const TTL_MS = LEADER_TTL_SECONDS * 1000;

/** One controller standing for election over its own link to the store. */
class Replica {
  readonly link: FaultyStore;
  readonly log = new LogCapture();
  readonly terms: Leadership[] = [];
  readonly #group: TaskGroup;

  constructor(store: MemoryStore, clock: ManualClock, name: string, lead?: Lead) {
    this.link = new FaultyStore(store);
    this.#group = new TaskGroup();
    const options = {
      store: this.link,
      clock,
      random: () => 0.5,
      log: this.log,
      value: JSON.stringify({ id: name }),
      ttlSeconds: LEADER_TTL_SECONDS,
    };
    const untilLost: Lead = ({ signal }) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    this.#group.spawn((signal) =>
      runElection(
        options,
        async (leadership) => {
          this.terms.push(leadership);
          await (lead ?? untilLost)(leadership);
        },
        signal,
      ),
    );
  }

  get isLeading(): boolean {
    const term = this.terms.at(-1);
    return term !== undefined && !term.signal.aborted;
  }

  get term(): Leadership {
    const term = this.terms.at(-1);
    assert.ok(term !== undefined, "never led");
    return term;
  }

  async stop(): Promise<void> {
    this.#group.abort(new TwillError("SHUTTING_DOWN", "stop"));
    await this.#group.join();
  }
}

describe("a campaign", () => {
  let clock: ManualClock;
  let store: MemoryStore;
  let replicas: Replica[];

  beforeEach(() => {
    clock = new ManualClock();
    store = new MemoryStore(clock);
    replicas = [];
  });

  afterEach(async () => {
    for (const replica of replicas) replica.link.link = "up";
    await Promise.all(replicas.map((replica) => replica.stop()));
    await store.close();
  });

  const start = async (name: string, lead?: Lead): Promise<Replica> => {
    const replica = new Replica(store, clock, name, lead);
    replicas.push(replica);
    await settle();
    return replica;
  };

  const candidates = async (): Promise<readonly string[]> => {
    const { entries } = await store.list(ELECTION_RANGE, { signal: AbortSignal.timeout(1000) });
    return entries.map((entry) => entry.value);
  };

  it("is won at once by the only candidate, with the key's create revision as token", async () => {
    const a = await start("a");
    assert.equal(a.isLeading, true);
    const entry = store.get(a.term.key);
    assert.equal(entry?.createRevision, a.term.token);
    assert.equal(entry?.value, '{"id":"a"}');
    assert.equal(a.term.key, `${ELECTION_RANGE}${BigInt(entry?.etcdLease ?? 0).toString(16)}`);
    assert.deepEqual(a.log.names, ["leadership.gained"]);
  });

  it("waits while another leads, and is won when the leader gives up", async () => {
    const a = await start("a");
    const b = await start("b");
    await clock.advance(10 * TTL_MS);
    assert.deepEqual([a.isLeading, b.isLeading], [true, false]);
    await a.stop();
    await settle();
    assert.equal(b.isLeading, true);
    assert.deepEqual(await candidates(), ['{"id":"b"}']);
  });

  it("gives back, once etcd is back, what it could not give back during the outage", async () => {
    const [a, b] = [await start("a"), await start("b")];
    for (const { link } of [a, b]) link.link = "down";
    // Both give up by their own clocks, before etcd would end their leases.
    await clock.advance(0.95 * TTL_MS);
    assert.deepEqual([a.isLeading, b.isLeading], [false, false]);
    assert.equal((await candidates()).length, 2);
    const old = (await store.list(ELECTION_RANGE, { signal: AbortSignal.timeout(1000) })).entries;
    // As after a restart, etcd gives every lease its whole TTL again.
    for (const { etcdLease } of old) await store.keepAlive(etcdLease, AbortSignal.timeout(1000));
    for (const { link } of [a, b]) link.link = "up";
    await clock.advance(0.7 * TTL_MS);
    assert.equal(a.isLeading || b.isLeading, true);
    for (const { key } of old) assert.equal(store.get(key), undefined);
  });

  it("is won in the order of standing", async () => {
    const [a, b, c] = [await start("a"), await start("b"), await start("c")];
    await b.stop();
    await settle();
    assert.equal(c.isLeading, false);
    await a.stop();
    await settle();
    assert.equal(c.isLeading, true);
  });

  for (const fault of ["down", "hung"] as const) {
    it(`ends for a leader whose link is ${fault} before another can be elected`, async () => {
      const a = await start("a");
      const b = await start("b");
      a.link.link = fault;
      let leaders = 1;
      for (let ms = 0; ms < 2 * TTL_MS && !b.isLeading; ms += 50) {
        await clock.advance(50);
        leaders = Math.max(leaders, Number(a.isLeading) + Number(b.isLeading));
      }
      assert.equal(leaders, 1);
      assert.equal(b.isLeading, true);
      a.link.link = "up";
      await clock.advance(TTL_MS);
      assert.deepEqual([a.isLeading, b.isLeading], [false, true]);
    });
  }

  it("ends for a hung leader at its own deadline, a margin before its etcd lease", async () => {
    const a = await start("a");
    a.link.link = "hung";
    await clock.advance(0.8 * TTL_MS - 1);
    assert.equal(a.isLeading, true);
    await clock.advance(1);
    assert.equal(a.isLeading, false);
    assert.match(String(a.term.signal.reason), /no keep-alive was acknowledged in time/);
  });

  it("counts from when the acknowledged keep-alive was sent, not from its answer", async () => {
    const a = await start("a");
    await clock.advance(2_400);
    a.link.link = "hung";
    // Sent at 2500, answered at 5500; the next, at 8000, is never answered.
    await clock.advance(3_100);
    a.link.link = "up";
    await settle();
    a.link.link = "hung";
    await clock.advance(2_500 + 0.8 * TTL_MS - 5_500 - 1);
    assert.equal(a.isLeading, true);
    await clock.advance(1);
    assert.equal(a.isLeading, false);
  });

  it("ends after a suspension that only the wall clock saw", async () => {
    const a = await start("a");
    clock.jumpWall(TTL_MS);
    await clock.advance(500);
    assert.equal(a.terms[0]?.signal.aborted, true);
  });

  it("stays through failures that are shorter than the deadline", async () => {
    const a = await start("a");
    for (let round = 0; round < 5; round += 1) {
      a.link.link = "down";
      await clock.advance(4_000);
      a.link.link = "up";
      await clock.advance(4_000);
    }
    assert.equal(a.terms.length, 1);
    assert.equal(a.isLeading, true);
  });

  it("is one campaign however long etcd is away, and one leader afterwards", async () => {
    const a = await start("a");
    const b = await start("b");
    for (const replica of [a, b]) replica.link.link = "down";
    await clock.advance(45_000);
    assert.deepEqual([a.isLeading, b.isLeading], [false, false]);
    // 45 s at 5 s of back-off at most, plus the first quick ones: no storm of campaigns.
    for (const { link } of [a, b]) assert.ok((link.calls.get("grantLease") ?? 0) < 25);
    for (const replica of [a, b]) replica.link.link = "up";
    await clock.advance(2 * TTL_MS);
    assert.equal([a, b].filter((replica) => replica.isLeading).length, 1);
    assert.equal((await candidates()).length, 2);
  });

  it("recognises its own key when the answer to its transaction was lost", async () => {
    const link = new FaultyStore(store);
    link.loseAnswer("transact");
    const group = new TaskGroup();
    const terms: Leadership[] = [];
    group.spawn((signal) =>
      runElection(
        {
          store: link,
          clock,
          random: () => 0.5,
          log: new LogCapture(),
          value: "{}",
          ttlSeconds: 10,
        },
        async (leadership) => {
          terms.push(leadership);
          await clock.sleep(TTL_MS, leadership.signal);
        },
        signal,
      ),
    );
    await settle();
    assert.deepEqual(link.unconsumed, []);
    // Somebody writes in between: the place in the queue is still the key's create revision.
    store.put("config", "{}");
    await clock.advance(1_000);
    const { entries } = await store.list(ELECTION_RANGE, { signal: AbortSignal.timeout(1000) });
    assert.equal(entries.length, 1);
    assert.equal(terms[0]?.token, entries[0]?.createRevision);
    assert.equal(link.calls.get("grantLease"), 1, "it was won by the first campaign");
    group.abort();
    await group.join();
  });

  it("ends when somebody deletes its key, and stands again", async () => {
    const a = await start("a");
    store.delete(a.term.key);
    await settle();
    assert.match(String(a.terms[0]?.signal.reason), /election key .* is gone/);
    await clock.advance(1_000);
    assert.equal(a.terms.length, 2);
    assert.equal(a.isLeading, true);
  });

  it("does not become a leader through a campaign whose etcd lease has ended", async () => {
    const a = await start("a");
    const b = await start("b");
    const first = store.get(a.term.key)?.etcdLease ?? "";
    b.link.link = "hung";
    await clock.advance(2 * TTL_MS);
    await store.revokeLease(first, AbortSignal.timeout(1000));
    await settle();
    assert.equal(b.terms.length, 0);
    b.link.link = "up";
    await clock.advance(2 * TTL_MS);
    assert.equal([a, b].filter((replica) => replica.isLeading).length, 1);
  });

  it("waits for the leader's work to end before it stands again", async () => {
    let running = 0;
    let most = 0;
    const a = await start("a", async ({ signal }) => {
      running += 1;
      most = Math.max(most, running);
      // Work that takes a while to notice.
      await clock.sleep(3 * TTL_MS, new AbortController().signal);
      running -= 1;
      signal.throwIfAborted();
    });
    store.delete(a.term.key);
    await clock.advance(2 * TTL_MS);
    assert.equal(a.terms.length, 1);
    await clock.advance(2 * TTL_MS);
    assert.equal(a.terms.length, 2);
    assert.equal(most, 1);
    await Promise.all([clock.advance(4 * TTL_MS), a.stop()]);
  });

  it("gives the leadership back when the leader's work fails, and tries again later", async () => {
    let works = 0;
    const a = await start("a", async () => {
      works += 1;
      throw new TwillError("FENCED", "another leader's token");
    });
    assert.equal(works, 1);
    assert.deepEqual(await candidates(), []);
    await clock.advance(20_000);
    assert.ok(works > 2 && works < 15, `${works} terms in 20 s`);
    assert.ok(a.log.names.includes("election.interrupted"));
  });

  it("shows the leader to everyone who observes", async () => {
    const seen: (string | undefined)[] = [];
    const group = new TaskGroup();
    group.spawn(async (signal) => {
      for await (const leader of observeLeader({ store, clock, random: () => 0.5 }, signal)) {
        seen.push(leader?.value);
      }
    });
    await settle();
    const a = await start("a");
    const b = await start("b");
    // Longer than a round of listing: nothing is told twice.
    await clock.advance(100_000);
    await a.stop();
    await b.stop();
    await settle();
    group.abort();
    await group.join();
    assert.deepEqual(seen, [undefined, '{"id":"a"}', '{"id":"b"}', undefined]);
  });
});
