/** Machine names and addresses of a lab. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isLabName, machineId, parseMachineName } from "../../../../scripts/testbed/topology.ts";

const role = fc.constantFrom("node" as const, "controller" as const, "etcd" as const);
const index = fc.integer({ min: 1, max: 250 });

describe("the lab's topology", () => {
  it("gives the third node the third address of the underlay", () => {
    assert.deepEqual(machineId("node", 3), {
      role: "node",
      index: 3,
      name: "node3",
      ip: "10.99.0.3",
      ip6: "fd99::3",
      mac: "02:54:57:00:00:03",
    });
  });

  it("gives every machine its own name, addresses and MAC", () => {
    fc.assert(
      fc.property(role, index, role, index, (roleA, indexA, roleB, indexB) => {
        const a = machineId(roleA, indexA);
        const b = machineId(roleB, indexB);
        const same = roleA === roleB && indexA === indexB;
        for (const field of ["name", "ip", "ip6", "mac"] as const) {
          assert.equal(a[field] === b[field], same, field);
        }
      }),
    );
  });

  it("finds a machine by its name", () => {
    fc.assert(
      fc.property(role, index, (someRole, someIndex) => {
        const id = machineId(someRole, someIndex);
        assert.deepEqual(parseMachineName(id.name), id);
      }),
    );
  });

  it("takes no other text for a machine's name", () => {
    for (const text of ["", "node", "node0", "node01", "node251", "pod1", "node1x", "xnode1"]) {
      assert.equal(parseMachineName(text), undefined, text);
    }
  });

  it("refuses numbers that would leave the address range", () => {
    for (const wrong of [0, 251, -1, 1.5]) {
      assert.throws(() => machineId("node", wrong), /numbers go from 1 to 250/);
    }
  });

  it("keeps lab names free of what would make one a prefix of another's namespaces", () => {
    assert.ok(isLabName("lab") && isLabName("t1"));
    for (const text of ["", "1a", "a-b", "A", "a/b", "a".repeat(21)]) {
      assert.ok(!isLabName(text), text);
    }
  });
});
