/** Header sizes, and a configured MTU that the interface cannot carry. */
import assert from "node:assert/strict";
import { it } from "node:test";
import {
  IPIP_OVERHEAD_BYTES,
  minimumMtuBytes,
  tunnelMtuBytes,
  UDP_OVERHEAD_BYTES,
  vxlanOverheadBytes,
  WIREGUARD_OVERHEAD_BYTES,
} from "../../../../agent/plan/mtu.ts";

it("leaves 1450 bytes to VXLAN over IPv4 and 1430 over IPv6 on a 1500 link", () => {
  assert.equal(tunnelMtuBytes(1500, undefined, vxlanOverheadBytes(4)), 1450);
  assert.equal(tunnelMtuBytes(1500, undefined, vxlanOverheadBytes(6)), 1430);
});

it("takes flannel's share for the other tunnels", () => {
  const left = [IPIP_OVERHEAD_BYTES, UDP_OVERHEAD_BYTES, WIREGUARD_OVERHEAD_BYTES].map((overhead) =>
    tunnelMtuBytes(1500, undefined, overhead),
  );
  assert.deepEqual(left, [1480, 1472, 1420]);
});

it("counts from the configured underlay MTU, but never beyond the interface's", () => {
  assert.equal(tunnelMtuBytes(9000, 1400, vxlanOverheadBytes(4)), 1350);
  assert.equal(tunnelMtuBytes(1500, 9000, vxlanOverheadBytes(4)), 1450);
});

it("knows what each family needs at least", () => {
  assert.deepEqual([minimumMtuBytes(4), minimumMtuBytes(6)], [68, 1280]);
});
