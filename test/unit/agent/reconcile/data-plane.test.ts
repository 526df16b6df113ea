/** From what the node is told to its kernel: devices first, peers with the lease, refusals that cut nobody off. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TwillError } from "../../../../common/errors.ts";
import { DataPlaneBench } from "../../../support/data-plane-bench.ts";
import {
  hostFacts,
  IDENTITY,
  ip,
  mac,
  network,
  networkConfig,
  vtepData,
  vxlanLease,
} from "../../../support/leases.ts";
import { machine } from "../../../support/reconcile-bench.ts";

const OWN = vxlanLease(1, { ip: "10.99.0.1", data: vtepData(IDENTITY.vtepMac) });

describe("the data plane", () => {
  it("makes the device before the lease, and fills it with the lease and the table", async () => {
    await using bench = new DataPlaneBench();
    await bench.node();
    assert.match(bench.kernel.describe(), /link flannel\.1 .* up/);
    assert.equal(bench.report?.devicesWork, true);
    assert.equal(bench.report.applied, undefined);
    assert.equal(bench.report.registration?.backendData, vtepData(IDENTITY.vtepMac));
    assert.equal(bench.report.mtuBytes, 1450);

    await bench.snapshot(7, [OWN, vxlanLease(2)]);
    assert.equal(bench.report.applied, undefined, "without an own lease no peer is planned");
    await bench.node({ own: OWN });
    assert.deepEqual(bench.report.applied, bench.table.position);
    assert.equal(bench.report.isInSync, true);
    assert.match(
      bench.kernel.describe(),
      /route 10\.244\.2\.0\/24 via 10\.244\.2\.0 dev flannel\.1/,
    );
    assert.deepEqual(bench.log.of("snapshot.applied").length, 1);
  });

  it("follows the table in either order of lease and snapshot", async () => {
    await using bench = new DataPlaneBench();
    await bench.node({ own: OWN });
    assert.equal(bench.report?.isInSync, false);
    await bench.snapshot(7, [OWN, vxlanLease(2)]);
    assert.equal(bench.report.isInSync, true);
    assert.equal(bench.plane.peerCount, 1);
    await bench.snapshot(8, [OWN]);
    assert.doesNotMatch(bench.kernel.describe(), /10\.244\.2\.0/);
    assert.equal(bench.report.applied?.revision, 8);
  });

  it("deletes nothing of an earlier run before lease and table are there", async () => {
    const kernel = machine();
    {
      await using before = new DataPlaneBench(kernel);
      await before.node({ own: OWN });
      await before.snapshot(7, [OWN, vxlanLease(2), vxlanLease(3)]);
    }
    const programmed = kernel.describe();
    await using bench = new DataPlaneBench(kernel);
    kernel.log.length = 0;
    await bench.node();
    await bench.snapshot(9, [OWN, vxlanLease(2)]);
    assert.equal(kernel.describe(), programmed);
    await bench.node({ own: OWN });
    assert.doesNotMatch(kernel.describe(), /10\.244\.3\.0/);
    assert.ok(kernel.writes().every((line) => line.startsWith("delete")));
  });

  it("uses the cached table add-only", async () => {
    await using bench = new DataPlaneBench();
    bench.table.restore("etcd-1", 5, [OWN, vxlanLease(2)]);
    await bench.node({ own: OWN });
    assert.match(bench.kernel.describe(), /route 10\.244\.2\.0\/24/);
    assert.equal(bench.report?.isInSync, false);
    assert.equal(bench.report.applied?.revision, 5);
  });

  it("keeps what stands when the host can no longer run the backend, and says why", async () => {
    await using bench = new DataPlaneBench();
    await bench.node({ own: OWN });
    await bench.snapshot(7, [OWN, vxlanLease(2)]);
    const programmed = bench.kernel.describe();
    const external = { ...hostFacts().external, v4: undefined };
    await bench.node({ own: OWN, host: hostFacts({ external }) });
    assert.equal(bench.report?.refusal, "interface eth0 has no IPv4 address");
    assert.equal(bench.kernel.describe(), programmed);
    await bench.node({ own: OWN });
    assert.equal(bench.report.refusal, undefined);
  });

  it("keeps the peers when the own lease is lost", async () => {
    await using bench = new DataPlaneBench();
    await bench.node({ own: OWN });
    await bench.snapshot(7, [OWN, vxlanLease(2)]);
    const programmed = bench.kernel.describe();
    await bench.node({ own: undefined });
    assert.equal(bench.kernel.describe(), programmed);
  });

  it("names a device of our name that is not ours", async () => {
    const kernel = machine();
    kernel.network.addDevice({ name: "flannel.1", kind: "dummy", mac: mac("02:00:00:00:00:77") });
    await using bench = new DataPlaneBench(kernel);
    await bench.node({ own: OWN });
    assert.equal(bench.report?.devicesWork, false);
    assert.match(bench.report.refusal ?? "", /flannel\.1 exists as a device of kind "dummy"/);
    assert.equal(bench.report.failures[0]?.code, "DEVICE_FOREIGN");
    assert.match(kernel.describe(), /link flannel\.1 dummy/);
  });

  it("removes what stood in the network before", async () => {
    const kernel = machine();
    {
      await using before = new DataPlaneBench(kernel);
      await before.node({ own: OWN });
      await before.snapshot(7, [OWN, vxlanLease(2)]);
    }
    const renumbered = networkConfig();
    const v4 = renumbered.v4 && { ...renumbered.v4, network: network("10.200.0.0/16") };
    const own = { ...vxlanLease(1, { key: "10.200.1.0-24", ip: "10.99.0.1" }) };
    await using bench = new DataPlaneBench(kernel, {
      previousNetworks: [network("10.244.0.0/16")],
    });
    await bench.node({ own, config: { ...renumbered, v4 } });
    await bench.snapshot(9, [own, vxlanLease(2, { key: "10.200.2.0-24" })]);
    assert.doesNotMatch(kernel.describe(), /10\.244/);
    assert.match(kernel.describe(), /10\.200\.2\.0\/24/);
  });

  it("tells of every unusable peer once", async () => {
    await using bench = new DataPlaneBench();
    await bench.node({ own: OWN });
    const broken = vxlanLease(2, { data: "{}" });
    await bench.snapshot(7, [OWN, broken]);
    await bench.snapshot(8, [OWN, broken, vxlanLease(3)]);
    assert.deepEqual(
      bench.log.of("peer.invalid").map(({ message }) => message),
      [
        "lease 10.244.2.0-24 of node node-2 is not used for IPv4: VtepMAC is missing from BackendData",
      ],
    );
    assert.equal(bench.report?.problems.length, 1);
  });

  it("puts a blackhole behind its own subnet when asked to", async () => {
    await using bench = new DataPlaneBench(machine(), { blackholeRoute: true });
    await bench.node({ own: OWN });
    await bench.snapshot(7, [OWN]);
    assert.match(
      bench.kernel.describe(),
      /route blackhole 10\.244\.1\.0\/24 metric 4294967295 proto 84/,
    );
    const kernelRoute = { device: "cni0", ip: ip("10.244.1.1"), prefix: 24 };
    bench.kernel.network.addDevice({ name: "cni0", mac: mac("02:00:00:00:0c:00"), up: true });
    bench.kernel.network.putAddress(kernelRoute);
    await bench.settled();
    assert.deepEqual(bench.report?.failures, []);
    assert.match(bench.kernel.describe(), /route 10\.244\.1\.0\/24 dev cni0 proto 2/);
  });

  it("keeps checksum offload off where asked to, and reports who switched it on", async () => {
    await using bench = new DataPlaneBench(machine(), { txChecksumOff: true });
    await bench.node({ own: OWN });
    await bench.snapshot(7, [OWN]);
    const { network } = bench.kernel;
    assert.equal(network.links.get("flannel.1")?.txChecksum, false);
    network.setLink("flannel.1", { txChecksum: true });
    await bench.clock.advance(1000);
    await bench.settled();
    assert.equal(network.links.get("flannel.1")?.txChecksum, false);
    const repaired = bench.reports.flatMap((report) => report.repaired);
    assert.match(JSON.stringify(repaired), /tx-checksum-ip-generic on/);
  });

  it("reports how long the oldest change waited", async () => {
    await using bench = new DataPlaneBench();
    await bench.node({ own: OWN });
    const snapshot = bench.snapshot(7, [OWN, vxlanLease(2)]);
    bench.clock.skip(30);
    await snapshot;
    assert.equal(bench.report?.applyMs, 30);
  });

  it("gives the udp backend's packet loop its place and its peers, peers first", async () => {
    await using bench = new DataPlaneBench();
    const config = networkConfig({ type: "udp", port: 8285 });
    const words = { type: "", data: "" };
    await bench.node({ config });
    assert.deepEqual(bench.tunnel.told, [], "no address without a lease");
    await bench.node({ config, own: OWN });
    await bench.snapshot(7, [OWN, vxlanLease(2, words), vxlanLease(3, words)]);
    assert.deepEqual(bench.tunnel.told, [
      "peers ",
      "want flannel0 10.99.0.1 10.244.1.0",
      "peers 10.99.0.2 10.99.0.3",
    ]);
    assert.match(bench.kernel.describe(), /link flannel0 tun/);
    assert.match(bench.kernel.describe(), /route 10\.244\.0\.0\/16 dev flannel0/);
    await bench.node({ own: OWN });
    assert.equal(bench.tunnel.told.at(-1), "want none", "another backend");
  });

  it("reports what the packet loop cannot do, and when it can again", async () => {
    await using bench = new DataPlaneBench();
    await bench.node({ config: networkConfig({ type: "udp", port: 8285 }), own: OWN });
    await bench.snapshot(7, [OWN]);
    bench.tunnel.change(new TwillError("KERNEL_REFUSED", "cannot bind 10.99.0.1:8285"));
    assert.deepEqual(bench.report?.failures, [
      {
        kind: "tunnel",
        key: "flannel0",
        code: "KERNEL_REFUSED",
        message: "cannot bind 10.99.0.1:8285",
      },
    ]);
    bench.tunnel.change(undefined);
    assert.deepEqual(bench.report?.failures, []);
    assert.equal(bench.report?.applied?.revision, 7);
  });

  it("waits with the lease of an extension for what its first command says", async () => {
    await using bench = new DataPlaneBench();
    const config = networkConfig({
      type: "extension",
      preStartupCommand: "/opt/ext/prepare",
      postStartupCommand: "",
      subnetAddCommand: "/opt/ext/add $SUBNET",
      subnetRemoveCommand: "",
    });
    bench.filter.failNext("/opt/ext/prepare");
    await bench.node({ config });
    assert.equal(bench.report?.registration, undefined);
    assert.deepEqual(
      bench.report?.failures.map(({ kind, key }) => `${kind} ${key}`),
      ["own-command PreStartupCommand"],
    );
    await bench.clock.advance(1_000);
    await bench.settled();
    assert.deepEqual(bench.report.registration, {
      backendType: "extension",
      backendData: '""',
      backendV6Data: "",
    });
    await bench.node({ config, own: OWN });
    await bench.snapshot(7, [OWN, vxlanLease(2, { type: "extension", data: '"x"' })]);
    assert.equal(bench.filter.log.at(-1), "/opt/ext/add 10.244.2.0/24");
    assert.deepEqual(bench.report.failures, []);
  });
});
