/** Comparing a node's kernel with the leases. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { differences, type KernelView } from "../../../../scripts/testbed/kernel-view.ts";
import type { LeaseRow } from "../../../../scripts/testbed/registry.ts";

const lease = (index: number, backendType = "vxlan"): LeaseRow => {
  const vtepMac = backendType === "vxlan" ? `02:00:00:00:00:0${index}` : "";
  const reach = { subnet: `10.244.${index}.0/24`, publicIp: `10.99.0.${index}`, vtepMac };
  const entry = { key: "", value: "", createRevision: 1, modRevision: 1, etcdLease: "0" };
  return { ...reach, backendType, reaches: [reach], entry };
};

/** The same with an IPv6 half. */
const dual = (index: number): LeaseRow => {
  const row = lease(index);
  const vtepMac = `06:00:00:00:00:0${index}`;
  const reach = { subnet: `fd50:0:0:${index}::/64`, publicIp: `fd99::${index}`, vtepMac };
  return { ...row, reaches: [...row.reaches, reach] };
};

const OWN = { ip: "10.99.0.1", ip6: "fd99::1" };
const LEASES = [lease(1), lease(2)];
const CONVERGED: KernelView = {
  routes: [{ destination: "10.244.2.0/24", via: "10.244.2.0", device: "flannel.1" }],
  neighbours: [{ ip: "10.244.2.0", mac: "02:00:00:00:00:02" }],
  fdb: [{ mac: "02:00:00:00:00:02", remote: "10.99.0.2" }],
};

describe("the differences of a node's kernel from the leases", () => {
  it("are none when route, neighbour and FDB entry of every peer are there", () => {
    assert.deepEqual(differences(CONVERGED, LEASES, OWN), []);
  });

  it("name each missing object", () => {
    assert.deepEqual(differences({ routes: [], neighbours: [], fdb: [] }, LEASES, OWN), [
      "no route to 10.244.2.0/24 of 10.99.0.2",
    ]);
    assert.deepEqual(differences({ ...CONVERGED, neighbours: [], fdb: [] }, LEASES, OWN), [
      "no neighbour 10.244.2.0 lladdr 02:00:00:00:00:02",
      "no FDB entry 02:00:00:00:00:02 dst 10.99.0.2",
    ]);
  });

  it("name what belongs to no lease any more", () => {
    assert.deepEqual(differences(CONVERGED, [lease(1)], OWN), [
      "route 10.244.2.0/24 belongs to no lease",
      "FDB entry 02:00:00:00:00:02 belongs to no lease",
    ]);
  });

  it("ask for both halves of a dual-stack lease", () => {
    assert.deepEqual(differences(CONVERGED, [dual(1), dual(2)], OWN), [
      "no route to fd50:0:0:2::/64 of fd99::2",
    ]);
  });

  it("ask only for the route of a peer that is reached directly", () => {
    const routes = [{ destination: "10.244.2.0/24", via: "10.99.0.2", device: "eth0" }];
    const direct = { routes, neighbours: [], fdb: [] };
    assert.deepEqual(differences(direct, LEASES, OWN), []);
    assert.deepEqual(differences(direct, [lease(1, "host-gw"), lease(2, "host-gw")], OWN), []);
  });

  it("ask for no routes of backends that have one route for all", () => {
    const empty = { routes: [], neighbours: [], fdb: [] };
    assert.deepEqual(differences(empty, [lease(1, ""), lease(2, "")], OWN), []);
  });
});
