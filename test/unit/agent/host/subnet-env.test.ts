/** subnet.env is what flannel's is, byte for byte, and is read as tolerantly. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parsePreviousEnv, renderSubnetEnv } from "../../../../agent/host/subnet-env.ts";
import { type Cidr, cidr, formatCidr, parseCidr } from "../../../../common/net/cidr.ts";
import { ip4, ip6 } from "../../../../common/net/ip.ts";

const net = (text: string): Cidr => {
  const parsed = parseCidr(text);
  assert.ok(parsed);
  return parsed;
};

describe("subnet.env", () => {
  it("has flannel's lines in flannel's order for dual stack", () => {
    const text = renderSubnetEnv({
      v4: { network: net("10.50.0.0/16"), subnet: net("10.50.53.0/24") },
      v6: { network: net("fd50::/48"), subnet: net("fd50:0:0:44::/64") },
      mtuBytes: 1450,
      ipMasq: true,
    });
    assert.equal(
      text,
      [
        "FLANNEL_NETWORK=10.50.0.0/16",
        "FLANNEL_SUBNET=10.50.53.1/24",
        "FLANNEL_IPV6_NETWORK=fd50::/48",
        "FLANNEL_IPV6_SUBNET=fd50:0:0:44::1/64",
        "FLANNEL_MTU=1450",
        "FLANNEL_IPMASQ=true",
        "",
      ].join("\n"),
    );
  });

  it("leaves out the pair of a family the network does not have", () => {
    const pair = { network: net("10.50.0.0/16"), subnet: net("10.50.53.0/24") };
    const text = renderSubnetEnv({ v4: pair, v6: undefined, mtuBytes: 1500, ipMasq: false });
    assert.equal(
      text,
      "FLANNEL_NETWORK=10.50.0.0/16\nFLANNEL_SUBNET=10.50.53.1/24\nFLANNEL_MTU=1500\nFLANNEL_IPMASQ=false\n",
    );
  });

  it("gives back the subnets it was rendered from", () => {
    const arbitrary = fc.record({
      v4: fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((value) => cidr(ip4(value), 24)),
      v6: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map((value) => cidr(ip6(value), 64)),
    });
    fc.assert(
      fc.property(arbitrary, ({ v4, v6 }) => {
        const text = renderSubnetEnv({
          v4: { network: v4, subnet: v4 },
          v6: { network: v6, subnet: v6 },
          mtuBytes: 1450,
          ipMasq: true,
        });
        assert.deepEqual(parsePreviousEnv(text), { subnets: { v4, v6 }, networks: [v4, v6] });
      }),
    );
  });
});

describe("the previous subnet in subnet.env", () => {
  const v4 = (text: string): string | undefined => {
    const found = parsePreviousEnv(text).subnets.v4;
    return found && formatCidr(found);
  };

  it("is read with quotes, export, comments, blanks and CRLF around it", () => {
    for (const line of [
      'FLANNEL_SUBNET="10.1.2.1/24"',
      "export FLANNEL_SUBNET=10.1.2.1/24",
      "  FLANNEL_SUBNET = 10.1.2.1/24  # mine",
      "# a comment\r\nFLANNEL_SUBNET='10.1.2.1/24'\r\n",
    ]) {
      assert.equal(v4(line), "10.1.2.0/24", line);
    }
  });

  it("skips invalid networks of a list and ignores a list with two valid ones", () => {
    assert.equal(v4("FLANNEL_SUBNET=10.1.2.1/24,nonsense,fd00::1/64"), "10.1.2.0/24");
    assert.equal(v4("FLANNEL_SUBNET=10.1.2.1/24,10.1.3.1/24"), undefined);
  });

  it("is absent when the file does not say or says nonsense", () => {
    for (const text of ["", "FLANNEL_MTU=1450", "FLANNEL_SUBNET=", "FLANNEL_SUBNET=10.1.2.1/33"]) {
      assert.equal(v4(text), undefined, text);
    }
  });

  it("never throws, whatever the bytes are", () => {
    fc.assert(fc.property(fc.string(), (text) => void parsePreviousEnv(text)));
  });
});
