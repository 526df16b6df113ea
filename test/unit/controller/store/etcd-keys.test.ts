/** Keys between the port and etcd's bytes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EtcdKeys } from "../../../../controller/store/etcd-keys.ts";

describe("keys in etcd", () => {
  it("stand below the prefix", () => {
    const keys = new EtcdKeys("/coreos.com/network");
    assert.equal(keys.key("config").toString(), "/coreos.com/network/config");
    assert.equal(keys.relative(Buffer.from("/coreos.com/network/subnets/a")), "subnets/a");
  });

  it("make the range of everything that begins with a text", () => {
    const keys = new EtcdKeys("/p");
    const { key, range_end } = keys.range("subnets/");
    assert.deepEqual([key.toString(), range_end.toString()], ["/p/subnets/", "/p/subnets0"]);
    assert.deepEqual(keys.range("").range_end.toString(), "/p0");
  });

  it("stand below / when that is the prefix", () => {
    assert.equal(new EtcdKeys("").key("config").toString(), "/config");
  });

  it("are in the range of each of their beginnings, and of no other text", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 6 });
    const keys = new EtcdKeys("/p");
    fc.assert(
      fc.property(text, text, (range, other) => {
        const { key, range_end } = keys.range(range);
        const isInside = (name: string): boolean =>
          keys.key(name).compare(key) >= 0 && keys.key(name).compare(range_end) < 0;
        assert.ok(isInside(range + other));
        assert.equal(isInside(other), Buffer.from(other).indexOf(Buffer.from(range)) === 0);
      }),
    );
  });

  it("come back as they went", () => {
    const keys = new EtcdKeys("/ü/p");
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (key) => {
        assert.equal(keys.relative(keys.key(key)), key);
      }),
    );
  });
});
