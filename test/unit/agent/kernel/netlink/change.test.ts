/** Which changes the kernel gets to see, and which of its refusals are failures. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  devicesOf,
  failuresOf,
  splitByDevice,
} from "../../../../../agent/kernel/netlink/change.ts";
import { deletion, peerChanges, putRoute, route } from "../../../../support/kernel-contract.ts";

const [neighbour, , fdb] = peerChanges(7);
assert.ok(neighbour && fdb);
const anywhere = putRoute(route("10.244.8.0/24", "10.99.0.8", { device: undefined }));

describe("changes and their devices", () => {
  it("name each device once, and none where the kernel chooses", () => {
    const changes = [...peerChanges(7), ...peerChanges(8, "flannel-v6.1"), anywhere];
    assert.deepEqual(devicesOf(changes), ["flannel.1", "flannel-v6.1"]);
  });

  it("are kept from the kernel when the device is missing: it would take any device", () => {
    const indices = new Map([["flannel-v6.1", 5]]);
    const elsewhere = peerChanges(8, "flannel-v6.1");
    const { sendable, failures } = splitByDevice(
      [neighbour, deletion(fdb), anywhere, ...elsewhere],
      indices,
    );
    assert.deepEqual(sendable, [anywhere, ...elsewhere]);
    assert.deepEqual(failures, [
      { change: neighbour, errno: "ENODEV", message: "there is no interface flannel.1" },
    ]);
  });
});

describe("refusals", () => {
  it("belong to their changes by place", () => {
    const failures = failuresOf([neighbour, fdb], [{ index: 1, errno: "EPERM", sentence: "no" }]);
    assert.deepEqual(failures, [{ change: fdb, errno: "EPERM", message: "no" }]);
  });

  it("of a deletion are no failure when the object or its device is not there", () => {
    const gone = ["ENODEV", "ENOENT", "ESRCH", "EADDRNOTAVAIL"];
    for (const errno of [...gone, "EPERM"]) {
      const refusals = [{ index: 0, errno, sentence: "" }];
      assert.equal(failuresOf([deletion(fdb)], refusals).length, errno === "EPERM" ? 1 : 0);
      assert.equal(failuresOf([fdb], refusals).length, 1);
    }
  });
});
