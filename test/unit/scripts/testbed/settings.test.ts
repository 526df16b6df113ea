/** Options of the lab command. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  BACKENDS,
  checkSettings,
  type GivenSettings,
} from "../../../../scripts/testbed/settings.ts";

const DEFAULTS: GivenSettings = {
  name: "lab",
  nodes: "3",
  controllers: "3",
  etcdMembers: "1",
  insecure: false,
  backend: "vxlan",
  config: undefined,
};

const problems = (given: Partial<GivenSettings>): readonly string[] => {
  const checked = checkSettings({ ...DEFAULTS, ...given });
  return checked.kind === "invalid" ? checked.problems : [];
};

describe("the lab's settings", () => {
  it("put a config for the chosen backend", () => {
    for (const backend of BACKENDS) {
      const checked = checkSettings({ ...DEFAULTS, backend });
      assert.ok(checked.kind === "settings");
      const config = `{"Network":"10.244.0.0/16","Backend":{"Type":"${backend}"}}`;
      assert.equal(checked.settings.config, config);
    }
  });

  it("take a config of one's own byte for byte and know its backend", () => {
    const config = '{ "Network": "10.5.0.0/16", "Backend": { "Type": "host-gw" } }\n';
    const checked = checkSettings({ ...DEFAULTS, config });
    assert.ok(checked.kind === "settings");
    assert.equal(checked.settings.config, config);
    assert.equal(checked.settings.backend, "host-gw");
  });

  it("report every problem at once", () => {
    assert.deepEqual(problems({ name: "My-Lab", nodes: "many", backend: "vxlam" }), [
      '--name: lower-case letters and digits, a letter first, not "My-Lab"',
      '--nodes: a number from 0 to 250, not "many"',
      `--backend: one of ${BACKENDS.join(", ")}, not "vxlam" (did you mean vxlan?)`,
    ]);
  });

  it("refuse a lab without controller or etcd, and one that is too large", () => {
    assert.equal(problems({ controllers: "0", etcdMembers: "0", nodes: "251" }).length, 3);
  });

  it("refuse a config that no controller would accept, with the place in it", () => {
    const [problem] = problems({ config: '{"Network":"10.5.0.0/30"}' });
    assert.match(problem ?? "", /^--config: \$\.Network: /);
  });
});
