/** What the page decides: conditions, sentences, places, words. All of it is pure. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type {
  ConsoleLease,
  ConsoleNode,
  ConsoleSnapshot,
} from "../../../../common/console/console-state.ts";
import { clothFor, indexAt, step } from "../../../../console/model/cloth.ts";
import { type Cluster, fold, fromSnapshot } from "../../../../console/model/cluster.ts";
import { filterEvents } from "../../../../console/model/event-filter.ts";
import { headlineOf } from "../../../../console/model/headline.ts";
import { nodeViews } from "../../../../console/model/node-views.ts";
import { peerViews } from "../../../../console/model/peer-views.ts";
import { nodeHref, parseRoute } from "../../../../console/model/route.ts";
import { subnetMap } from "../../../../console/model/subnet-map.ts";
import { duration } from "../../../../console/model/words.ts";

const RANGE = {
  network: "10.5.0.0/16",
  subnetLen: 24,
  subnetMin: "10.5.1.0",
  subnetMax: "10.5.255.0",
};

function lease(n: number, more: Partial<ConsoleLease> = {}): ConsoleLease {
  return {
    key: `10.5.${n}.0-24`,
    subnet: `10.5.${n}.0/24`,
    node: `node${n}`,
    publicIp: `10.99.0.${n}`,
    publicIpv6: "",
    backendType: "vxlan",
    backendData: "",
    isReserved: false,
    revision: n,
    ...more,
  };
}

function node(n: number, applied: number, more: Partial<ConsoleNode> = {}): ConsoleNode {
  return {
    ...{
      node: `node${n}`,
      version: "1",
      address: "a:1",
      controller: "c1:1",
      sent: applied,
      applied,
    },
    ...{
      failures: [],
      failureCount: 0,
      state: "in-sync",
      reason: "",
      driftRepaired: 0,
      sinceMs: 0,
    },
    ...more,
  };
}

function cluster(
  nodes: readonly ConsoleNode[],
  leases: readonly ConsoleLease[],
  more: Partial<ConsoleSnapshot["head"]> = {},
): Cluster {
  const controllers = [{ name: "c1", address: "c1:1", console: "", fault: "", isAsked: true }];
  const head = {
    ...{
      instance: "x",
      version: "1",
      controller: "c1:1",
      leader: "c1:1",
      controllers,
      revision: 9,
    },
    ...{ digest: "", storeFault: "", backend: "vxlan", configRevision: 1, ranges: [RANGE] },
    ...{ leaseTtlSeconds: 60, warnings: [], ...more },
  };
  return fromSnapshot({ sequence: 4, atMs: 0, head, nodes, leases, events: [] });
}

const FAILURE = { kind: "route", key: "10.5.2.0/24", code: "EPERM", message: "no" };

describe("the page's model", () => {
  it("judges nodes as twillctl does, in the order people count", () => {
    const failing = node(10, 9, { failures: [FAILURE], failureCount: 1 });
    const views = nodeViews(
      cluster([node(1, 9), node(9, 7), failing], [lease(2), lease(9), lease(1), lease(10)]),
    );
    assert.deepEqual(
      views.map(({ name, condition, behind }) => [name, condition, behind]),
      [
        ["node1", "ready", 0],
        ["node2", "lost", 0],
        ["node9", "behind", 2],
        ["node10", "failing", 0],
      ],
    );
  });

  it("calls no node lost that a controller it cannot ask may serve", () => {
    const silent = { name: "c2", address: "c2:1", console: "", fault: "refused", isAsked: true };
    const own = { name: "c1", address: "c1:1", console: "", fault: "", isAsked: true };
    const [view] = nodeViews(cluster([], [lease(2)], { controllers: [own, silent] }));
    assert.equal(view?.condition, "unseen");
  });

  it("says the state in one sentence, worst first", () => {
    const said = (of: Cluster): string => headlineOf(of, nodeViews(of)).text;
    assert.equal(said(cluster([], [])), "No node has joined yet");
    assert.equal(said(cluster([node(1, 9)], [lease(1)])), "The one node holds revision 9");
    const two = [lease(1), lease(2)];
    assert.equal(said(cluster([node(1, 9), node(2, 9)], two)), "All 2 nodes hold revision 9");
    assert.equal(said(cluster([node(1, 9), node(2, 8)], two)), "1 of 2 nodes hold revision 9");
    assert.match(said(cluster([], [], { leader: "" })), /^Nobody leads/);
    assert.match(said(cluster([], [], { leader: "", storeFault: "x" })), /^etcd does not answer/);
  });

  it("asks for a snapshot when a delta does not follow", () => {
    const begun = cluster([node(1, 9)], []);
    assert.equal(fold(begun, { sequence: 6, atMs: 1 }), undefined);
    const next = fold(begun, { sequence: 5, atMs: 1, nodesGone: ["node1"] });
    assert.equal(next?.nodes.size, 0);
    assert.equal(next?.leases, begun.leases, "what did not change is the same");
  });

  it("maps every block of the network to who holds it", () => {
    const map = subnetMap(RANGE, [
      lease(1),
      lease(7, { node: "" }),
      lease(8, { node: "", isReserved: true }),
    ]);
    assert.equal(map.cells.length, 256);
    assert.equal(map.taken, 3);
    const held = [0, 1, 2, 7, 8].map((index) => map.cells[index]?.holding);
    assert.deepEqual(held, ["outside", "node", "free", "foreign", "reserved"]);
    assert.equal(map.cells[7]?.block, "10.5.7.0/24");
  });

  it("gathers blocks in cells when there are too many to show", () => {
    const range = {
      ...RANGE,
      network: "10.0.0.0/8",
      subnetMin: "10.0.1.0",
      subnetMax: "10.255.255.0",
    };
    const map = subnetMap(range, [lease(1), lease(2)]);
    assert.equal(map.blocks, 65_536);
    assert.equal(map.blocksPerCell, 32);
    assert.equal(map.cells.length, 2048);
    assert.equal(map.cells[5 * 8]?.leases.length, 2);
    assert.equal(map.cells[5 * 8]?.block, "10.5.0.0/19");
  });

  it("finds under the pointer what stands there, for any number and width", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 60, max: 2000 }),
        (n, width) => {
          const cloth = clothFor(n, width);
          const { columns, cellWidth, cellHeight } = cloth;
          assert.ok(cloth.rows * columns >= n);
          for (const index of [0, n - 1]) {
            const x = ((index % columns) + 0.5) * cellWidth;
            const y = (Math.floor(index / columns) + 0.5) * cellHeight;
            assert.equal(indexAt(cloth, n, x, y), index);
          }
          assert.equal(indexAt(cloth, n, cloth.width + 1, 1), undefined);
        },
      ),
    );
  });

  it("never walks out of the picture by keys", () => {
    const keys = fc.constantFrom(
      "ArrowLeft",
      "ArrowRight",
      "ArrowUp",
      "ArrowDown",
      "Home",
      "End",
      "PageDown",
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 900 }),
        fc.array(keys, { maxLength: 40 }),
        (n, walk) => {
          const cloth = clothFor(n, 700);
          let at = 0;
          for (const key of walk) {
            at = step(key, at, cloth, n) ?? at;
            assert.ok(at >= 0 && at < n);
          }
        },
      ),
    );
    assert.equal(step("a", 0, clothFor(5, 700), 5), undefined);
  });

  it("says of each peer what the kernel holds of it", () => {
    const failing = node(1, 5, { failures: [FAILURE], failureCount: 1 });
    const of = cluster([failing], [lease(1), lease(2), lease(4), lease(6)]);
    const [view] = nodeViews(of);
    assert.ok(view);
    const states = peerViews(of, view).map((peer) => [peer.lease.node, peer.state]);
    assert.deepEqual(states, [
      ["node2", "failing"],
      ["node4", "held"],
      ["node6", "under way"],
    ]);
  });

  it("filters events by group and by words, which must all be there", () => {
    const event = (id: number, kind: string, text: string) =>
      ({ id, atMs: 0, kind, tone: "plain", subject: "", text }) as const;
    const events = [
      event(1, "lease.appeared", "10.5.1.0/24 is node1's"),
      event(2, "drift.repaired", "node1 put back a kernel object"),
      event(3, "leader.changed", "c2 leads now"),
    ];
    const ids = (group: "all" | "kernels", words: string): number[] =>
      filterEvents(events, { group, words }).map(({ id }) => id);
    assert.deepEqual(ids("all", ""), [1, 2, 3]);
    assert.deepEqual(ids("kernels", ""), [2]);
    assert.deepEqual(ids("all", "NODE1 back"), [2]);
  });

  it("keeps a node's name through the address", () => {
    assert.deepEqual(parseRoute(nodeHref("a.b-c_d")), { kind: "node", node: "a.b-c_d" });
    for (const hash of ["", "#/", "#/node/", "#/node/%zz", "#/node/a/b"]) {
      assert.deepEqual(parseRoute(hash), { kind: "overview" });
    }
  });

  it("says durations by their two largest units", () => {
    const said = [0, 59, 60, 3661, 86_399, 90_000].map(duration);
    assert.deepEqual(said, ["0 s", "59 s", "1 min", "1 h 1 min", "23 h 59 min", "1 d 1 h"]);
  });
});
