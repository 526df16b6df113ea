/** Whose is it? Every kind, from both sides of each line that decides. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AddressState, RouteState } from "../../../../agent/kernel/kernel.ts";
import {
  ownsAddress,
  ownsFdb,
  ownsLink,
  ownsNeighbour,
  ownsRoute,
  type Realm,
} from "../../../../agent/reconcile/ownership.ts";
import { ip, mac, network } from "../../../support/leases.ts";

const REALM: Realm = {
  devices: new Set(["flannel.1"]),
  networks: [network("10.244.0.0/16"), network("fd00::/48")],
  pastDevices: new Set(["flannel.9"]),
};

function address(
  device: string,
  text: string,
  scope: AddressState["scope"] = "global",
): AddressState {
  const flags = { permanent: true, temporary: false, deprecated: false };
  return { device, ip: ip(text), prefix: 32, scope, ...flags };
}

function route(destination: string, device: string | undefined, protocol: number): RouteState {
  return {
    destination: network(destination),
    gateway: ip("10.99.0.9"),
    device,
    onlink: false,
    scope: "global",
    type: "unicast",
    protocol,
    metric: 0,
  };
}

describe("ownership", () => {
  it("of a link: name and kind of ours, with an address inside our networks or remembered", () => {
    const holds = [address("flannel.2", "10.244.1.0"), address("flannel.3", "10.12.1.0")];
    const owns = (name: string, kind: string): boolean => ownsLink({ name, kind }, holds, REALM);
    assert.equal(owns("flannel.2", "vxlan"), true);
    assert.equal(owns("flannel.3", "vxlan"), false, "another network's");
    assert.equal(owns("flannel.4", "vxlan"), false, "no address at all");
    assert.equal(owns("flannel.9", "vxlan"), true, "remembered");
    assert.equal(owns("flannel.2", "dummy"), false);
    assert.equal(owns("vxlan.2", "vxlan"), false);
    for (const [name, kind] of [
      ["flannel0", "tun"],
      ["flannel.ipip", "ipip"],
      ["flannel-wg", "wireguard"],
      ["flannel-wg-v6", "wireguard"],
      ["flannel-v6.7", "vxlan"],
    ] as const) {
      assert.equal(ownsLink({ name, kind }, [address(name, "fd00:0:0:1::")], REALM), true, name);
    }
  });

  it("of an address: on our device, IPv4 inside our networks, IPv6 anything but link-local", () => {
    assert.equal(ownsAddress(address("flannel.1", "10.244.7.0"), REALM), true);
    assert.equal(ownsAddress(address("flannel.1", "172.31.0.1"), REALM), false);
    assert.equal(ownsAddress(address("flannel.1", "fd99::1"), REALM), true);
    assert.equal(ownsAddress(address("flannel.1", "fe80::1", "link"), REALM), false);
    assert.equal(ownsAddress(address("eth0", "10.244.7.0"), REALM), false);
  });

  it("of neighbours and FDB entries: on our device and permanent", () => {
    const common = { mac: mac("02:00:00:00:00:02"), ip: ip("10.244.2.0"), remote: ip("10.99.0.2") };
    for (const [device, permanent, expected] of [
      ["flannel.1", true, true],
      ["flannel.1", false, false],
      ["eth0", true, false],
    ] as const) {
      assert.equal(ownsNeighbour({ ...common, device, permanent }, REALM), expected);
      assert.equal(ownsFdb({ ...common, device, permanent }, REALM), expected);
    }
  });

  it("of a route: inside our networks, through our device or by our protocol", () => {
    const rows: [string, string | undefined, number, boolean][] = [
      ["10.244.2.0/24", "flannel.1", 3, true],
      ["10.244.2.0/24", "flannel.1", 84, true],
      ["10.244.2.0/24", "flannel.1", 4, false],
      ["10.244.2.0/24", "flannel.1", 2, false],
      ["10.244.2.0/24", "eth0", 84, true],
      ["10.244.2.0/24", undefined, 84, true],
      ["10.244.2.0/24", "eth0", 3, false],
      ["10.244.0.0/16", "flannel.1", 3, true],
      ["10.0.0.0/8", "flannel.1", 3, false],
      ["10.12.2.0/24", "flannel.1", 3, false],
      ["10.12.2.0/24", "eth0", 84, false],
      ["fd00:0:0:2::/64", "flannel.1", 3, true],
    ];
    for (const [destination, device, protocol, expected] of rows) {
      const what = `${destination} dev ${device ?? "-"} proto ${protocol}`;
      assert.equal(ownsRoute(route(destination, device, protocol), REALM), expected, what);
    }
  });
});
