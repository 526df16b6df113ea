/** Every case of a registration, by keys as people and flannel write them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NetworkConfig } from "../../../../common/config/network-config.ts";
import { parseNetworkConfig } from "../../../../common/config/parse-network-config.ts";
import type { LeaseAttrs } from "../../../../common/lease/lease.ts";
import { formatSubnetKey } from "../../../../common/lease/subnet-key.ts";
import { parseIp } from "../../../../common/net/ip.ts";
import { type Decision, decide, type LeasePolicy } from "../../../../controller/lease/decide.ts";
import { Ledger } from "../../../../controller/lease/ledger.ts";
import { LeaseTable } from "../../../../controller/view/lease-table.ts";
import { leaseValue, recordValue, subnetsOf, vxlanAttrs } from "../../../support/lease-texts.ts";
import { StoreHistory } from "../../../support/store-history.ts";

function configOf(json: Record<string, unknown>): NetworkConfig {
  const parsed = parseNetworkConfig(JSON.stringify({ Backend: { Type: "vxlan" }, ...json }));
  if (parsed.kind !== "valid") throw new Error(JSON.stringify(parsed.problems));
  return parsed.config;
}

const V4 = configOf({ Network: "10.5.0.0/20" });
const V6_ONLY = configOf({ EnableIPv4: false, EnableIPv6: true, IPv6Network: "fd05::/48" });
const DUAL = configOf({ Network: "10.5.0.0/20", EnableIPv6: true, IPv6Network: "fd05::/48" });

/** A store with keys as somebody wrote them, and decisions about it. */
class Scene {
  readonly #history = new StoreHistory();

  /** A Twill node with its lease; etcdLease "0" is a reservation it has claimed. */
  node(name: string, key: string, publicIp: string, etcdLease = "77"): this {
    this.#history.commit(
      new Map([
        [`subnets/${key}`, { value: leaseValue(publicIp), etcdLease }],
        [`twill/nodes/${name}`, { value: recordValue(name, key, publicIp), etcdLease: "0" }],
      ]),
    );
    return this;
  }

  /** A node that is known but holds nothing any more. */
  expired(name: string, key: string, publicIp: string): this {
    this.#history.put(`twill/nodes/${name}`, recordValue(name, key, publicIp), "0");
    return this;
  }

  key(key: string, value: string, etcdLease: string): this {
    this.#history.put(`subnets/${key}`, value, etcdLease);
    return this;
  }

  flannel(key: string, publicIp: string): this {
    return this.key(key, leaseValue(publicIp), "88");
  }

  reservation(key: string, publicIp: string): this {
    return this.key(key, leaseValue(publicIp), "0");
  }

  decide(
    node: string,
    attrs: LeaseAttrs,
    options: { previous?: string; config?: NetworkConfig; policy?: LeasePolicy } = {},
  ): Decision {
    const table = new LeaseTable();
    table.replace(this.#history.listing());
    const { config = V4, previous, policy } = options;
    const request = {
      node,
      attrs,
      previous: previous === undefined ? undefined : subnetsOf(previous),
    };
    return decide(request, new Ledger(table, config), config, policy);
  }
}

/** The decision in one line: what, and on which key. */
function told(decision: Decision): string {
  switch (decision.kind) {
    case "refuse":
      return `refuse ${decision.code}`;
    case "allocate": {
      const instead = decision.instead ? ` instead of ${decision.instead.lease.key}` : "";
      return `allocate ${formatSubnetKey(decision.subnets)}${decision.hinted ? " again" : ""}${instead}`;
    }
    default:
      return `${decision.kind} ${decision.held.lease.key}`;
  }
}

function messageOf(decision: Decision): string {
  return decision.kind === "refuse" ? decision.message : "";
}

const ME = vxlanAttrs("10.99.0.2");

describe("deciding what a registration means", () => {
  it("gives a new node the lowest free subnet", () => {
    assert.equal(told(new Scene().decide("a", ME)), "allocate 10.5.1.0-24");
  });

  it("writes nothing when the lease stands as asked", () => {
    const scene = new Scene().node("a", "10.5.4.0-24", "10.99.0.2");
    assert.equal(told(scene.decide("a", ME)), "reuse 10.5.4.0-24");
  });

  it("updates the lease in place when the MAC or the public address is another", () => {
    const scene = new Scene().node("a", "10.5.4.0-24", "10.99.0.2");
    const mac = vxlanAttrs("10.99.0.2", "aa:bb:cc:00:00:99");
    assert.equal(told(scene.decide("a", mac)), "update 10.5.4.0-24");
    assert.equal(told(scene.decide("a", vxlanAttrs("10.99.0.9"))), "update 10.5.4.0-24");
  });

  it("gives a node its last subnet back after the lease expired", () => {
    const scene = new Scene().expired("a", "10.5.4.0-24", "10.99.0.2");
    assert.equal(told(scene.decide("a", ME)), "allocate 10.5.4.0-24 again");
  });

  it("gives another subnet, quietly, when the remembered one is taken by now", () => {
    const scene = new Scene().expired("a", "10.5.1.0-24", "10.99.0.2");
    scene.node("b", "10.5.1.0-24", "10.99.0.3");
    assert.equal(told(scene.decide("a", ME)), "allocate 10.5.2.0-24");
  });

  it("gives the subnet of subnet.env when nobody has it", () => {
    const decision = new Scene().decide("a", ME, { previous: "10.5.6.0-24" });
    assert.equal(told(decision), "allocate 10.5.6.0-24 again");
  });

  it("ignores a subnet of subnet.env that the config no longer has", () => {
    const decision = new Scene().decide("a", ME, { previous: "10.6.6.0-24" });
    assert.equal(told(decision), "allocate 10.5.1.0-24");
  });

  it("refuses a subnet of subnet.env that another node holds, and names both", () => {
    const scene = new Scene().node("b", "10.5.6.0-24", "10.99.0.3");
    const decision = scene.decide("a", ME, { previous: "10.5.6.0-24" });
    assert.equal(told(decision), "refuse SUBNET_TAKEN");
    assert.match(messageOf(decision), /node a .*10\.5\.6\.0-24.* of node b .*10\.99\.0\.3/);
  });

  it("refuses a subnet of subnet.env that a foreign lease of another length overlaps", () => {
    const scene = new Scene().flannel("10.5.6.0-23", "10.99.0.3");
    const decision = scene.decide("a", ME, { previous: "10.5.7.0-24" });
    assert.equal(told(decision), "refuse SUBNET_TAKEN");
    assert.match(messageOf(decision), /a holder outside Twill .*10\.99\.0\.3/);
  });

  it("refuses another node's public address, and names both", () => {
    const scene = new Scene().node("b", "10.5.6.0-24", "10.99.0.2");
    const decision = scene.decide("a", ME);
    assert.equal(told(decision), "refuse LEASE_CONFLICT");
    assert.match(messageOf(decision), /node a .*10\.99\.0\.2.* node b .*10\.5\.6\.0-24/);
  });

  it("refuses an address change to what another node has, and keeps the lease as it is", () => {
    const scene = new Scene()
      .node("a", "10.5.4.0-24", "10.99.0.2")
      .node("b", "10.5.6.0-24", "10.99.0.3");
    assert.equal(told(scene.decide("a", vxlanAttrs("10.99.0.3"))), "refuse LEASE_CONFLICT");
  });

  it("takes over the lease that a real flannel had on the same machine", () => {
    const scene = new Scene().flannel("10.5.8.0-24", "10.99.0.2");
    assert.equal(told(scene.decide("a", ME)), "take-over 10.5.8.0-24");
  });

  it("replaces a flannel lease of the same machine that no longer fits the config", () => {
    const scene = new Scene().flannel("10.5.8.0-25", "10.99.0.2");
    assert.equal(told(scene.decide("a", ME)), "allocate 10.5.1.0-24 instead of 10.5.8.0-25");
  });

  it("claims a reservation made for the node's address, before the remembered subnet", () => {
    const scene = new Scene()
      .expired("a", "10.5.4.0-24", "10.99.0.2")
      .reservation("10.5.9.0-24", "10.99.0.2");
    assert.equal(told(scene.decide("a", ME)), "claim 10.5.9.0-24");
  });

  it("prefers a reservation to a flannel lease of the same address, and what fits to what does not", () => {
    const scene = new Scene()
      .flannel("10.5.3.0-24", "10.99.0.2")
      .reservation("10.5.9.0-24", "10.99.0.2")
      .reservation("10.6.1.0-24", "10.99.0.2");
    assert.equal(told(scene.decide("a", ME)), "claim 10.5.9.0-24");
  });

  it("never gives away a reservation for somebody else", () => {
    const scene = new Scene().reservation("10.5.1.0-24", "10.99.0.77");
    assert.equal(told(scene.decide("a", ME)), "allocate 10.5.2.0-24");
  });

  it("keeps a reservation that the node holds, and changes it in place", () => {
    const scene = new Scene().node("a", "10.5.9.0-24", "10.99.0.2", "0");
    assert.equal(told(scene.decide("a", ME)), "reuse 10.5.9.0-24");
    const mac = vxlanAttrs("10.99.0.2", "aa:bb:cc:00:00:99");
    assert.equal(told(scene.decide("a", mac)), "update 10.5.9.0-24");
  });

  it("moves a lease that the config no longer allows, in one step", () => {
    const scene = new Scene().node("a", "10.6.4.0-24", "10.99.0.2");
    assert.equal(told(scene.decide("a", ME)), "allocate 10.5.1.0-24 instead of 10.6.4.0-24");
  });

  it("leaves an outgrown reservation where it is", () => {
    const scene = new Scene().node("a", "10.6.4.0-24", "10.99.0.2", "0");
    assert.equal(told(scene.decide("a", ME)), "allocate 10.5.1.0-24");
  });

  it("does not give out a subnet whose key holds rubbish", () => {
    const scene = new Scene().key("10.5.1.0-24", "not JSON", "0");
    assert.equal(told(scene.decide("a", ME)), "allocate 10.5.2.0-24");
    const decision = scene.decide("a", ME, { previous: "10.5.1.0-24" });
    assert.match(messageOf(decision), /key subnets\/10\.5\.1\.0-24 \(whose value is not a lease\)/);
  });

  it("sees through a record that a stranger's newer key only seems to confirm", () => {
    const scene = new Scene().expired("a", "10.5.4.0-24", "10.99.0.2");
    scene.flannel("10.5.4.0-24", "10.99.0.3");
    assert.equal(told(scene.decide("a", ME)), "allocate 10.5.1.0-24");
  });

  it("says out of subnets, where, and the way out", () => {
    const config = configOf({ Network: "10.5.0.0/28", SubnetLen: 30 });
    const scene = new Scene()
      .node("x", "10.5.0.4-30", "10.99.0.11")
      .node("y", "10.5.0.8-30", "10.99.0.12")
      .node("z", "10.5.0.12-30", "10.99.0.13");
    const decision = scene.decide("a", ME, { config });
    assert.equal(told(decision), "refuse LEASE_EXHAUSTED");
    assert.match(
      messageOf(decision),
      /out of subnets: node a .*\/30 in 10\.5\.0\.0\/28 .* 3 in all/,
    );
  });

  it("wants an address of each family that the network has", () => {
    const decision = new Scene().decide("a", ME, { config: DUAL });
    assert.equal(told(decision), "refuse OPTION_INVALID");
    assert.match(messageOf(decision), /node a gave no public IPv6 address.*--public-ipv6/);
  });

  it("writes no IPv6 into an IPv4-only network, whatever the node offers (contract 1.10)", () => {
    const offered = { ...ME, publicIpv6: parseIp("fd99::2"), backendV6Data: '{"VNI":1}' };
    const decision = new Scene().decide("a", offered);
    assert.ok(decision.kind === "allocate");
    assert.deepEqual(decision.attrs, ME);
    assert.equal(decision.subnets.v6, undefined);
  });

  it("gives both families in a dual-stack network, and moves a lease that has only one", () => {
    const offered = { ...ME, publicIpv6: parseIp("fd99::2") };
    const scene = new Scene().node("a", "10.5.4.0-24", "10.99.0.2");
    assert.equal(
      told(scene.decide("a", offered, { config: DUAL })),
      "allocate 10.5.4.0-24&fd05:0:0:1::-64 instead of 10.5.4.0-24",
    );
  });

  describe("turning IPv6 on beside real flannel nodes (contract 1.10)", () => {
    const offered = { ...ME, publicIpv6: parseIp("fd99::2") };

    it("waits for those that run without IPv6, names one, and says what to do", () => {
      const scene = new Scene()
        .node("a", "10.5.4.0-24", "10.99.0.2")
        .flannel("10.5.8.0-24", "10.99.0.7")
        .flannel("10.5.9.0-24", "10.99.0.8");
      const decision = scene.decide("a", offered, { config: DUAL });
      assert.equal(told(decision), "refuse LEASE_CONFLICT");
      assert.match(
        messageOf(decision),
        /node a waits .*2 real flannel.*10\.5\.8\.0-24.*10\.99\.0\.7.*--ipv6-beside-flannel/,
      );
    });

    it("does not wait when the operator says so", () => {
      const scene = new Scene().flannel("10.5.8.0-24", "10.99.0.7");
      const policy = { ipv6BesideFlannel: true };
      const decision = scene.decide("a", offered, { config: DUAL, policy });
      assert.equal(told(decision), "allocate 10.5.1.0-24&fd05:0:0:1::-64");
    });

    it("does not wait for dual-stack flannel nodes, reservations, Twill nodes or itself", () => {
      const scene = new Scene()
        .flannel("10.5.8.0-24&fd05:0:0:8::-64", "10.99.0.7")
        .reservation("10.5.9.0-24", "10.99.0.9")
        .node("b", "10.5.10.0-24", "10.99.0.10")
        .flannel("10.5.11.0-24", "10.99.0.2");
      const decision = scene.decide("a", offered, { config: DUAL });
      assert.match(told(decision), /^allocate .*&fd05:0:0:1::-64/);
    });

    it("keeps a dual-stack lease that a node has already", () => {
      const scene = new Scene()
        .node("a", "10.5.4.0-24&fd05:0:0:4::-64", "10.99.0.2")
        .flannel("10.5.8.0-24", "10.99.0.7");
      const decision = scene.decide("a", offered, { config: DUAL });
      assert.equal(told(decision), "update 10.5.4.0-24&fd05:0:0:4::-64");
    });
  });

  it("tells IPv6-only nodes apart by name and IPv6 address, never as 0.0.0.0", () => {
    const attrs = (ip: string): LeaseAttrs => ({ ...ME, publicIpv6: parseIp(ip) });
    const scene = new Scene().key(
      "0.0.0.0-0&fd05:0:0:1::-64",
      '{"PublicIP":"0.0.0.0","PublicIPv6":"fd99::2","BackendType":"vxlan"}',
      "88",
    );
    const config = V6_ONLY;
    const other = told(scene.decide("b", attrs("fd99::3"), { config }));
    assert.equal(other, "allocate 0.0.0.0-0&fd05:0:0:2::-64");
    const same = told(scene.decide("a", attrs("fd99::2"), { config }));
    assert.equal(same, "take-over 0.0.0.0-0&fd05:0:0:1::-64");
  });
});
