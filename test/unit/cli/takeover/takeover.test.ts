/** What `takeover` makes of flanneld's options, and what it says stands in the way. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readFlanneldOptions } from "../../../../cli/takeover/flanneld-options.ts";
import { checkTakeover, isNote, type NodeFacts } from "../../../../cli/takeover/takeover-check.ts";
import { planTakeover } from "../../../../cli/takeover/takeover-plan.ts";

const CONFIG = '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}';
const LEASE = {
  key: "10.244.7.0-24",
  publicIp: "192.0.2.7",
  publicIpv6: "",
  backendType: "vxlan",
  backendData: "",
  backendV6Data: "",
  node: "",
};
const NETWORK = { configJson: CONFIG, leases: [{ lease: LEASE, etcdLease: "1", revision: 3 }] };

function options(...argv: readonly string[]): ReturnType<typeof readFlanneldOptions> {
  return readFlanneldOptions({ pid: 1, argv, env: {} });
}

function node(change: Partial<NodeFacts> = {}): NodeFacts {
  return {
    flanneld: options(),
    isAgentRunning: false,
    subnetEnv: new Map([["FLANNEL_SUBNET", "10.244.7.1/24"]]),
    devices: new Set(["eth0", "flannel.1"]),
    ...change,
  };
}

function codes(facts: NodeFacts, network = NETWORK): string[] {
  return checkTakeover(facts, network).map(({ code }) => code);
}

describe("flanneld's options", () => {
  it("become the agent's, the controllers', or nothing", () => {
    const read = options("-iface", "eth1", "--ip-masq", "-etcd-prefix=/net", "-v=2");
    assert.deepEqual(read.agentEnv, ["TWILL_IFACE=eth1", "TWILL_IP_MASQ=true"]);
    assert.deepEqual(read.ofControllers, ["--etcd-prefix /net"]);
    assert.deepEqual(read.findings, []);
  });

  it("are read from the environment when the command line has none", () => {
    const env = { FLANNELD_PUBLIC_IP: "192.0.2.1", FLANNELD_IFACE: "eth0" };
    const read = readFlanneldOptions({ pid: 1, argv: ["-iface=eth1"], env });
    assert.deepEqual(read.agentEnv, ["TWILL_IFACE=eth1", "TWILL_PUBLIC_IP=192.0.2.1"]);
  });

  it("never show etcd's password", () => {
    assert.doesNotMatch(options("-etcd-password=s3cret").ofControllers.join(), /s3cret/);
  });

  it("of the Kubernetes mode stand in the way, several interfaces do not", () => {
    assert.deepEqual(options("-kube-subnet-mgr").findings[0]?.code, "KUBERNETES");
    const several = options("-iface=a", "-iface=b").findings;
    assert.deepEqual(several.map(isNote), [true]);
  });
});

describe("takeover check", () => {
  it("finds nothing when lease, device and subnet.env are there", () => {
    assert.deepEqual(codes(node()), []);
  });

  it("names a lease that etcd does not have, and one that two nodes have", () => {
    assert.deepEqual(codes(node(), { ...NETWORK, leases: [] }), ["LEASE_MISSING"]);
    const twin = { lease: { ...LEASE, key: "10.244.8.0-24" }, etcdLease: "2", revision: 4 };
    const network = { ...NETWORK, leases: [...NETWORK.leases, twin] };
    assert.deepEqual(codes(node(), network), ["PUBLIC_IP_DUPLICATE"]);
  });

  it("names a config without Backend: flannel and Twill read it differently", () => {
    const network = { ...NETWORK, configJson: '{"Network":"10.244.0.0/16"}' };
    assert.deepEqual(codes(node(), network), ["BACKEND_IMPLICIT"]);
  });

  it("only notes what costs nothing or cannot be helped", () => {
    const udp = { ...NETWORK, configJson: CONFIG.replace("vxlan", "udp") };
    const found = [
      ...checkTakeover(node({ flanneld: undefined, devices: new Set() }), NETWORK),
      ...checkTakeover(node(), udp),
    ];
    assert.deepEqual(
      found.map(({ code }) => code),
      ["FLANNELD_ABSENT", "DEVICE_MISSING", "TRAFFIC_GAP"],
    );
    assert.ok(found.every(isNote));
  });

  it("stops where an agent runs already or flanneld never was ready", () => {
    const found = codes(node({ isAgentRunning: true, subnetEnv: undefined }));
    assert.deepEqual(found, ["AGENT_RUNNING", "SUBNET_ENV_MISSING"]);
  });
});

describe("takeover plan", () => {
  it("quotes what it puts into a shell", () => {
    const plan = planTakeover(node({ flanneld: options("-iface-regex=^(a'b)$") }));
    assert.ok(plan.includes("echo 'TWILL_IFACE_REGEX=^(a'\\''b)$' >> /etc/twill/agent.env"));
  });
});
