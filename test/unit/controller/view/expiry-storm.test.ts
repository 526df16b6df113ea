/** Many ends at once are held back; what agents are told stays one consistent table throughout. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Digest, digestOf } from "../../../../common/lease/lease-digest.ts";
import { silentLogger } from "../../../../common/log.ts";
import {
  DEFAULT_STORM_LIMITS,
  STORM_CALM_MS,
  STORM_WINDOW_MS,
} from "../../../../controller/view/expiry-storm.ts";
import { LeaseView } from "../../../../controller/view/lease-view.ts";
import type { LeaseRow } from "../../../../controller/view/table-change.ts";
import { leaseValue, recordValue } from "../../../support/lease-texts.ts";
import { StoreHistory } from "../../../support/store-history.ts";

/** A view, and an agent that keeps a table by what the chain says. */
class Scene {
  nowMs = 0;
  readonly history = new StoreHistory();
  readonly view: LeaseView;
  readonly agent = new Map<string, LeaseRow["lease"]>();
  #sequence: number;

  constructor(leases: number) {
    const clock = { monotonicMs: () => this.nowMs };
    this.view = new LeaseView(silentLogger, { limits: DEFAULT_STORM_LIMITS, clock });
    for (let n = 0; n < leases; n += 1) this.history.put(key(n), leaseValue(address(n)));
    this.view.load(this.history.listing(), "x");
    for (const [name, { lease }] of this.view.table.rows) this.agent.set(name, lease);
    this.#sequence = this.view.chain.head.sequence;
  }

  put(n: number, ip = address(n)): void {
    this.view.apply(this.history.put(key(n), leaseValue(ip)));
    this.follow();
  }

  end(...numbers: readonly number[]): void {
    this.view.apply(this.history.commit(new Map(), numbers.map(key)));
    this.follow();
  }

  /** The agent takes every crumb, and must then hold the very table whose digest the crumb names. */
  follow(): void {
    const { chain } = this.view;
    for (this.#sequence += 1; this.#sequence <= chain.head.sequence; this.#sequence += 1) {
      const crumb = chain.at(this.#sequence);
      assert.ok(crumb);
      for (const name of crumb.removes) this.agent.delete(name);
      for (const { lease } of crumb.upserts) this.agent.set(lease.key, lease);
      assert.equal(this.digest, crumb.digest);
    }
    this.#sequence -= 1;
  }

  get digest(): Digest {
    return digestOf([...this.agent.values()]);
  }
}

const key = (n: number): string => `subnets/10.5.${n}.0-24`;
const address = (n: number): string => `10.99.0.${n + 1}`;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe("an expiry storm", () => {
  it("leaves every agent with what it has, until it is let pass", () => {
    const scene = new Scene(20);
    scene.end(...upTo(12));
    assert.equal(scene.view.heldBack.size, 12);
    assert.equal(scene.agent.size, 20);
    assert.equal(scene.view.table.rows.size, 8, "nothing is held back from who allocates");
    assert.equal(scene.view.published.rows.size, 20, "a snapshot shows it all");
    assert.equal(scene.view.published.digest, scene.digest);
    scene.view.passWithdrawals();
    scene.follow();
    assert.equal(scene.agent.size, 8);
    assert.equal(scene.view.published.digest, scene.view.table.digest);
  });

  it("is seen when the ends come one by one, from the one that makes it a storm", () => {
    const scene = new Scene(20);
    for (const n of upTo(12)) {
      scene.end(n);
      scene.nowMs += 100;
    }
    assert.equal(scene.agent.size, 15, "five of twenty are no storm yet, the sixth is");
    assert.equal(scene.view.heldBack.size, 7);
  });

  it("is none when few end, or slowly, or when they are given back", () => {
    const few = new Scene(6);
    few.end(...upTo(4));
    assert.equal(few.view.heldBack.size, 0);
    const slow = new Scene(20);
    for (const n of upTo(12)) {
      slow.end(n);
      slow.nowMs += STORM_WINDOW_MS / 3;
    }
    assert.equal(slow.view.heldBack.size, 0);
    const released = new Scene(0);
    const names = upTo(12).map((n) => [`n${n}`, key(n).slice(8), address(n)] as const);
    for (const [name, subnet, ip] of names) {
      const record = { value: recordValue(name, subnet, ip), etcdLease: "0" };
      const lease = { value: leaseValue(ip), etcdLease: "7" };
      const puts = new Map([
        [`subnets/${subnet}`, lease],
        [`twill/nodes/${name}`, record],
      ]);
      released.view.apply(released.history.commit(puts));
    }
    assert.equal(released.view.table.heldBy("n3")?.lease.key, "10.5.3.0-24");
    for (const [name, subnet, ip] of names) {
      const value = recordValue(name, subnet, ip, { released: "2024-01-02T00:00:00.000Z" });
      const puts = new Map([[`twill/nodes/${name}`, { value, etcdLease: "0" }]]);
      released.view.apply(released.history.commit(puts, [`subnets/${subnet}`]));
    }
    assert.equal(released.view.heldBack.size, 0);
    assert.equal(released.view.table.rows.size, 0);
  });

  it("is none when one lease comes and goes again and again", () => {
    const scene = new Scene(6);
    for (let round = 0; round < 20; round += 1) {
      scene.end(3);
      assert.equal(scene.agent.size, 5);
      scene.put(3);
    }
    assert.equal(scene.view.heldBack.size, 0);
  });

  it("is none when an operator removes nodes with their records", () => {
    const scene = new Scene(0);
    const keys = upTo(12).map((n) => [`subnets/10.5.${n}.0-24`, `twill/nodes/n${n}`] as const);
    for (const [n, [subnet, node]] of keys.entries()) {
      const record = recordValue(`n${n}`, subnet.slice(8), address(n));
      const puts = new Map([
        [subnet, { value: leaseValue(address(n)), etcdLease: "7" }],
        [node, { value: record, etcdLease: "0" }],
      ]);
      scene.view.apply(scene.history.commit(puts));
    }
    for (const removed of keys) scene.view.apply(scene.history.commit(new Map(), removed));
    assert.equal(scene.view.table.rows.size, 0);
    assert.equal(scene.view.heldBack.size, 0);
  });

  it("tells agents nothing of leases that come back as they were", () => {
    const scene = new Scene(20);
    scene.end(...upTo(20));
    const { sequence } = scene.view.chain.head;
    for (const n of upTo(20)) scene.put(n);
    assert.equal(scene.view.chain.head.sequence, sequence);
    assert.equal(scene.view.heldBack.size, 0);
  });

  it("gives way at once to whoever gets the addresses meanwhile", () => {
    const scene = new Scene(20);
    scene.end(...upTo(20));
    scene.put(3, "10.99.7.7");
    scene.view.apply(scene.history.put("subnets/10.5.4.0-23", leaseValue("10.99.7.8")));
    scene.follow();
    assert.equal(scene.agent.has("10.5.4.0-24"), false);
    assert.equal(scene.agent.has("10.5.5.0-24"), false);
    assert.equal(scene.agent.size, 19);
  });

  it("is over only when nothing has ended for a while", () => {
    const scene = new Scene(20);
    scene.end(...upTo(10));
    scene.nowMs += STORM_CALM_MS - 1;
    assert.equal(scene.view.isStormOver, false);
    scene.end(11);
    assert.equal(scene.view.heldBack.size, 11, "while one is held, more are too");
    scene.nowMs += STORM_CALM_MS - 1;
    assert.equal(scene.view.isStormOver, false);
    scene.nowMs += 1;
    assert.equal(scene.view.isStormOver, true);
  });

  it("does not take an acknowledgement of the held table for a divergence", () => {
    const scene = new Scene(20);
    scene.end(...upTo(10));
    scene.put(30);
    const before = scene.digest.toString(16).padStart(16, "0");
    const { revision } = scene.view.chain.head;
    scene.view.passWithdrawals();
    scene.follow();
    assert.equal(scene.view.chain.head.revision, revision);
    assert.equal(scene.view.chain.knew(revision, before), true);
    assert.equal(scene.view.chain.knew(revision, "0123456789abcdef"), false);
  });
});

describe("whatever comes in whatever order, agents", () => {
  it("hold the table and what is held back, and in the end the table", () => {
    const number = fc.nat({ max: 15 });
    type Step = (scene: Scene) => void;
    const step = fc.oneof(
      fc.tuple(number, number).map(
        ([n, ip]): Step =>
          (scene) =>
            scene.put(n, address(ip)),
      ),
      fc.uniqueArray(number).map(
        (set): Step =>
          (scene) =>
            scene.end(...set),
      ),
      fc.nat({ max: 6000 }).map(
        (ms): Step =>
          (scene) =>
            (scene.nowMs += ms),
      ),
      fc.constant<Step>((scene) => scene.view.passWithdrawals()),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const scene = new Scene(16);
        for (const take of steps) {
          take(scene);
          scene.follow();
          const { rows, digest } = scene.view.published;
          assert.deepEqual([...scene.agent.keys()].toSorted(), [...rows.keys()].toSorted());
          assert.equal(digest, scene.digest);
        }
        scene.view.passWithdrawals();
        scene.follow();
        assert.equal(scene.digest, scene.view.table.digest);
      }),
    );
  });
});
