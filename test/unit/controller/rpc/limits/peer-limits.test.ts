/** What one certificate may have of a controller. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PeerLimits } from "../../../../../controller/rpc/limits/peer-limits.ts";

const node = {
  id: "ca 1",
  title: "the certificate CN=n1,",
  notAfterMs: 0,
  names: "",
  isController: false,
};
const controller = { ...node, id: "ca 2", isController: true };

describe("the limits of a certificate", () => {
  it("allow sixteen connections, and again one when another has gone", () => {
    const limits = new PeerLimits();
    for (let count = 0; count < 16; count += 1) limits.opened(node);
    assert.equal(limits.refusalOf(node, 0), undefined);
    limits.opened(node);
    assert.equal(limits.refusalOf(node, 0)?.code, "LIMIT_REACHED");
    assert.match(limits.refusalOf(node, 0)?.message ?? "", /CN=n1, holds 16 connections already/);
    limits.closed(node);
    assert.equal(limits.refusalOf(node, 0), undefined);
  });

  it("slow down who calls all the time, but no other controller", () => {
    const limits = new PeerLimits();
    const calls = Array.from({ length: 300 }, () => limits.refusalOf(node, 0)?.code);
    assert.equal(calls.filter((code) => code === undefined).length, 200);
    assert.equal(limits.refusalOf(node, 50), undefined, "one more after a twentieth of a second");
    for (let count = 0; count < 300; count += 1) {
      assert.equal(limits.refusalOf(controller, 0), undefined);
    }
  });
});
