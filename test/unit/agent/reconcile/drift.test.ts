/** Somebody else changes the kernel: noticed by events, repaired once, told once. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RTPROT_TWILL } from "../../../../agent/plan/route-protocol.ts";
import { AUDIT_MS, DEBOUNCE_MS } from "../../../../agent/reconcile/reconciler.ts";
import { FREE_REPAIRS } from "../../../../agent/reconcile/repair-pace.ts";
import type { FakeNetwork } from "../../../support/fake-network.ts";
import { ip, mac, network, networkConfig, VXLAN, vxlanLease } from "../../../support/leases.ts";
import { ReconcileBench } from "../../../support/reconcile-bench.ts";

const DEVICE = "flannel.1";
const MAC2 = mac("02:00:00:00:00:02");

async function programmed(
  options: ConstructorParameters<typeof ReconcileBench>[0] = {},
): Promise<ReconcileBench> {
  const bench = new ReconcileBench(options);
  bench.book.update([vxlanLease(2), vxlanLease(3), vxlanLease(4)], []);
  await bench.whole();
  await bench.repaired();
  bench.log.all.length = 0;
  bench.kernel.log.length = 0;
  return bench;
}

function onlink(destination: string, gateway = destination.replace("/24", "")) {
  return {
    destination: network(destination),
    gateway: ip(gateway),
    device: DEVICE,
    onlink: true,
    scope: "global" as const,
    type: "unicast" as const,
    protocol: 3,
  };
}

const EDITS: [string, (net: FakeNetwork) => void, readonly string[]][] = [
  [
    "a deleted route",
    (net) => net.deleteRoute(onlink("10.244.2.0/24")),
    ["route 10.244.2.0/24: 10.244.2.0/24 via 10.244.2.0 dev flannel.1 proto boot onlink <- absent"],
  ],
  [
    "a route with another gateway",
    (net) => net.putRoute(onlink("10.244.2.0/24", "10.244.9.0")),
    [
      "route 10.244.2.0/24: 10.244.2.0/24 via 10.244.2.0 dev flannel.1 proto boot onlink <- 10.244.2.0/24 via 10.244.9.0 dev flannel.1 proto boot onlink",
    ],
  ],
  [
    "a route for nobody's subnet",
    (net) => net.putRoute(onlink("10.244.99.0/24")),
    [
      "route 10.244.99.0/24: absent <- 10.244.99.0/24 via 10.244.99.0 dev flannel.1 proto boot onlink",
    ],
  ],
  [
    "a deleted neighbour",
    (net) => net.deleteNeighbour({ device: DEVICE, ip: ip("10.244.3.0") }),
    [
      "neighbour flannel.1 10.244.3.0: 10.244.3.0 dev flannel.1 lladdr 02:00:00:00:00:03 PERMANENT <- absent",
    ],
  ],
  [
    "a neighbour with another MAC",
    (net) => net.putNeighbour({ device: DEVICE, ip: ip("10.244.3.0"), mac: MAC2 }),
    [
      "neighbour flannel.1 10.244.3.0: 10.244.3.0 dev flannel.1 lladdr 02:00:00:00:00:03 PERMANENT <- 10.244.3.0 dev flannel.1 lladdr 02:00:00:00:00:02 PERMANENT",
    ],
  ],
  [
    "a deleted FDB entry",
    (net) => net.deleteFdb({ device: DEVICE, mac: MAC2, remote: ip("10.99.0.2") }),
    [
      "fdb flannel.1 02:00:00:00:00:02: 02:00:00:00:00:02 dev flannel.1 dst 10.99.0.2 self permanent <- absent",
    ],
  ],
  [
    "an FDB entry with another remote",
    (net) => net.putFdb({ device: DEVICE, mac: MAC2, remote: ip("10.99.0.66") }),
    [
      "fdb flannel.1 02:00:00:00:00:02: 02:00:00:00:00:02 dev flannel.1 dst 10.99.0.2 self permanent <- 02:00:00:00:00:02 dev flannel.1 dst 10.99.0.66 self permanent",
    ],
  ],
  [
    "a deleted address",
    (net) => {
      // A second address first: losing the last one would take the routes along.
      net.putAddress({ device: DEVICE, ip: ip("172.31.0.1"), prefix: 32 });
      net.deleteAddress({ device: DEVICE, ip: ip("10.244.1.0"), prefix: 32 });
    },
    ["address flannel.1 10.244.1.0/32: 10.244.1.0/32 dev flannel.1 <- absent"],
  ],
  [
    "a second address inside the network",
    (net) => net.putAddress({ device: DEVICE, ip: ip("10.244.77.0"), prefix: 32 }),
    ["address flannel.1 10.244.77.0/32: absent <- 10.244.77.0/32 dev flannel.1"],
  ],
  [
    "the device set down",
    (net) => net.setLink(DEVICE, { up: false }),
    [
      "link flannel.1: flannel.1 vxlan id 1 local 10.99.0.1 dev eth0 mtu 1450 address 7e:00:00:00:00:01 up <- down",
    ],
  ],
  [
    "the device deleted",
    (net) => net.deleteLink(DEVICE),
    [
      "link flannel.1: flannel.1 vxlan id 1 local 10.99.0.1 dev eth0 mtu 1450 address 7e:00:00:00:00:01 up <- absent",
    ],
  ],
  [
    "the device's MAC rewritten",
    (net) => net.setLink(DEVICE, { mac: mac("02:11:22:33:44:55") }),
    [
      "link flannel.1: flannel.1 vxlan id 1 local 10.99.0.1 dev eth0 mtu 1450 address 7e:00:00:00:00:01 up <- MAC 02:11:22:33:44:55",
    ],
  ],
  [
    "the device's MTU changed",
    (net) => net.setLink(DEVICE, { mtuBytes: 1200 }),
    [
      "link flannel.1: flannel.1 vxlan id 1 local 10.99.0.1 dev eth0 mtu 1450 address 7e:00:00:00:00:01 up <- MTU 1200",
    ],
  ],
];

describe("drift", () => {
  for (const [name, edit, expected] of EDITS) {
    it(`is noticed and repaired within the debounce, and told once: ${name}`, async () => {
      await using bench = await programmed();
      const { network: net } = bench.kernel;
      const before = bench.kernel.describe();
      edit(net);
      assert.notEqual(bench.kernel.describe(), before);
      await bench.repaired();
      const address = "address flannel.1 172.31.0.1/32\n";
      assert.equal(bench.kernel.describe().replace(address, ""), before);
      assert.deepEqual(
        (bench.report?.drift ?? []).map((d) => `${d.kind} ${d.key}: ${d.expected} <- ${d.found}`),
        expected,
      );
      assert.equal(bench.report?.drift[0]?.repairedMs, DEBOUNCE_MS);
      assert.equal(bench.log.of("drift.repaired").length, 1);
      const reports = bench.reports.length;
      await bench.advance(AUDIT_MS * 2);
      assert.equal(bench.reports.length, reports, "nothing more to tell");
    });
  }

  it("comes from nobody when we write ourselves", async () => {
    await using bench = await programmed();
    await bench.change([vxlanLease(2, { ip: "10.99.0.22" }), vxlanLease(9)], [vxlanLease(3).key]);
    await bench.repaired();
    await bench.advance(AUDIT_MS + 1);
    assert.deepEqual(bench.log.of("drift.repaired"), []);
    assert.equal(bench.report?.driftCount, 0);
  });

  it("is found by the audit when no event told of it", async () => {
    await using bench = await programmed();
    const before = bench.kernel.describe();
    bench.kernel.network.routes.delete("10.244.3.0/24 0");
    assert.notEqual(bench.kernel.describe(), before);
    await bench.advance(AUDIT_MS + 1);
    assert.equal(bench.kernel.describe(), before);
    assert.deepEqual(
      bench.log.of("drift.repaired").map(({ fields }) => fields.key),
      ["route 10.244.3.0/24"],
    );
  });

  it("of a whole table is one pass, told object by object", async () => {
    await using bench = await programmed();
    const before = bench.kernel.describe();
    const { network: net } = bench.kernel;
    for (const route of net.routes.values()) if (route.protocol === 3) net.deleteRoute(route);
    for (const entry of net.fdb.values()) net.deleteFdb(entry);
    for (const neighbour of net.neighbours.values()) net.deleteNeighbour(neighbour);
    const reports = bench.reports.length;
    await bench.repaired();
    assert.equal(bench.kernel.describe(), before);
    assert.equal(bench.reports.length, reports + 1);
    assert.equal(bench.report?.driftCount, 9);
  });

  it("is found again after lost events", async () => {
    await using bench = await programmed();
    const before = bench.kernel.describe();
    bench.kernel.dropEvents(2);
    bench.kernel.network.deleteRoute(onlink("10.244.2.0/24"));
    bench.kernel.network.deleteFdb({ device: DEVICE, mac: MAC2, remote: ip("10.99.0.2") });
    await bench.repaired();
    bench.kernel.assertConsumed();
    assert.equal(bench.kernel.describe(), before);
    assert.equal(bench.log.of("kernel.overrun").length, 1);
    assert.equal(bench.report?.driftCount, 2);
  });

  it("is repaired when its pause ends, also when that is in the middle of a pass", async () => {
    await using bench = await programmed();
    const { kernel, clock } = bench;
    const route = onlink("10.244.2.0/24");
    for (let repair = 0; repair < FREE_REPAIRS; repair += 1) {
      kernel.network.deleteRoute(route);
      await bench.repaired();
    }
    const freeMs = clock.monotonicMs() + 1000;
    kernel.network.deleteRoute(route);
    await clock.advance(freeMs - clock.monotonicMs() - DEBOUNCE_MS - 5);
    await bench.settled();
    assert.doesNotMatch(kernel.describe(), /route 10\.244\.2\.0/, "held");
    // A pass for something else begins before the pause ends, and ends after it.
    const apply = kernel.apply.bind(kernel);
    let goOn = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    kernel.apply = async (changes, signal) => {
      await gate;
      return apply(changes, signal);
    };
    kernel.network.deleteNeighbour({ device: DEVICE, ip: ip("10.244.3.0") });
    await bench.repaired();
    assert.ok(clock.monotonicMs() < freeMs);
    await clock.advance(10);
    assert.ok(clock.monotonicMs() > freeMs);
    goOn();
    await bench.settled();
    await bench.advance(1000);
    assert.match(kernel.describe(), /route 10\.244\.2\.0/);
  });

  it("is repaired less and less often when somebody keeps making it", async () => {
    await using bench = await programmed();
    let repairs = 0;
    for (let second = 0; second < 60; second += 1) {
      bench.kernel.network.deleteRoute(onlink("10.244.2.0/24"));
      const writes = bench.kernel.writes().length;
      await bench.repaired();
      await bench.clock.advance(980);
      await bench.settled();
      repairs += bench.kernel.writes().length > writes ? 1 : 0;
    }
    assert.ok(repairs >= FREE_REPAIRS + 3, `${repairs} repairs in a minute of fight`);
    assert.ok(repairs <= FREE_REPAIRS + 8, `${repairs} repairs in a minute of fight`);
    assert.equal(bench.log.of("drift.contested").length, 1);
    await bench.advance(40_000);
    assert.match(bench.kernel.describe(), /route 10\.244\.2\.0\/24/, "it has the last word");
  });

  it("of an underlay that went takes direct routes along in silence, and brings them back", async () => {
    const config = networkConfig({ ...VXLAN, directRouting: true });
    await using bench = await programmed({ config, direct: ["10.99.0.2"] });
    const before = bench.kernel.describe();
    assert.match(before, /route 10\.244\.2\.0\/24 via 10\.99\.0\.2 dev eth0 proto 84/);
    const { network: net } = bench.kernel;
    net.setLink("eth0", { up: false });
    await bench.repaired();
    assert.deepEqual(
      bench.report?.failures.map(({ kind, key, code }) => `${kind} ${key} ${code}`),
      ["route 10.244.2.0/24 ENETUNREACH"],
    );
    net.setLink("eth0", { up: true });
    net.putAddress({ device: "eth0", ip: ip("fd99::1"), prefix: 64 });
    await bench.repaired();
    assert.equal(bench.kernel.describe(), before);
    assert.equal(bench.report?.failureCount, 0);
  });

  it("of the lower device makes the tunnel wait for it, and come back", async () => {
    await using bench = await programmed();
    const before = bench.kernel.describe();
    const { network: net } = bench.kernel;
    net.deleteLink("eth0");
    await bench.repaired();
    assert.deepEqual(
      bench.report?.failures.map(({ kind, key, code }) => `${kind} ${key} ${code}`),
      ["link flannel.1 INTERFACE_NOT_FOUND"],
    );
    assert.equal(bench.report?.devicesWork, false);
    bench.kernel.addCard("eth0", "10.99.0.1/16", "fd99::1/64");
    await bench.repaired();
    assert.equal(bench.report?.failureCount, 0);
    const withoutCard = (text: string) => text.split("\n").filter((line) => !line.includes("eth0"));
    assert.deepEqual(withoutCard(bench.kernel.describe()), withoutCard(before));
  });

  it("of the only address takes the routes along in silence, and all come back", async () => {
    await using bench = await programmed();
    const before = bench.kernel.describe();
    bench.kernel.network.deleteAddress({ device: DEVICE, ip: ip("10.244.1.0"), prefix: 32 });
    assert.doesNotMatch(bench.kernel.describe(), /dev flannel\.1 onlink/);
    await bench.repaired();
    assert.equal(bench.kernel.describe(), before);
  });

  it("removes a route of ours that points to a device of nobody", async () => {
    await using bench = await programmed();
    const route = { ...onlink("10.244.50.0/24", "10.99.0.50"), device: "eth0", onlink: false };
    bench.kernel.network.putRoute({ ...route, protocol: RTPROT_TWILL });
    await bench.repaired();
    assert.doesNotMatch(bench.kernel.describe(), /10\.244\.50\.0/);
  });

  it("of a large table is repaired from events alone, without a list", async () => {
    const config = networkConfig();
    const wide = { ...config, v4: config.v4 && { ...config.v4, network: network("10.0.0.0/8") } };
    await using bench = new ReconcileBench({ config: wide });
    bench.book.update(
      Array.from({ length: 2_500 }, (_, n) => vxlanLease(n + 2)),
      [],
    );
    await bench.whole();
    await bench.repaired();
    const before = bench.kernel.describe();
    bench.kernel.log.length = 0;
    bench.kernel.network.deleteRoute(onlink("10.244.77.0/24"));
    bench.kernel.network.putFdb({
      device: DEVICE,
      mac: mac("02:00:00:00:00:07"),
      remote: ip("10.99.1.1"),
    });
    bench.kernel.network.deleteNeighbour({ device: DEVICE, ip: ip("10.245.7.0") });
    await bench.repaired();
    assert.equal(bench.kernel.describe(), before);
    assert.deepEqual(bench.kernel.log, [
      "put neighbour flannel.1 10.245.7.0",
      "put fdb flannel.1 02:00:00:00:00:07",
      "put route 10.244.77.0/24 metric 78",
    ]);
    assert.equal(bench.report?.driftCount, 3);
  });
});
