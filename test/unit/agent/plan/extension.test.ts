/** The calls that a config and leases ask for, with what each is told. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { extensionPlanner } from "../../../../agent/plan/extension.ts";
import type { ExtensionBackend } from "../../../../common/config/backend-config.ts";
import { dualLease, networkConfig, plannerInput, vxlanLease } from "../../../support/leases.ts";

const COMMANDS: ExtensionBackend = {
  type: "extension",
  preStartupCommand: "/opt/prepare --quiet",
  postStartupCommand: "/opt/start $NETWORK $SUBNET",
  subnetAddCommand: "/opt/add $SUBNET $PUBLIC_IP",
  subnetRemoveCommand: "/opt/remove $SUBNET",
};

function planner(words: Partial<ExtensionBackend> = {}, families: "v4" | "dual" = "v4") {
  const backend = { ...COMMANDS, ...words };
  const made = extensionPlanner(plannerInput(networkConfig(backend, families)), backend);
  assert.equal(made.kind, "planner");
  return made.planner;
}

const OWN = vxlanLease(1, { type: "extension" });

describe("the extension planner", () => {
  it("prepares without variables, and starts with the node's own", () => {
    const { extension, registration } = planner();
    assert.deepEqual(extension?.preStartup, {
      argv: ["/opt/prepare", "--quiet"],
      environment: {},
      stdin: "",
    });
    assert.deepEqual(extension.postStartup(OWN), {
      argv: ["/opt/start", "10.244.0.0/16", "10.244.1.0/24"],
      environment: {
        NETWORK: "10.244.0.0/16",
        IPV6NETWORK: "",
        SUBNET: "10.244.1.0/24",
        IPV6SUBNET: "",
        PUBLIC_IP: "10.99.0.1",
        PUBLIC_IPV6: "fd99::1",
      },
      stdin: "",
    });
    assert.equal(registration.backendType, "extension");
  });

  it("gives what a peer says of itself to standard input alone", () => {
    const evil = "$(reboot); `id` | sh\n$SUBNET";
    const peer = vxlanLease(2, { type: "extension", data: JSON.stringify(evil) });
    const [part] = planner().peer(peer, OWN);
    assert.ok(part?.kind === "usable");
    assert.deepEqual(part.extensionPeer?.add, {
      argv: ["/opt/add", "10.244.2.0/24", "10.99.0.2"],
      environment: {
        SUBNET: "10.244.2.0/24",
        IPV6SUBNET: "",
        PUBLIC_IP: "10.99.0.2",
        PUBLIC_IPV6: "",
      },
      stdin: `${evil}\n`,
    });
    assert.deepEqual(part.extensionPeer.remove?.argv, ["/opt/remove", "10.244.2.0/24"]);
  });

  it("passes on data that is not a string as the JSON text it is", () => {
    const [part] = planner().peer(vxlanLease(2, { type: "extension", data: '{"a":1}' }), OWN);
    assert.ok(part?.kind === "usable");
    assert.equal(part.extensionPeer?.add?.stdin, '{"a":1}\n');
  });

  it("tells of both families in one call", () => {
    const own = dualLease(1, { type: "extension" });
    const parts = planner({}, "dual").peer(dualLease(2, { type: "extension", data: '"x"' }), own);
    assert.equal(parts.length, 1);
    const [part] = parts;
    assert.ok(part?.kind === "usable");
    assert.equal(part.extensionPeer?.add?.environment["IPV6SUBNET"], "fd00:0:0:2::/64");
    assert.equal(part.extensionPeer.add.environment["PUBLIC_IPV6"], "fd99::2");
  });

  it("leaves its own lease and other backends' alone, and refuses bad peers", () => {
    const extension = planner();
    assert.deepEqual(extension.peer(OWN, OWN), []);
    assert.deepEqual(extension.peer(vxlanLease(2), OWN), []);
    const outside = vxlanLease(2, { key: "192.168.0.0-24", type: "extension" });
    assert.equal(extension.peer(outside, OWN)[0]?.kind, "invalid");
  });

  it("refuses a config that needs a shell, by the command's name", () => {
    const backend = { ...COMMANDS, postStartupCommand: "echo hello > /tmp/x" };
    const made = extensionPlanner(plannerInput(networkConfig(backend)), backend);
    assert.ok(made.kind === "refused");
    assert.match(made.reason, /^PostStartupCommand: ">" means something to a shell only/);
  });
});
