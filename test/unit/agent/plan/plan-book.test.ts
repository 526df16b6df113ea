/** The plan kept lease by lease equals the plan made at once, whatever the order; conflicts are settled. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  formatObject,
  type KernelObject,
  objectId,
  objectsOf,
} from "../../../../agent/plan/kernel-object.ts";
import { makePlanner } from "../../../../agent/plan/make-planner.ts";
import { PlanBook, type PlanDelta } from "../../../../agent/plan/plan-book.ts";
import type { Lease } from "../../../../common/lease/lease.ts";
import {
  dualLease,
  mac,
  networkConfig,
  plannerInput,
  VXLAN,
  vtepData,
  vxlanLease,
} from "../../../support/leases.ts";
import { seededRandom } from "../../../support/seeded-random.ts";
import { expansions, type State, type Step } from "../../../support/state-sequences.ts";

const OWN = dualLease(1, { ip: "10.99.0.1", ip6: "fd99::1" });

function freshBook(extra: readonly KernelObject[] = []): PlanBook {
  const made = makePlanner(plannerInput(networkConfig(VXLAN, "dual")));
  assert.equal(made.kind, "planner");
  return new PlanBook(made.planner, OWN, extra);
}

function texts(delta: PlanDelta): { puts: string[]; removes: string[] } {
  return { puts: delta.puts.map(formatObject), removes: delta.removes.map(formatObject) };
}

function sorted(book: PlanBook): string[] {
  return objectsOf(book.state()).map(formatObject).sort();
}

describe("the plan book", () => {
  it("answers an update with what it changes only", () => {
    const book = freshBook();
    assert.equal(book.update([vxlanLease(2), vxlanLease(3)], []).puts.length, 6);
    assert.deepEqual(texts(book.update([vxlanLease(2)], [])), { puts: [], removes: [] });
    assert.deepEqual(texts(book.update([vxlanLease(2, { ip: "10.99.0.22" })], [])), {
      puts: ["02:00:00:00:00:02 dev flannel.1 dst 10.99.0.22 self permanent"],
      removes: [],
    });
    assert.deepEqual(
      texts(book.update([vxlanLease(3, { data: vtepData("02:aa:00:00:00:03") })], [])),
      {
        puts: [
          "10.244.3.0 dev flannel.1 lladdr 02:aa:00:00:00:03 PERMANENT",
          "02:aa:00:00:00:03 dev flannel.1 dst 10.99.0.3 self permanent",
        ],
        removes: ["02:00:00:00:00:03 dev flannel.1 dst 10.99.0.3 self permanent"],
      },
    );
    assert.equal(book.update([], [vxlanLease(2).key, "10.244.200.0-24"]).removes.length, 3);
    assert.equal(book.peerCount, 1);
  });

  it("lets a lease that becomes another backend's, or ours, vanish from the plan", () => {
    const book = freshBook();
    book.update([vxlanLease(2)], []);
    assert.equal(book.update([vxlanLease(2, { type: "udp" })], []).removes.length, 3);
    assert.deepEqual(texts(book.update([OWN], [])), { puts: [], removes: [] });
  });

  it("moves a MAC from one lease to another in one step, with no remove of the moved entry", () => {
    const book = freshBook();
    book.update([vxlanLease(2)], []);
    const taker = vxlanLease(9, { data: vxlanLease(2).attrs.backendData });
    const delta = texts(book.update([taker], [vxlanLease(2).key]));
    assert.deepEqual(delta.puts, [
      "10.244.9.0 dev flannel.1 lladdr 02:00:00:00:00:02 PERMANENT",
      "02:00:00:00:00:02 dev flannel.1 dst 10.99.0.9 self permanent",
      "10.244.9.0/24 via 10.244.9.0 dev flannel.1 proto boot onlink",
    ]);
    assert.deepEqual(delta.removes, [
      "10.244.2.0 dev flannel.1 lladdr 02:00:00:00:00:02 PERMANENT",
      "10.244.2.0/24 via 10.244.2.0 dev flannel.1 proto boot onlink",
    ]);
  });

  it("uses the lowest key of two peers with one MAC, and reports both", () => {
    const twin = vxlanLease(9, { data: vtepData("02:00:00:00:00:02") });
    const book = freshBook();
    book.update([twin], []);
    assert.equal(book.peerCount, 1);
    book.update([vxlanLease(2)], []);
    assert.deepEqual(
      sorted(book).filter((line) => line.includes("10.244.9.0")),
      [],
    );
    assert.deepEqual(book.problems(), [
      {
        key: "10.244.2.0-24",
        node: "node-2",
        family: 4,
        reason:
          "its MAC 02:00:00:00:00:02 is also claimed by lease 10.244.9.0-24; this one is used",
      },
      {
        key: "10.244.9.0-24",
        node: "node-9",
        family: 4,
        reason:
          "its MAC 02:00:00:00:00:02 is also claimed by lease 10.244.2.0-24; this one is not used",
      },
    ]);
    const freed = book.update([], [vxlanLease(2).key]);
    assert.equal(freed.puts.length, 3, "the other one takes its place");
    assert.deepEqual(book.problems(), []);
  });

  it("settles two leases over one subnet", () => {
    const dual = dualLease(5);
    const single = vxlanLease(5, { ip: "10.99.0.55", data: vtepData("02:00:00:00:05:55") });
    const book = freshBook();
    book.update([dual, single], []);
    assert.deepEqual(sorted(book).filter((line) => line.startsWith("10.244.5.0/24")).length, 1);
    assert.equal(book.problems().length, 2);
    assert.ok(sorted(book).some((line) => line.startsWith("fd00:0:0:5::/64")));
  });

  it("lets one MAC serve both families of a peer: they are on different devices", () => {
    const book = freshBook();
    book.update([dualLease(3, { data6: vtepData("02:00:00:00:00:03") })], []);
    assert.deepEqual(book.problems(), []);
    assert.equal(book.peerCount, 1);
  });

  it("reports invalid peers and leaves the others alone", () => {
    const book = freshBook();
    book.update([vxlanLease(2, { data: vtepData("01:00:00:00:00:02") }), vxlanLease(3)], []);
    assert.deepEqual(
      book.problems().map(({ key, reason }) => `${key}: ${reason}`),
      ["10.244.2.0-24: VtepMAC 01:00:00:00:00:02 is no unicast address"],
    );
    assert.equal(book.peerCount, 1);
  });

  it("keeps the objects that no peer asks for", () => {
    const extra: KernelObject = {
      kind: "neighbour",
      object: {
        device: "x",
        ip: OWN.subnets.v4?.ip ?? assert.fail(),
        mac: mac("02:00:00:00:00:99"),
      },
    };
    const book = freshBook([extra]);
    assert.ok(sorted(book).includes(formatObject(extra)));
    assert.ok(sorted(book).includes("10.244.1.0/32 dev flannel.1"));
  });
});

/** Few keys and few MACs, so that conflicts and moves are common. */
const anyLease = fc
  .record({
    n: fc.integer({ min: 1, max: 6 }),
    macOf: fc.integer({ min: 1, max: 6 }),
    ip: fc.integer({ min: 2, max: 5 }),
    dual: fc.boolean(),
    type: fc.constantFrom("vxlan", "vxlan", "vxlan", "host-gw"),
  })
  .map(({ n, macOf, ip, dual, type }) => {
    const words = { ip: `10.99.0.${ip}`, data: vtepData(`02:00:00:00:00:0${macOf}`), type };
    return dual ? dualLease(n, words) : vxlanLease(n, words);
  });
const anyState = fc
  .array(anyLease, { maxLength: 8 })
  .map((leases): State<Lease> => new Map(leases.map((one) => [one.key, one])));

describe("the plan of any history", () => {
  it("depends on the leases, not on the order they came in", () => {
    fc.assert(
      fc.property(fc.array(anyState, { minLength: 1, maxLength: 4 }), fc.nat(), (states, seed) => {
        const direct = freshBook();
        direct.update(states.at(-1)?.values() ?? [], []);
        for (const { name, steps } of expansions(states, seededRandom(seed))) {
          const book = freshBook();
          for (const { upserts, removes } of steps) {
            book.update(
              upserts.map(([, lease]) => lease),
              removes,
            );
          }
          assert.deepEqual(sorted(book), sorted(direct), name);
          assert.deepEqual(book.problems(), direct.problems(), name);
        }
      }),
    );
  });

  it("is what its deltas add up to, and no two objects have one id", () => {
    fc.assert(
      fc.property(fc.array(anyState, { maxLength: 4 }), fc.nat(), (states, seed) => {
        for (const { name, steps } of expansions(states, seededRandom(seed))) {
          const book = freshBook();
          const sum = replay(book, steps, name);
          const objects = objectsOf(book.state());
          assert.equal(new Set(objects.map(objectId)).size, objects.length, name);
          assert.deepEqual([...sum.values()].map(formatObject).sort(), sorted(book), name);
        }
      }),
    );
  });
});

/** Feeds the steps and adds up the deltas, starting from what the book holds. */
function replay(
  book: PlanBook,
  steps: readonly Step<Lease>[],
  name: string,
): ReadonlyMap<string, KernelObject> {
  const sum = new Map(objectsOf(book.state()).map((item) => [objectId(item), item]));
  for (const { upserts, removes } of steps) {
    const delta = book.update(
      upserts.map(([, lease]) => lease),
      removes,
    );
    for (const item of delta.removes) {
      assert.ok(sum.delete(objectId(item)), `${name}: removes what was not there`);
    }
    for (const item of delta.puts) sum.set(objectId(item), item);
  }
  return sum;
}
