/** The small questions that decide what a node does next. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  fitsNetwork,
  peerAddresses,
  subnetEnvOf,
  wantsDirect,
} from "../../../../agent/node/node-input.ts";
import type { ReconcileReport } from "../../../../agent/reconcile/node-reconciler.ts";
import { formatIp } from "../../../../common/net/ip.ts";
import { dualLease, lease, networkConfig, VXLAN, vxlanLease } from "../../../support/leases.ts";

const REPORT: ReconcileReport = {
  applied: { instance: "i", revision: 1, digest: "d" },
  isInSync: true,
  devicesWork: true,
  rulesInPlace: true,
  registration: undefined,
  mtuBytes: 1430,
  refusal: undefined,
  failures: [],
  problems: [],
  repaired: [],
  applyMs: 0,
};

describe("a lease and a network", () => {
  it("fit when the lease has a subnet inside for every family the network has", () => {
    assert.equal(fitsNetwork(vxlanLease(1), networkConfig()), true);
    assert.equal(fitsNetwork(dualLease(1), networkConfig(VXLAN, "dual")), true);
    assert.equal(fitsNetwork(dualLease(1), networkConfig()), true);
    assert.equal(fitsNetwork(vxlanLease(1), networkConfig(VXLAN, "dual")), false);
    assert.equal(fitsNetwork(lease({ key: "10.50.1.0-24" }), networkConfig()), false);
  });

  it("give subnet.env in every family, with the MTU the kernel took", () => {
    const env = subnetEnvOf(networkConfig(VXLAN, "dual"), dualLease(1), REPORT, true);
    assert.equal(env?.mtuBytes, 1430);
    assert.equal(env?.v4 && formatIp(env.v4.subnet.ip), "10.244.1.0");
    assert.equal(env?.v6 && formatIp(env.v6.subnet.ip), "fd00:0:0:1::");
  });

  it("give no subnet.env while the node's own part does not work", () => {
    const failures = [{ kind: "address", key: "k", code: "EPERM", message: "" }] as const;
    const [config, own] = [networkConfig(), vxlanLease(1)];
    assert.equal(subnetEnvOf(config, own, { ...REPORT, failures }, true), undefined);
    assert.equal(subnetEnvOf(config, own, { ...REPORT, mtuBytes: undefined }, true), undefined);
  });
});

describe("direct routing", () => {
  it("is asked of the kernel only for backends that can use it", () => {
    assert.equal(wantsDirect(networkConfig()), false);
    assert.equal(wantsDirect(networkConfig({ ...VXLAN, directRouting: true })), true);
    assert.equal(wantsDirect(networkConfig({ type: "host-gw" })), false);
  });

  it("looks at the addresses of both families of every lease", () => {
    const all = [...peerAddresses([dualLease(1), vxlanLease(2)])].map(formatIp);
    assert.deepEqual(all, ["10.99.0.1", "fd99::1", "10.99.0.2"]);
  });
});
