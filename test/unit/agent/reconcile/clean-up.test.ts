/** Removing everything of ours, and only that. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { planFirewall } from "../../../../agent/plan/firewall.ts";
import { cleanUp } from "../../../../agent/reconcile/clean-up.ts";
import { IptablesBackend } from "../../../../agent/reconcile/iptables-backend.ts";
import { NftBackend } from "../../../../agent/reconcile/nft-backend.ts";
import { silentLogger } from "../../../../common/log.ts";
import { FakePacketFilter } from "../../../support/fake-packet-filter.ts";
import { dualLease, ip, mac, network, networkConfig, VXLAN } from "../../../support/leases.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { machine, ReconcileBench } from "../../../support/reconcile-bench.ts";
import { seededRandom } from "../../../support/seeded-random.ts";

const NETWORKS = [network("10.244.0.0/16"), network("fd00::/48")];
const never = new AbortController().signal;

function ports(kernel = machine(), filter = new FakePacketFilter()) {
  return {
    kernel,
    run: filter.run,
    clock: new ManualClock(),
    log: silentLogger,
    random: seededRandom(1),
    sysctl: { write: async () => true },
  };
}

describe("cleaning up", () => {
  it("removes devices, direct routes and rules, and leaves the machine as it was", async () => {
    const kernel = machine();
    const filter = new FakePacketFilter();
    const untouched = kernel.describe();
    const config = networkConfig({ ...VXLAN, directRouting: true }, "dual");
    {
      await using bench = new ReconcileBench({ kernel, config, direct: ["10.99.0.2", "fd99::2"] });
      bench.book.update([dualLease(2), dualLease(3)], []);
      await bench.whole();
      assert.equal(bench.report?.failureCount, 0);
    }
    const plan = planFirewall(
      config,
      { v4: network("10.244.1.0/24"), v6: network("fd00:0:0:1::/64") },
      { masquerade: true, forwardRules: true, randomFully: true },
    );
    await new IptablesBackend(filter.run).ensure(plan, never);
    await new NftBackend(filter.run).ensure(plan, never);
    assert.ok(filter.chains.size > 0 && filter.nftRules.size > 0);
    await cleanUp(ports(kernel, filter), { networks: NETWORKS, devices: [] }, never);
    assert.equal(kernel.describe(), untouched);
    assert.equal(kernel.watchers, 0);
    for (const [key, rules] of filter.chains) {
      assert.deepEqual(rules, [], key);
      assert.match(key, /FORWARD|POSTROUTING/);
    }
    assert.equal(filter.nftRules.size, 0);
  });

  it("knows a device without an address by its remembered name", async () => {
    const kernel = machine();
    const link = {
      kind: "vxlan" as const,
      name: "flannel.1",
      mtuBytes: 1450,
      mac: mac("02:99:00:00:00:01"),
      vni: 1,
      lower: "eth0",
      local: ip("10.99.0.1"),
      port: 0,
      learning: false,
      gbp: false,
    };
    kernel.network.createLink(link);
    await cleanUp(ports(kernel), { networks: NETWORKS, devices: [] }, never);
    assert.ok(kernel.network.links.has("flannel.1"), "it may be another's");
    await cleanUp(ports(kernel), { networks: NETWORKS, devices: ["flannel.1"] }, never);
    assert.ok(!kernel.network.links.has("flannel.1"));
  });

  it("leaves what only looks like ours", async () => {
    const kernel = machine();
    kernel.network.addDevice({ name: "flannel.1", kind: "dummy", mac: mac("02:00:00:00:00:77") });
    kernel.network.putAddress({ device: "flannel.1", ip: ip("10.244.1.0"), prefix: 32 });
    kernel.network.putRoute({
      destination: network("10.244.3.0/24"),
      gateway: ip("10.99.0.3"),
      device: "eth0",
      onlink: false,
      scope: "global",
      type: "unicast",
      protocol: 4,
    });
    const before = kernel.describe();
    await cleanUp(ports(kernel), { networks: NETWORKS, devices: ["flannel.1"] }, never);
    assert.equal(kernel.describe(), before);
  });

  it("names what stays", async () => {
    const kernel = machine();
    {
      await using bench = new ReconcileBench({ kernel });
      await bench.whole();
    }
    kernel.failNext("delete link", "EBUSY", 10);
    await assert.rejects(
      cleanUp(ports(kernel), { networks: NETWORKS, devices: [] }, never),
      /link stale devices stays: KERNEL_REFUSED .*EBUSY/,
    );
  });

  it("can be stopped", async () => {
    const stop = new AbortController();
    stop.abort(new Error("enough"));
    await assert.rejects(
      cleanUp(ports(), { networks: NETWORKS, devices: [] }, stop.signal),
      /enough/,
    );
  });
});
