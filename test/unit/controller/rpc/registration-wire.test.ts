/** A Register is checked field by field, and its JSON is as it will come back from etcd. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeLeaseValue, encodeLeaseValue } from "../../../../common/lease/lease-json.ts";
import { answerMessage, decodeRegister } from "../../../../controller/rpc/registration-wire.ts";
import type { Register } from "../../../../proto/gen/twill/v1/fabric.ts";
import { subnetsOf, vxlanAttrs } from "../../../support/lease-texts.ts";

const REGISTER: Register = {
  request: 1,
  publicIp: "10.99.0.2",
  publicIpv6: "",
  backendType: "vxlan",
  backendData: '{"VNI":1,"VtepMAC":"aa:bb:cc:00:00:01"}',
  backendV6Data: "",
  previousSubnet: "10.5.7.0-24",
};

function problem(more: Partial<Register>, node = "a"): string {
  const decoded = decodeRegister(node, { ...REGISTER, ...more });
  return decoded.kind === "malformed" ? decoded.reason : "fine";
}

describe("a Register", () => {
  it("becomes what is decided upon", () => {
    assert.deepEqual(decodeRegister("a", REGISTER), {
      kind: "request",
      request: { node: "a", attrs: vxlanAttrs("10.99.0.2"), previous: subnetsOf("10.5.7.0-24") },
    });
  });

  it("names the field that is wrong", () => {
    assert.match(problem({ publicIp: "10.99.0" }), /public_ip/);
    assert.match(problem({ publicIp: "0.0.0.0" }), /public_ip/);
    assert.match(problem({ publicIpv6: "10.99.0.2" }), /public_ipv6/);
    assert.match(problem({ backendType: "VXLAN; rm -rf" }), /backend_type/);
    assert.match(problem({ backendData: "{" }), /backend_data/);
    assert.match(problem({ backendV6Data: `"${"x".repeat(5000)}"` }), /backend_v6_data/);
    assert.match(problem({ previousSubnet: "10.5.7.0/24" }), /previous_subnet/);
    assert.match(problem({}, "a/b"), /name/);
    const nothing = decodeRegister("a", undefined);
    assert.equal(nothing.kind, "malformed");
  });

  it("compares equal to itself after a way through etcd, however its JSON was written", () => {
    for (const backendData of ['{ "VNI" : 1,\n"x":"<&>" }', "null", "", '"a \\u0041"']) {
      const decoded = decodeRegister("a", { ...REGISTER, backendData });
      assert.ok(decoded.kind === "request");
      const { attrs } = decoded.request;
      const stored = decodeLeaseValue(encodeLeaseValue(attrs));
      assert.deepEqual(stored, { kind: "lease", attrs }, backendData);
    }
  });
});

describe("the answer", () => {
  it("carries the number of the request it belongs to", () => {
    const key = "10.5.7.0-24";
    const lease = { key, subnets: subnetsOf(key), attrs: vxlanAttrs("10.99.0.2"), node: "a" };
    const granted = answerMessage(5, { kind: "registered", lease, ttlSeconds: 60, reused: true });
    assert.ok(granted?.$case === "registered");
    assert.deepEqual([granted.value.request, granted.value.lease?.key], [5, key]);
    const refusal = answerMessage(6, {
      kind: "refused",
      code: "LEASE_EXHAUSTED",
      message: "full",
      retryAfterMs: 9,
    });
    assert.deepEqual(refusal, {
      $case: "refused",
      value: { request: 6, code: "LEASE_EXHAUSTED", message: "full", retryAfterMs: 9 },
    });
  });
});
