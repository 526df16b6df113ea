/** The CNI configuration made from subnet.env. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cniList, parseSubnetEnv } from "../../../../scripts/testbed/pods.ts";

const ENV = parseSubnetEnv(
  "FLANNEL_NETWORK=10.50.0.0/16\nFLANNEL_SUBNET=10.50.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
);

describe("the pods' CNI configuration", () => {
  it("is what flannel's CNI plugin would delegate to bridge and host-local", () => {
    assert.deepEqual(JSON.parse(cniList(ENV)), {
      cniVersion: "0.4.0",
      name: "cbr0",
      plugins: [
        {
          type: "bridge",
          bridge: "cni0",
          mtu: 1450,
          isGateway: true,
          isDefaultGateway: true,
          hairpinMode: true,
          ipMasq: false,
          ipam: {
            type: "host-local",
            ranges: [[{ subnet: "10.50.1.0/24" }]],
            routes: [{ dst: "10.50.0.0/16" }],
          },
        },
      ],
    });
  });

  it("leaves masquerading to the plugin when the agent does not do it", () => {
    assert.match(cniList({ ...ENV, FLANNEL_IPMASQ: "false" }), /"ipMasq":true/);
  });

  it("has a range for each family", () => {
    const config = cniList({
      ...ENV,
      FLANNEL_IPV6_NETWORK: "fd50::/48",
      FLANNEL_IPV6_SUBNET: "fd50:0:0:44::1/64",
    });
    assert.match(config, /\[\{"subnet":"10.50.1.0\/24"\}\],\[\{"subnet":"fd50:0:0:44::\/64"\}\]/);
  });
});
