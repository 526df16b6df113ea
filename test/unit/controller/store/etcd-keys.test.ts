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

  it("make the whole store of an empty prefix and range", () => {
    const zero = Buffer.from([0]);
    assert.deepEqual(new EtcdKeys("").range(""), { key: zero, range_end: zero });
  });

  it("hold exactly the keys with the range's prefix, for any bytes", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 6 });
    fc.assert(
      fc.property(text, text, (range, other) => {
        fc.pre(range !== "");
        const keys = new EtcdKeys("");
        const { key, range_end } = keys.range(range);
        const inside = (each: Buffer): boolean =>
          each.compare(key) >= 0 &&
          (range_end.equals(Buffer.from([0])) || each.compare(range_end) < 0);
        assert.ok(inside(Buffer.from(range + other)));
        assert.equal(
          inside(Buffer.from(other)),
          Buffer.from(other).indexOf(Buffer.from(range)) === 0,
        );
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
