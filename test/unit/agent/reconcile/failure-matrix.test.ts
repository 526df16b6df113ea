/**
 * Every scenario under every failure that it can meet: each call of the kernel port that the
 * scenario makes is made to fail once and three times, and the end must be the same kernel as
 * without the failure. That the failure really happened is asserted too.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Lease } from "../../../../common/lease/lease.ts";
import type { FakeKernel } from "../../../support/fake-kernel.ts";
import {
  dualLease,
  ip,
  mac,
  network,
  networkConfig,
  VXLAN,
  vxlanLease,
} from "../../../support/leases.ts";
import { machine, ReconcileBench } from "../../../support/reconcile-bench.ts";

interface Scenario {
  readonly name: string;
  readonly options?: ConstructorParameters<typeof ReconcileBench>[0];
  readonly before?: (kernel: FakeKernel) => void;
  readonly play: (bench: ReconcileBench) => Promise<void>;
}

const PEERS = [vxlanLease(2), vxlanLease(3), vxlanLease(4)];

async function start(bench: ReconcileBench, peers: readonly Lease[] = PEERS): Promise<void> {
  bench.book.update(peers, []);
  await bench.whole();
}

function leftovers(kernel: FakeKernel): void {
  const net = kernel.network;
  net.createLink({
    kind: "vxlan",
    name: "flannel.1",
    mtuBytes: 1450,
    mac: mac("02:99:00:00:00:01"),
    vni: 1,
    lower: "eth0",
    local: ip("10.99.0.1"),
    port: 0,
    learning: false,
    gbp: false,
  });
  net.setLink("flannel.1", { up: true });
  net.putAddress({ device: "flannel.1", ip: ip("10.244.9.0"), prefix: 32 });
  net.putNeighbour({ device: "flannel.1", ip: ip("10.244.9.0"), mac: mac("02:00:00:00:00:09") });
  net.putFdb({ device: "flannel.1", mac: mac("02:00:00:00:00:09"), remote: ip("10.99.0.9") });
  net.putRoute({
    destination: network("10.244.9.0/24"),
    gateway: ip("10.244.9.0"),
    device: "flannel.1",
    onlink: true,
    scope: "global",
    type: "unicast",
    protocol: 3,
  });
}

const SCENARIOS: readonly Scenario[] = [
  { name: "a start from nothing", play: (bench) => start(bench) },
  {
    name: "a start in dual stack",
    options: { config: networkConfig(VXLAN, "dual") },
    play: (bench) => start(bench, [dualLease(2), dualLease(3)]),
  },
  { name: "a start over leftovers", before: leftovers, play: (bench) => start(bench) },
  {
    name: "a start from the cache",
    before: leftovers,
    play: async (bench) => {
      bench.book.update([vxlanLease(2)], []);
      await bench.whole(false);
      bench.book.update(PEERS, []);
      await bench.whole(true);
    },
  },
  {
    name: "leases that change",
    play: async (bench) => {
      await start(bench);
      await bench.change([vxlanLease(5), vxlanLease(2, { ip: "10.99.0.22" })]);
      await bench.change(
        [vxlanLease(3, { data: '{"VtepMAC":"02:cc:00:00:00:03"}' })],
        [vxlanLease(4).key],
      );
    },
  },
  {
    name: "another VNI",
    before: leftovers,
    options: { config: networkConfig({ ...VXLAN, vni: 7 }) },
    play: (bench) => start(bench, [vxlanLease(2, { data: '{"VtepMAC":"02:00:00:00:00:02"}' })]),
  },
  {
    name: "host-gw",
    options: {
      config: networkConfig({ type: "host-gw" }),
      own: vxlanLease(1, { type: "host-gw" }),
    },
    play: async (bench) => {
      await start(
        bench,
        PEERS.map((peer) => ({ ...peer, attrs: { ...peer.attrs, backendType: "host-gw" } })),
      );
      await bench.change([], [vxlanLease(3).key]);
    },
  },
  {
    name: "a device that is deleted",
    play: async (bench) => {
      await start(bench);
      bench.kernel.network.deleteLink("flannel.1");
      await bench.repaired();
    },
  },
  {
    name: "tables that are flushed",
    play: async (bench) => {
      await start(bench);
      const net = bench.kernel.network;
      for (const route of net.routes.values()) if (route.protocol === 3) net.deleteRoute(route);
      for (const entry of net.fdb.values()) net.deleteFdb(entry);
      await bench.repaired();
    },
  },
];

/** Long enough for three retries of anything. */
const PATIENCE_MS = 5_000;

interface Played {
  readonly end: string;
  /** First words of every call: "put route", "list fdb" … */
  readonly calls: ReadonlySet<string>;
}

async function play(scenario: Scenario, fail?: (kernel: FakeKernel) => void): Promise<Played> {
  const kernel = machine();
  scenario.before?.(kernel);
  kernel.log.length = 0;
  fail?.(kernel);
  await using bench = new ReconcileBench({ ...scenario.options, kernel });
  await scenario.play(bench);
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 500) await bench.clock.advance(500);
  await bench.settled();
  const failed = bench.reports.some(({ failureCount }) => failureCount > 0);
  if (fail !== undefined) {
    kernel.assertConsumed();
    assert.ok(failed, "no report told of it");
    assert.ok(bench.log.of("reconcile.failed").length >= 1, "no line told of it");
    assert.ok(bench.log.of("reconcile.recovered").length >= 1, "no line told of the recovery");
  }
  assert.deepEqual(bench.report?.failures, []);
  const calls = new Set(kernel.log.map((line) => line.split(" ").slice(0, 2).join(" ")));
  return { end: kernel.describe(), calls };
}

describe("the end is the same whatever fails on the way:", () => {
  for (const scenario of SCENARIOS) {
    it(scenario.name, async () => {
      const { end, calls } = await play(scenario);
      for (const call of calls) {
        const errno = call.startsWith("list") ? "EINTR" : "ENOMEM";
        for (const times of [1, 3]) {
          const failing = await play(scenario, (kernel) => kernel.failNext(call, errno, times));
          assert.equal(failing.end, end, `${times} x ${errno} at "${call}"`);
        }
      }
    });
  }
});

describe("one failing key", () => {
  it("stays one failing key: the others are programmed, it is told once and tried again", async () => {
    await using bench = new ReconcileBench();
    bench.kernel.failNext("put route 10.244.3.0/24", "ENOMEM", 4, "out of room");
    bench.book.update(PEERS, []);
    await bench.whole();
    assert.deepEqual(bench.report?.failures, [
      { kind: "route", key: "10.244.3.0/24", code: "ENOMEM", message: "out of room" },
    ]);
    assert.match(bench.kernel.describe(), /10\.244\.4\.0\/24 via/);
    await bench.change([vxlanLease(9)]);
    assert.equal(bench.report?.failureCount, 1, "it is still told while it waits for its retry");
    await bench.advance(10_000);
    bench.kernel.assertConsumed();
    assert.equal(bench.report?.failureCount, 0);
    assert.equal(bench.log.of("reconcile.failed").length, 1);
    assert.equal(bench.log.of("reconcile.recovered").length, 1);
    const tries = bench.kernel.log.filter((line) => line === "put route 10.244.3.0/24");
    assert.equal(tries.length, 5);
  });

  it("is forgotten when nobody wants it any more", async () => {
    await using bench = new ReconcileBench();
    bench.kernel.failNext("put route 10.244.3.0/24", "ENOMEM", 1000);
    bench.book.update(PEERS, []);
    await bench.whole();
    await bench.change([], [vxlanLease(3).key]);
    assert.equal(bench.report?.failureCount, 0);
  });

  it("is tried less and less often, and at once when the underlay comes back", async () => {
    await using bench = new ReconcileBench();
    bench.kernel.failNext("put route 10.244.3.0/24", "ENOMEM", 1000);
    bench.book.update(PEERS, []);
    await bench.whole();
    const tries = (): number =>
      bench.kernel.log.filter((line) => line === "put route 10.244.3.0/24").length;
    for (let waited = 0; waited < 120; waited += 1) await bench.clock.advance(500);
    await bench.settled();
    assert.ok(tries() >= 8 && tries() <= 12, `${tries()} tries in a minute`);
    const before = tries();
    bench.kernel.network.putAddress({ device: "eth0", ip: ip("10.99.0.200"), prefix: 32 });
    await bench.repaired();
    assert.equal(tries(), before + 1);
  });

  it("of many is counted, and the list in a report is bounded", async () => {
    await using bench = new ReconcileBench();
    bench.kernel.failNext("put route", "ENOMEM", 100_000);
    bench.book.update(
      Array.from({ length: 250 }, (_, n) => vxlanLease(n + 2)),
      [],
    );
    await bench.whole();
    assert.equal(bench.report?.failureCount, 250);
    assert.equal(bench.report?.failures.length, 100);
    assert.match(bench.log.of("reconcile.failed")[0]?.message ?? "", /and 249 more/);
    assert.equal(bench.log.of("reconcile.failed").length, 1);
  });

  it("may be a device: nothing is written to it, and other devices work", async () => {
    const kernel = machine();
    kernel.network.addDevice({ name: "flannel.1", kind: "dummy", mac: mac("02:00:00:00:00:77") });
    await using bench = new ReconcileBench({ kernel, config: networkConfig(VXLAN, "dual") });
    kernel.log.length = 0;
    await start(bench, [dualLease(2)]);
    assert.deepEqual(
      bench.report?.failures.map(({ kind, key, code }) => `${kind} ${key} ${code}`),
      ["link flannel.1 DEVICE_FOREIGN"],
    );
    assert.ok(kernel.writes().every((line) => !line.includes("flannel.1 ")));
    assert.match(kernel.describe(), /fd00:0:0:2::\/64 via fd00:0:0:2:: dev flannel-v6\.1/);
    kernel.network.deleteLink("flannel.1");
    await bench.repaired();
    assert.equal(bench.report?.failureCount, 0);
    assert.match(kernel.describe(), /10\.244\.2\.0\/24 via 10\.244\.2\.0 dev flannel\.1/);
  });
});

describe("a device that goes while it is written to", () => {
  it("is one trouble and no failure of its objects: the pass looks again and fills it anew", async () => {
    await using bench = new ReconcileBench();
    await start(bench);
    const before = bench.kernel.describe();
    // The entries go first, one event each, and a pass may come before the device's own event.
    bench.kernel.failNext("put neighbour", "ENODEV", 1);
    bench.kernel.failNext("put fdb", "ENODEV", 1);
    await bench.change([vxlanLease(9)]);
    bench.kernel.assertConsumed();
    assert.equal(bench.report?.failureCount, 0);
    assert.deepEqual(bench.log.of("reconcile.failed"), []);
    assert.match(bench.kernel.describe(), /fdb flannel\.1 02:00:00:00:00:09/);
    await bench.change([], [vxlanLease(9).key]);
    assert.equal(bench.kernel.describe(), before);
  });

  it("is a failure when a second look does not help", async () => {
    await using bench = new ReconcileBench();
    bench.kernel.failNext("put fdb flannel.1 02:00:00:00:00:03", "ENODEV", 2);
    await start(bench);
    assert.deepEqual(
      bench.report?.failures.map(({ key, code }) => `${key} ${code}`),
      ["flannel.1 02:00:00:00:00:03 ENODEV"],
    );
    await bench.advance(2_000);
    assert.equal(bench.report?.failureCount, 0);
  });
});

describe("stopping", () => {
  it("leaves the kernel as it is and takes no listener along", async () => {
    const kernel = machine();
    {
      await using bench = new ReconcileBench({ kernel });
      await start(bench);
    }
    assert.match(kernel.describe(), /10\.244\.4\.0\/24 via/);
    assert.equal(kernel.watchers, 0);
  });
});
