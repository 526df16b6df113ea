/** Packing keeps every field, whatever text is in it. */
import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { packLease, unpackLease } from "../../../../agent/peers/lease-pack.ts";
import { dualLease, lease, vxlanLease } from "../../../support/leases.ts";

it("unpacks what it packed", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string({ unit: "binary" }), (type, data, node) => {
      for (const made of [
        vxlanLease(5, { type, data, node }),
        dualLease(5, { type, data6: data, node }),
        lease({ key: "0.0.0.0-0&fd00:0:0:29::-64", ip6: "fd99::2" }),
      ]) {
        assert.deepEqual(unpackLease(made.key, packLease(made)), made);
      }
    }),
  );
});

it("packs different leases differently", () => {
  assert.notEqual(packLease(vxlanLease(1)), packLease(vxlanLease(1, { node: "another" })));
});
