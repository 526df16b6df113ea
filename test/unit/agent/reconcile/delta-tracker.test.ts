/** Desired against believed: laws over any history, and the corners that Linux has. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { FdbState, NeighbourState, RouteState } from "../../../../agent/kernel/kernel.ts";
import { ABSENT, DeltaTracker } from "../../../../agent/reconcile/delta-tracker.ts";
import { FDB_RULES, NEIGHBOUR_RULES, ROUTE_RULES } from "../../../../agent/reconcile/diff.ts";
import type { Realm } from "../../../../agent/reconcile/ownership.ts";
import { ip, mac, network, numberedMac } from "../../../support/leases.ts";

const REALM: Realm = {
  devices: new Set(["flannel.1"]),
  networks: [network("10.244.0.0/16")],
  pastDevices: new Set(),
};

function neighbour(n: number, macOf = n): NeighbourState {
  const address = ip(`10.244.${n}.0`);
  return { device: "flannel.1", ip: address, mac: numberedMac(macOf), permanent: true };
}

function neighbours(): DeltaTracker<NeighbourState, NeighbourState> {
  const tracker = new DeltaTracker<NeighbourState, NeighbourState>(NEIGHBOUR_RULES);
  tracker.setRealm(REALM);
  return tracker;
}

/** A kernel of neighbours: a put replaces under its key, a delete takes the key away. */
function write(
  kernel: Map<string, NeighbourState>,
  tracker: DeltaTracker<NeighbourState, NeighbourState>,
  fails: (key: string) => boolean = () => false,
): void {
  for (const { key, spec } of tracker.pendingPuts(false)) {
    if (fails(key)) continue;
    kernel.set(key, spec);
    tracker.confirmPut(spec);
  }
  for (const { key, spec } of tracker.pendingDeletes()) {
    if (fails(key)) continue;
    kernel.delete(key);
    tracker.confirmDelete(spec);
  }
}

const few = fc.integer({ min: 1, max: 5 });
const someNeighbours = fc
  .array(fc.tuple(few, few), { maxLength: 6 })
  .map(
    (pairs) => new Map(pairs.map(([n, m]) => [NEIGHBOUR_RULES.key(neighbour(n)), neighbour(n, m)])),
  );

describe("the delta tracker, over any history,", () => {
  it("has nothing pending once everything pending was done, and the kernel is as desired", () => {
    fc.assert(
      fc.property(
        fc.array(someNeighbours, { minLength: 1, maxLength: 5 }),
        someNeighbours,
        (plans, found) => {
          const kernel = new Map(found);
          const tracker = neighbours();
          tracker.observeAll(kernel.values(), 0);
          for (const plan of plans) {
            tracker.replaceDesired([...plan.values()]);
            write(kernel, tracker);
            assert.deepEqual([...kernel].sort(), [...plan].sort());
            assert.deepEqual([tracker.pendingPuts(false), tracker.pendingDeletes()], [[], []]);
          }
          tracker.observeAll(kernel.values(), 1);
          assert.deepEqual([tracker.pendingPuts(false), tracker.pendingDeletes()], [[], []]);
          assert.deepEqual(tracker.takeRepaired(), []);
        },
      ),
    );
  });

  it("has exactly the failed keys pending after a pass in which some failed", () => {
    fc.assert(
      fc.property(someNeighbours, someNeighbours, few, (plan, found, bad) => {
        const kernel = new Map(found);
        const tracker = neighbours();
        tracker.observeAll(kernel.values(), 0);
        tracker.replaceDesired([...plan.values()]);
        const before = [...tracker.pendingPuts(false), ...tracker.pendingDeletes()];
        const isBad = (key: string): boolean => key === NEIGHBOUR_RULES.key(neighbour(bad));
        write(kernel, tracker, isBad);
        const after = [...tracker.pendingPuts(false), ...tracker.pendingDeletes()];
        assert.deepEqual(
          after,
          before.filter(({ key }) => isBad(key)),
        );
      }),
    );
  });

  it("neither deletes nor replaces what stands before it is in sync", () => {
    fc.assert(
      fc.property(someNeighbours, someNeighbours, (plan, found) => {
        const tracker = neighbours();
        tracker.observeAll(found.values(), 0);
        tracker.replaceDesired([...plan.values()]);
        for (const { key } of tracker.pendingPuts(true)) assert.ok(!found.has(key), key);
      }),
    );
  });

  it("believes the same from events as from a list", () => {
    fc.assert(
      fc.property(someNeighbours, fc.array(someNeighbours, { maxLength: 4 }), (plan, states) => {
        const [byEvents, byList] = [neighbours(), neighbours()];
        for (const tracker of [byEvents, byList]) {
          tracker.observeAll([], 0);
          tracker.replaceDesired([...plan.values()]);
        }
        const end = tell(byEvents, states);
        byList.observeAll(end.values(), 0);
        assert.deepEqual(pendingKeys(byEvents), pendingKeys(byList));
      }),
    );
  });
});

type Neighbours = ReturnType<typeof neighbours>;

/** The events of a kernel that goes through these states; answers the last. */
function tell(
  tracker: Neighbours,
  states: readonly ReadonlyMap<string, NeighbourState>[],
): ReadonlyMap<string, NeighbourState> {
  let before: ReadonlyMap<string, NeighbourState> = new Map();
  for (const state of states) {
    const gone = [...before.keys()].filter((key) => !state.has(key));
    for (const key of gone) tracker.observeKeyGone(key, 0);
    for (const one of state.values()) tracker.observe(one, 0);
    before = state;
  }
  return before;
}

function pendingKeys(tracker: Neighbours): { puts: string[]; deletes: string[] } {
  const puts = tracker.pendingPuts(false).map(({ key }) => key);
  const deletes = tracker.pendingDeletes().map(({ key }) => key);
  return { puts: puts.sort(), deletes: deletes.sort() };
}

describe("drift", () => {
  it("is what was right and is not, told once with its first notice", () => {
    const tracker = neighbours();
    tracker.put(neighbour(2));
    tracker.observeAll([neighbour(2)], 0);
    assert.equal(tracker.observe(neighbour(2, 9), 10), true);
    assert.equal(tracker.observeKeyGone(NEIGHBOUR_RULES.key(neighbour(2)), 20), false);
    tracker.openWindow();
    tracker.confirmPut(neighbour(2));
    const [repaired, ...more] = tracker.takeRepaired();
    assert.deepEqual(more, []);
    assert.equal(repaired?.noticedMs, 10);
    assert.match(repaired.found, /02:00:00:00:00:09/);
    assert.deepEqual(tracker.takeRepaired(), []);
  });

  it("is no news when it went away by itself, nor before the first list", () => {
    const tracker = neighbours();
    tracker.put(neighbour(2));
    tracker.observe(neighbour(2, 9), 0);
    tracker.observeAll([neighbour(2)], 1);
    tracker.observeKeyGone(NEIGHBOUR_RULES.key(neighbour(2)), 2);
    tracker.observe(neighbour(2), 3);
    tracker.settleDrift();
    assert.equal(tracker.isDrifting(NEIGHBOUR_RULES.key(neighbour(2))), false);
    assert.deepEqual(tracker.takeRepaired(), []);
  });

  it("that an event tells during a list or a write is not lost to its older result", () => {
    const key = NEIGHBOUR_RULES.key(neighbour(2));
    const tracker = neighbours();
    tracker.put(neighbour(2));
    tracker.observeAll([neighbour(2)], 0);
    tracker.openWindow();
    tracker.observeKeyGone(key, 1);
    tracker.observeAll([neighbour(2)], 2);
    assert.equal(tracker.missingCount, 1, "the list was made before the event");
    tracker.openWindow();
    tracker.observe(neighbour(2), 3);
    tracker.observeKeyGone(key, 4);
    tracker.confirmPut(neighbour(2));
    assert.equal(tracker.missingCount, 1, "our write came before the event");
  });
});

describe("what Linux keeps under one key", () => {
  const entry = (remote: string): FdbState => ({
    device: "flannel.1",
    mac: mac("02:00:00:00:00:02"),
    remote: ip(remote),
    permanent: true,
  });

  it("may be two remotes of one MAC: the right one stays, the other goes by its own name", () => {
    const tracker = new DeltaTracker<FdbState, FdbState>(FDB_RULES);
    tracker.setRealm(REALM);
    tracker.put(entry("10.99.0.2"));
    tracker.observeAll([entry("10.99.0.66"), entry("10.99.0.2")], 0);
    assert.deepEqual(tracker.pendingPuts(false), []);
    assert.deepEqual(
      tracker.pendingDeletes().map(({ spec }) => spec),
      [entry("10.99.0.66")],
    );
  });

  it("may be a kernel route where ours should be, which is never replaced", () => {
    const route = (words: Partial<RouteState>): RouteState => ({
      destination: network("10.244.2.0/24"),
      gateway: ip("10.244.2.0"),
      device: "flannel.1",
      onlink: true,
      scope: "global",
      type: "unicast",
      protocol: 3,
      metric: 0,
      ...words,
    });
    const connected = route({ gateway: undefined, device: "docker0", protocol: 2, scope: "link" });
    const tracker = new DeltaTracker(ROUTE_RULES);
    tracker.setRealm(REALM);
    tracker.put(route({}));
    tracker.observeAll([connected], 0);
    assert.deepEqual([tracker.pendingPuts(false), tracker.pendingDeletes()], [[], []]);
    assert.equal(tracker.obstacles().length, 1);
    assert.equal(tracker.observeGone(connected, 1), true);
    assert.equal(tracker.pendingPuts(false).length, 1);
    tracker.confirmPut(route({}));
    assert.equal(tracker.observe(connected, 2), false, "it comes beside ours");
    assert.equal(tracker.missingCount, 0);
  });

  it("is deleted by the name it has, when what was accepted is not exactly what was desired", () => {
    const tracker = new DeltaTracker(ROUTE_RULES);
    tracker.setRealm(REALM);
    const desired = {
      destination: network("10.244.2.0/24"),
      gateway: ip("10.99.0.2"),
      device: undefined,
      onlink: false,
      scope: "global" as const,
      type: "unicast" as const,
      protocol: 84,
    };
    const found: RouteState = { ...desired, device: "eth0", protocol: 3, metric: 0 };
    tracker.put(desired);
    tracker.observeAll([found], 0);
    assert.equal(tracker.missingCount, 0);
    tracker.remove(desired);
    assert.deepEqual(
      tracker.pendingDeletes().map(({ spec }) => spec),
      [found],
    );
  });

  it("costs no write when it was unwanted and wanted again in between", () => {
    const tracker = neighbours();
    tracker.put(neighbour(2));
    tracker.observeAll([neighbour(2)], 0);
    tracker.remove(neighbour(2));
    tracker.put(neighbour(2));
    assert.deepEqual([tracker.pendingPuts(false), tracker.pendingDeletes()], [[], []]);
    assert.equal(ABSENT, "absent");
  });
});
