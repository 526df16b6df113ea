/** The merged picture of the cluster: conditions of nodes, silence of controllers, health. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { viewCluster } from "../../../../cli/cluster/cluster-view.ts";
import type { Answer } from "../../../../cli/connection/operator-client.ts";
import type { NodeStatus, Status } from "../../../../proto/gen/twill/v1/operator.ts";

function node(name: string, applied: number, more: Partial<NodeStatus> = {}): NodeStatus {
  return {
    node: name,
    version: "0.1.0",
    address: "10.99.0.1:5000",
    sentRevision: applied,
    appliedRevision: applied,
    failures: [],
    state: "in-sync",
    reason: "",
    driftRepaired: 0,
    connectedSeconds: 10,
    ...more,
  };
}

function status(controller: string, nodes: NodeStatus[], holders: string[]): Answer<Status> {
  const leases = holders.map((holder, index) => ({
    lease: {
      key: `10.244.${index}.0-24`,
      publicIp: `10.99.0.${index}`,
      publicIpv6: "",
      backendType: "vxlan",
      backendData: "{}",
      backendV6Data: "",
      node: holder,
    },
    etcdLease: "1f",
    revision: 9,
  }));
  const value: Status = {
    instance: "i",
    controller,
    leader: "c1:7474",
    revision: 10,
    digest: "",
    config: undefined,
    leases,
    nodes,
    store: "connected",
    warnings: [],
    malformedKeys: 0,
    controllers: [],
  };
  return { kind: "answer", controller, value };
}

describe("the cluster view", () => {
  it("is healthy when every node's kernel has the newest revision", () => {
    const view = viewCluster([
      status("c1:7474", [node("n1", 10)], ["n1", "n2"]),
      status("c2:7474", [node("n2", 10)], ["n1", "n2"]),
    ]);
    assert.equal(view.healthy, true);
    assert.equal(view.appliedRevision, 10);
    assert.deepEqual(
      view.nodes.map((n) => [n.node, n.condition, n.controller]),
      [
        ["n1", "ready", "c1:7474"],
        ["n2", "ready", "c2:7474"],
      ],
    );
  });

  it("names who is behind, failing or lost, and why", () => {
    const failure = { kind: "route", key: "10.1.0.0/24", code: "ENODEV", message: "no device" };
    const view = viewCluster([
      status(
        "c1:7474",
        [node("slow", 7, { reason: "applying" }), node("broken", 10, { failures: [failure] })],
        ["slow", "broken", "gone"],
      ),
    ]);
    assert.equal(view.healthy, false);
    assert.equal(view.appliedRevision, 7);
    assert.deepEqual(
      view.nodes.map((n) => [n.node, n.condition, n.reason, n.behind]),
      [
        ["broken", "failing", "route 10.1.0.0/24: ENODEV no device", 0],
        ["gone", "lost", "no controller has its stream", 0],
        ["slow", "behind", "applying", 3],
      ],
    );
  });

  it("believes the younger of two streams of one node", () => {
    const view = viewCluster([
      status("c1:7474", [node("n1", 5, { connectedSeconds: 900 })], ["n1"]),
      status("c2:7474", [node("n1", 10, { connectedSeconds: 2 })], ["n1"]),
    ]);
    assert.deepEqual(
      view.nodes.map((n) => [n.controller, n.appliedRevision]),
      [["c2:7474", 10]],
    );
  });

  it("warns of silent controllers and of a missing leader", () => {
    const silent: Answer<Status> = { kind: "silent", controller: "c2:7474", reason: "refused" };
    const view = viewCluster([silent]);
    assert.equal(view.healthy, false);
    assert.deepEqual(
      view.warnings.map((w) => w.code),
      ["CONTROLLER_SILENT", "NO_LEADER"],
    );
  });

  it("does not take real flannel nodes and reservations for lost nodes", () => {
    const view = viewCluster([status("c1:7474", [], ["", ""])]);
    assert.deepEqual(view.nodes, []);
    assert.equal(view.leases.length, 2);
  });
});
