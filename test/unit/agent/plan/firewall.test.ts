/** The abstract rules, and that both writers say the same of them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MASQUERADE_CHAIN, ruleLine } from "../../../../agent/kernel/iptables-rules.ts";
import { ruleText } from "../../../../agent/kernel/nft-ruleset.ts";
import { noFirewall, planFirewall } from "../../../../agent/plan/firewall.ts";
import { network, networkConfig, VXLAN } from "../../../support/leases.ts";

const OWN = { v4: network("10.244.1.0/24"), v6: network("fd00:0:0:1::/64") };
const ALL = { masquerade: true, forwardRules: true, randomFully: true };

describe("the firewall plan", () => {
  it("has flannel's six masquerade rules, the same in both texts", () => {
    const [v4] = planFirewall(networkConfig(), OWN, ALL).families;
    const rules = v4?.masquerade ?? [];
    const comment = '-m comment --comment "flanneld masq"';
    assert.deepEqual(
      rules.map((rule) => ruleLine(MASQUERADE_CHAIN, rule, true).replace(comment, "…")),
      [
        "-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 … -j RETURN",
        "-A FLANNEL-POSTRTG -s 10.244.1.0/24 -d 10.244.0.0/16 … -j RETURN",
        "-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.1.0/24 … -j RETURN",
        "-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.1.0/24 … -j RETURN",
        "-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 … -j MASQUERADE --random-fully",
        "-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/16 … -j MASQUERADE --random-fully",
      ],
    );
    assert.deepEqual(
      rules.map((rule) => ruleText(rule, 4, false)),
      [
        "meta mark & 0x4000 == 0x4000 return",
        "ip saddr 10.244.1.0/24 ip daddr 10.244.0.0/16 return",
        "ip saddr 10.244.0.0/16 ip daddr 10.244.1.0/24 return",
        "ip saddr != 10.244.0.0/16 ip daddr 10.244.1.0/24 return",
        "ip saddr 10.244.0.0/16 ip daddr != 224.0.0.0/4 masquerade",
        "ip saddr != 10.244.0.0/16 ip daddr 10.244.0.0/16 masquerade",
      ],
    );
  });

  it("speaks of IPv6 in its own terms", () => {
    const v6 = planFirewall(networkConfig(VXLAN, "dual"), OWN, ALL).families[1];
    const [rule] = (v6?.masquerade ?? []).filter(({ verdict }) => verdict === "masquerade");
    assert.ok(rule);
    assert.equal(
      ruleText(rule, 6, true),
      "ip6 saddr fd00::/48 ip6 daddr != ff00::/8 masquerade fully-random",
    );
  });

  it("wants nothing of a family that is not in use, nor of what is switched off", () => {
    const [, v6] = planFirewall(networkConfig(), OWN, ALL).families;
    assert.deepEqual([v6?.masquerade, v6?.forward], [[], []]);
    const off = { masquerade: false, forwardRules: false, randomFully: true };
    const [v4] = planFirewall(networkConfig(), OWN, off).families;
    assert.deepEqual([v4?.masquerade, v4?.forward], [[], []]);
  });

  it("follows the config's mode, and knows the networks of before", () => {
    const config = { ...networkConfig(), enableNFTables: true };
    const plan = planFirewall(config, OWN, ALL, [network("10.12.0.0/16"), network("fd12::/48")]);
    assert.equal(plan.mode, "nftables");
    assert.deepEqual(
      plan.families.map(({ networks }) => networks.map(({ prefix }) => prefix)),
      [[16, 16], [48]],
    );
    assert.ok(
      noFirewall(plan.families[0]?.networks ?? []).families.every(
        ({ forward }) => forward.length === 0,
      ),
    );
  });
});
