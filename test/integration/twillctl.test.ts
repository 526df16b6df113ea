/** twillctl on a whole cluster: what it shows, and that wait and ipam check answer by exit code. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startLab } from "../support/lab.ts";

const OTHER = "/coreos.com/network/subnets/10.9.0.0-24";

describe("twillctl in a cluster", () => {
  it("shows the cluster, waits for its kernels and checks its addresses", async (t) => {
    const lab = await startLab(t, { nodes: 2, controllers: 2 });
    const machine = lab.machine("controller1");
    const twillctl = (...args: string[]) => machine.tryExec(["twillctl", ...args]);

    const converged = await twillctl("wait", "converged", "--nodes", "2", "--timeout", "30s");
    assert.equal(converged.code, 0, converged.stderr);
    assert.match(converged.stdout, /^2 nodes have applied revision [0-9]+\n$/);
    const status = await twillctl("status");
    assert.equal(status.code, 0, status.stdout);
    assert.match(status.stdout, /2 ready, 0 behind/);
    assert.match((await twillctl("nodes")).stdout, /^node2 +ready +10\.244\./m);
    assert.match((await twillctl("leases")).stdout, /^10\.244\.\S+-24 +node1 /m);
    assert.match((await twillctl("node", "show", "node1")).stdout, /^backendData +\{.*VtepMAC/m);
    const peer = /^node2 +10\.244\.\S+ +10\.99\.0\.2 +(probing|programmed|reachable) +vxlan/m;
    // Whichever replica is asked: it passes the question on to the one with the stream.
    for (const controller of ["10.99.1.1:7470", "10.99.1.2:7470"]) {
      const asked = await twillctl("--controllers", controller, "node", "show", "node1");
      assert.match(asked.stdout, peer, asked.stdout + asked.stderr);
    }
    const probed = await twillctl("wait", "converged", "--probe", "--timeout", "60s");
    assert.equal(probed.code, 0, probed.stderr);
    assert.match((await twillctl("node", "show", "node1")).stdout, /^node2 .* reachable .* ms, /m);
    const unknown = await twillctl("node", "show", "node3");
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /no node "node3"/);

    assert.match((await twillctl("ipam", "show")).stdout, /^4 +10\.244\.0\.0\/16 .* 2 +0 +/m);
    const good = await twillctl("ipam", "check");
    assert.equal(good.code, 0, good.stdout);
    await lab.registry.put(OTHER, '{"PublicIP":"10.99.0.77","BackendType":"vxlan"}');
    const late = await twillctl("wait", "--revision", "1000000", "--timeout", "1s");
    assert.equal(late.code, 4);
    assert.match(late.stderr, /controllers: have revision [0-9]+, not 1000000 yet/);
    const bad = await twillctl("ipam", "check");
    assert.equal(bad.code, 3);
    assert.match(bad.stdout, /SUBNET_OUTSIDE +10\.9\.0\.0-24/);
  });
});
