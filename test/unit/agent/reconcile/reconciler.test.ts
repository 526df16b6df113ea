/** The loop on a small kernel: from nothing, from leftovers, through plans that change. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RouteSpec } from "../../../../agent/plan/kernel-state.ts";
import { RTPROT_BOOT, RTPROT_TWILL } from "../../../../agent/plan/route-protocol.ts";
import { AUDIT_MS } from "../../../../agent/reconcile/reconciler.ts";
import { assertGolden } from "../../../support/golden.ts";
import {
  dualLease,
  IDENTITY,
  ip,
  mac,
  network,
  networkConfig,
  VXLAN,
  vtepData,
  vxlanLease,
} from "../../../support/leases.ts";
import { machine, ReconcileBench } from "../../../support/reconcile-bench.ts";

const PEERS = [vxlanLease(2), vxlanLease(3), vxlanLease(4)];

function route(
  destination: string,
  gateway: string,
  device: string,
  words: Partial<RouteSpec> = {},
) {
  return {
    destination: network(destination),
    gateway: ip(gateway),
    device,
    onlink: false,
    scope: "global" as const,
    type: "unicast" as const,
    protocol: RTPROT_TWILL,
    ...words,
  };
}

const ONLINK = { onlink: true, protocol: RTPROT_BOOT };

/** The kernel as a whole, as it is when nothing but the plan was ever there. */
async function fresh(options: ConstructorParameters<typeof ReconcileBench>[0] = {}, peers = PEERS) {
  await using bench = new ReconcileBench({ ...options, kernel: machine() });
  bench.book.update(peers, []);
  await bench.whole();
  return bench.kernel.describe();
}

describe("a pass of the reconciler", () => {
  it("programs three peers from nothing, in the order that traffic needs", async () => {
    await using bench = new ReconcileBench();
    bench.book.update(PEERS, []);
    await bench.whole();
    assertGolden("reconcile/three-peers.txt", `${bench.kernel.describe()}\n`);
    assert.equal(bench.report?.failureCount, 0);
    assert.deepEqual(bench.report?.counts.route, { desired: 3, missing: 0, put: 3, deleted: 0 });
    assert.deepEqual(
      bench.kernel.writes().map((line) => line.split(" ").slice(0, 2).join(" ")),
      [
        "create link",
        "set link",
        "put address",
        ...Array<string>(3).fill("put neighbour"),
        ...Array<string>(3).fill("put fdb"),
        ...Array<string>(3).fill("put route"),
      ],
    );
    assert.deepEqual(bench.sysctls, ["net.ipv6.conf.flannel/1.accept_ra=0"]);
  });

  it("programs dual stack on two devices", async () => {
    await using bench = new ReconcileBench({ config: networkConfig(VXLAN, "dual") });
    bench.book.update([dualLease(2), dualLease(3), vxlanLease(4)], []);
    await bench.whole();
    assertGolden("reconcile/dual-stack.txt", `${bench.kernel.describe()}\n`);
    assert.equal(bench.report?.failureCount, 0);
  });

  it("writes nothing when it starts again on what it left", async () => {
    const kernel = machine();
    for (const run of ["first", "second"]) {
      await using bench = new ReconcileBench({ kernel });
      kernel.log.length = 0;
      bench.book.update(PEERS, []);
      await bench.whole();
      assert.equal(bench.report?.failureCount, 0);
      if (run === "second") assert.deepEqual(kernel.writes(), []);
    }
    assert.equal(kernel.watchers, 0, "listeners go home");
  });

  it("writes only what a changed lease changes, new before old", async () => {
    await using bench = new ReconcileBench();
    bench.book.update(PEERS, []);
    await bench.whole();
    bench.kernel.log.length = 0;
    await bench.change([vxlanLease(3, { data: vtepData("02:aa:00:00:00:03") })]);
    assert.deepEqual(bench.kernel.writes(), [
      "put fdb flannel.1 02:aa:00:00:00:03",
      "put neighbour flannel.1 10.244.3.0",
      "delete fdb flannel.1 02:00:00:00:00:03",
    ]);
    bench.kernel.log.length = 0;
    await bench.change([vxlanLease(3, { ip: "10.99.0.33", data: vtepData("02:aa:00:00:00:03") })]);
    assert.deepEqual(bench.kernel.writes(), ["put fdb flannel.1 02:aa:00:00:00:03"]);
    bench.kernel.log.length = 0;
    await bench.change([], [vxlanLease(3).key]);
    assert.deepEqual(bench.kernel.writes(), [
      "delete route 10.244.3.0/24",
      "delete fdb flannel.1 02:aa:00:00:00:03",
      "delete neighbour flannel.1 10.244.3.0",
    ]);
    assert.equal(bench.kernel.describe(), await fresh({}, [vxlanLease(2), vxlanLease(4)]));
  });

  it("adds before it removes when a subnet moves to another node", async () => {
    await using bench = new ReconcileBench();
    bench.book.update(PEERS, []);
    await bench.whole();
    bench.kernel.log.length = 0;
    await bench.change([vxlanLease(9)], [vxlanLease(3).key]);
    const firstDelete = bench.kernel.writes().findIndex((line) => line.startsWith("delete"));
    assert.ok(
      bench.kernel
        .writes()
        .slice(firstDelete)
        .every((line) => line.startsWith("delete")),
    );
    assert.equal(bench.kernel.writes().length, 6);
  });

  it("moves its own address when the own lease changes", async () => {
    await using bench = new ReconcileBench();
    bench.book.update(PEERS, []);
    await bench.whole();
    bench.kernel.log.length = 0;
    const own = vxlanLease(8, { ip: "10.99.0.1" });
    bench.newBook(own);
    bench.book.update(PEERS, []);
    await bench.whole();
    assert.deepEqual(bench.kernel.writes(), [
      "put address flannel.1 10.244.8.0/32",
      "delete address flannel.1 10.244.1.0/32",
    ]);
    assert.equal(bench.kernel.describe(), await fresh({ own }));
  });

  it("lists the tables at a start and not for a single lease of a large one", async () => {
    await using bench = new ReconcileBench({ config: wideConfig() });
    const many = Array.from({ length: 2_500 }, (_, n) => vxlanLease(n + 2));
    bench.book.update(many, []);
    await bench.whole();
    await bench.repaired();
    assert.equal(bench.report?.counts.route.missing, 0);
    assert.equal(bench.report?.failureCount, 0);
    bench.kernel.log.length = 0;
    await bench.change([vxlanLease(7, { ip: "10.99.77.77" })]);
    assert.deepEqual(bench.kernel.log, ["put fdb flannel.1 02:00:00:00:00:07"]);
  });
});

describe("what others left", () => {
  it("takes over from flannel without touching a thing", async () => {
    const kernel = machine();
    flannel(kernel);
    await using bench = new ReconcileBench({ kernel });
    bench.book.update([vxlanLease(2)], []);
    kernel.log.length = 0;
    await bench.whole();
    assert.deepEqual(kernel.writes(), []);
    assert.deepEqual(
      bench.log.names.filter((name) => name.startsWith("link")),
      ["link.adopted"],
    );
  });

  it("removes what earlier runs left for peers that are gone", async () => {
    const kernel = machine();
    flannel(kernel);
    kernel.network.putNeighbour({
      device: "flannel.1",
      ip: ip("10.244.9.0"),
      mac: mac("02:00:00:00:00:09"),
    });
    kernel.network.putFdb({
      device: "flannel.1",
      mac: mac("02:00:00:00:00:09"),
      remote: ip("10.99.0.9"),
    });
    kernel.network.putRoute(route("10.244.9.0/24", "10.244.9.0", "flannel.1", ONLINK));
    kernel.network.putRoute(route("10.244.10.0/24", "10.99.0.10", "eth0"));
    kernel.network.putAddress({ device: "flannel.1", ip: ip("10.244.77.0"), prefix: 32 });
    await using bench = new ReconcileBench({ kernel });
    bench.book.update([vxlanLease(2)], []);
    await bench.whole();
    assert.equal(kernel.describe(), await fresh({}, [vxlanLease(2)]));
    assert.deepEqual(bench.log.of("drift.repaired"), [], "leftovers are no drift");
  });

  it("leaves alone what is not ours", async () => {
    const kernel = machine();
    const foreign = (): void => {
      const { network: net } = kernel;
      net.putRoute(route("10.50.0.0/16", "10.99.0.50", "eth0"));
      net.putRoute(route("10.244.20.0/24", "10.99.0.50", "eth0", { protocol: 4 }));
      net.putRoute(route("192.168.7.0/24", "10.244.2.0", "flannel.1", ONLINK));
      net.putAddress({ device: "flannel.1", ip: ip("172.31.0.1"), prefix: 32 });
      net.putNeighbour({ device: "eth0", ip: ip("10.99.0.9"), mac: mac("02:00:00:00:00:99") });
    };
    flannel(kernel);
    foreign();
    const before = kernel.describe();
    await using bench = new ReconcileBench({ kernel });
    bench.book.update([vxlanLease(2)], []);
    await bench.whole();
    assert.equal(kernel.describe(), before);
  });

  it("replaces another's route to a peer's subnet, but never a local interface's own", async () => {
    const kernel = machine();
    kernel.network.addDevice({ name: "docker0", mac: mac("02:00:00:00:0d:00"), up: true });
    kernel.network.putAddress({ device: "docker0", ip: ip("10.244.3.1"), prefix: 24 });
    kernel.network.putRoute(route("10.244.2.0/24", "10.99.0.77", "eth0", { protocol: 4 }));
    await using bench = new ReconcileBench({ kernel });
    bench.book.update(PEERS, []);
    await bench.whole();
    assert.match(kernel.describe(), /10\.244\.2\.0\/24 via 10\.244\.2\.0 dev flannel\.1 onlink/);
    assert.match(kernel.describe(), /10\.244\.3\.0\/24 dev docker0 proto 2/);
    assert.deepEqual(
      bench.report?.failures.map(({ kind, key, code }) => `${kind} ${key} ${code}`),
      ["route 10.244.3.0/24 LOCAL_ROUTE"],
    );
    kernel.network.deleteAddress({ device: "docker0", ip: ip("10.244.3.1"), prefix: 24 });
    await bench.repaired();
    assert.equal(bench.report?.failureCount, 0);
  });

  it("removes the device of an earlier VNI, once the new one works", async () => {
    const kernel = machine();
    flannel(kernel);
    const config = networkConfig({ ...VXLAN, vni: 7 });
    const peer = vxlanLease(2, { data: vtepData("02:00:00:00:00:02", 7) });
    await using bench = new ReconcileBench({ kernel, config });
    bench.book.update([peer], []);
    kernel.log.length = 0;
    await bench.whole();
    assert.doesNotMatch(kernel.describe(), /flannel\.1\b/);
    assert.equal(kernel.describe(), await fresh({ config }, [peer]));
    assert.equal(kernel.writes().at(-1), "delete link flannel.1");
  });

  it("keeps another network's device of the same kind", async () => {
    const kernel = machine();
    kernel.network.createLink({ ...vxlanSpec(), name: "flannel.2", vni: 2 });
    kernel.network.putAddress({ device: "flannel.2", ip: ip("10.12.1.0"), prefix: 32 });
    await using bench = new ReconcileBench({ kernel });
    await bench.whole();
    assert.match(kernel.describe(), /link flannel\.2/);
  });

  it("accepts a direct route that flannel left, and removes it with its peer", async () => {
    const kernel = machine();
    kernel.network.putRoute(route("10.244.2.0/24", "10.99.0.2", "eth0", { protocol: RTPROT_BOOT }));
    const config = networkConfig({ type: "host-gw" });
    const peers = [2, 3].map((n) => vxlanLease(n, { type: "host-gw", data: "" }));
    await using bench = new ReconcileBench({
      kernel,
      config,
      own: vxlanLease(1, { type: "host-gw" }),
    });
    bench.book.update(peers, []);
    kernel.log.length = 0;
    await bench.whole();
    assert.deepEqual(kernel.writes(), ["put route 10.244.3.0/24"]);
    await bench.change([], [vxlanLease(2).key]);
    assert.doesNotMatch(kernel.describe(), /10\.244\.2\.0/);
  });
});

describe("before the table is in sync", () => {
  it("adds, but neither deletes nor replaces", async () => {
    const kernel = machine();
    flannel(kernel);
    kernel.network.putNeighbour({
      device: "flannel.1",
      ip: ip("10.244.9.0"),
      mac: mac("02:00:00:00:00:09"),
    });
    kernel.network.putRoute(route("10.244.9.0/24", "10.244.9.0", "flannel.1", ONLINK));
    const before = kernel.describe().split("\n");
    await using bench = new ReconcileBench({ kernel });
    bench.book.update([vxlanLease(2, { data: vtepData("02:bb:00:00:00:02") }), vxlanLease(3)], []);
    kernel.log.length = 0;
    await bench.whole(false);
    assert.deepEqual(kernel.writes(), [
      "put neighbour flannel.1 10.244.3.0",
      "put fdb flannel.1 02:bb:00:00:00:02",
      "put fdb flannel.1 02:00:00:00:00:03",
      "put route 10.244.3.0/24",
    ]);
    const after = new Set(kernel.describe().split("\n"));
    assert.deepEqual(
      before.filter((line) => !after.has(line)),
      [],
    );
    assert.equal(bench.report?.stamp?.isInSync, false);

    await bench.whole(true);
    bench.newBook();
    bench.book.update([vxlanLease(2), vxlanLease(3)], []);
    await bench.whole(true);
    assert.equal(kernel.describe(), await fresh({}, [vxlanLease(2), vxlanLease(3)]));
  });

  it("does nothing at all without a plan", async () => {
    const kernel = machine();
    flannel(kernel);
    kernel.log.length = 0;
    await using bench = new ReconcileBench({ kernel });
    await bench.advance(AUDIT_MS + 1);
    assert.deepEqual(kernel.log, []);
  });

  it("puts off making a device anew until it can be filled at once", async () => {
    const kernel = machine();
    kernel.network.createLink({ ...vxlanSpec(), port: 4789 });
    kernel.network.setLink("flannel.1", { up: true });
    await using bench = new ReconcileBench({
      kernel,
      config: networkConfig({ ...VXLAN, port: 8472 }),
    });
    bench.book.update(PEERS, []);
    await bench.whole(false);
    assert.match(kernel.describe(), /port 4789/);
    assert.match(
      kernel.describe(),
      /route 10\.244\.2\.0\/24/,
      "it carries what is known meanwhile",
    );
    await bench.whole(true);
    assert.equal(kernel.describe(), await fresh());
  });
});

/** What flannel leaves for one peer. */
function flannel(kernel: ReturnType<typeof machine>): void {
  const { network: net } = kernel;
  net.createLink(vxlanSpec());
  net.putAddress({ device: "flannel.1", ip: ip("10.244.1.0"), prefix: 32 });
  net.setLink("flannel.1", { up: true });
  net.putNeighbour({ device: "flannel.1", ip: ip("10.244.2.0"), mac: mac("02:00:00:00:00:02") });
  net.putFdb({ device: "flannel.1", mac: mac("02:00:00:00:00:02"), remote: ip("10.99.0.2") });
  net.putRoute(route("10.244.2.0/24", "10.244.2.0", "flannel.1", ONLINK));
}

function vxlanSpec() {
  return {
    kind: "vxlan" as const,
    name: "flannel.1",
    mtuBytes: 1450,
    mac: IDENTITY.vtepMac,
    vni: 1,
    lower: "eth0",
    local: ip("10.99.0.1"),
    port: 0,
    learning: false,
    gbp: false,
  };
}

/** Room for more than 255 nodes. */
function wideConfig() {
  const config = networkConfig();
  return { ...config, v4: config.v4 && { ...config.v4, network: network("10.0.0.0/8") } };
}
