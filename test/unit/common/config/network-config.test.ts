/** One code path with a family: the range that was asked for. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BACKEND_FAMILIES, isBackendType } from "../../../../common/config/backend-config.ts";
import { rangeOf } from "../../../../common/config/network-config.ts";
import { parseNetworkConfig } from "../../../../common/config/parse-network-config.ts";

describe("a network config", () => {
  it("has a range of each family that is switched on", () => {
    const parsed = parseNetworkConfig(
      '{"Network":"10.3.0.0/16","EnableIPv6":true,"IPv6Network":"fc00::/48"}',
    );
    assert.equal(parsed.kind, "valid");
    assert.equal(rangeOf(parsed.config, 4)?.subnetLen, 24);
    assert.equal(rangeOf(parsed.config, 6)?.subnetLen, 64);
  });

  it("knows its backends by their exact names only", () => {
    for (const type of Object.keys(BACKEND_FAMILIES)) assert.equal(isBackendType(type), true);
    for (const type of ["VXLAN", "ipsec", "", "toString"]) assert.equal(isBackendType(type), false);
  });
});
