/** Whose connection it is, by address. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sourceOf } from "../../../../../controller/rpc/limits/source.ts";

describe("the source of a connection", () => {
  it("is the IPv4 address, however the socket writes it", () => {
    assert.equal(sourceOf("10.0.0.7"), "10.0.0.7");
    assert.equal(sourceOf("::ffff:10.0.0.7"), "10.0.0.7");
  });

  it("is the /64 of an IPv6 address: its holder has all of them", () => {
    assert.equal(sourceOf("fd00:1:2:3:4:5:6:7"), "fd00:1:2:3::/64");
    assert.equal(sourceOf("fd00:1:2:3::9"), "fd00:1:2:3::/64");
    assert.equal(sourceOf("fd00::9"), "fd00:0:0:0::/64");
    assert.equal(sourceOf("fe80::1%eth0"), "fe80:0:0:0::/64");
    assert.equal(sourceOf("::1"), "0:0:0:0::/64");
    assert.equal(sourceOf("fd00:1:2:3:4:5:6::"), "fd00:1:2:3::/64");
  });
});
