/** The CNI list is what flannel's meta plugin would delegate to, for every family. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { renderCniConflist } from "../../../../agent/host/cni-conflist.ts";
import { renderSubnetEnv, type SubnetEnv } from "../../../../agent/host/subnet-env.ts";
import { parseCidr } from "../../../../common/net/cidr.ts";
import { cniList, parseSubnetEnv } from "../../../../scripts/testbed/pods.ts";
import { assertGolden } from "../../../support/golden.ts";

function pair(network: string, subnet: string): NonNullable<SubnetEnv["v4"]> {
  const [n, s] = [parseCidr(network), parseCidr(subnet)];
  assert.ok(n && s);
  return { network: n, subnet: s };
}

const V4 = pair("10.50.0.0/16", "10.50.53.0/24");
const V6 = pair("fd50::/48", "fd50:0:0:44::/64");
const ENVS: readonly SubnetEnv[] = [
  { v4: V4, v6: undefined, mtuBytes: 1450, ipMasq: true },
  { v4: V4, v6: V6, mtuBytes: 1430, ipMasq: true },
  { v4: undefined, v6: V6, mtuBytes: 1500, ipMasq: false },
];

function pluginsOf(json: string): readonly unknown[] {
  const plugins: unknown = Reflect.get(Object(JSON.parse(json)), "plugins");
  assert.ok(Array.isArray(plugins));
  return plugins;
}

describe("the CNI list", () => {
  it("is bridge with host-local and portmap, readable by people", () => {
    const [, dual] = ENVS;
    assert.ok(dual);
    assertGolden("cni/10-twill.conflist", renderCniConflist(dual));
  });

  it("has the bridge that flannel's plugin makes of subnet.env, in every family", () => {
    for (const env of ENVS) {
      const meta = cniList(parseSubnetEnv(renderSubnetEnv(env)));
      assert.deepEqual(pluginsOf(renderCniConflist(env))[0], pluginsOf(meta)[0]);
    }
  });
});
