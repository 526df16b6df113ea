/**
 * The agent's outside on real parts: when it says it is ready, what it remembers, what it
 * leaves behind, and what cleanup takes away. Real etcd, controller and kernels in namespaces.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { removeFromNetwork } from "../../scripts/testbed/cni-list.ts";
import type { Lab } from "../../scripts/testbed/lab.ts";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { pingOnce } from "../../scripts/testbed/pinger.ts";
import { addPodByList } from "../../scripts/testbed/pods.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { Unit } from "../../scripts/testbed/unit.ts";
import { startLab } from "../support/lab.ts";
import {
  deleteLease,
  overlayText,
  putForeignLease,
  routedEverywhere,
  waitReady,
  withoutLoss,
  withPods,
} from "../support/lab-checks.ts";
import { iperfPasses } from "../support/lab-iperf.ts";

const SOON = { deadlineMs: 30_000 };
/** Below an overlay: each machine of the lab has its own. */
const CNI_FOLDER = "/etc/cni/net.d";
const AGENT = fileURLToPath(new URL("../../agent/main.js", import.meta.url));

interface LogLine {
  readonly event: string;
  readonly message: string;
}

/** The agent's events since this many bytes of its log. */
async function events(lab: Lab, node: Machine, since = 0): Promise<LogLine[]> {
  const log = (await lab.unit(node.name).log()).slice(since);
  return log.split("\n").flatMap((line) => {
    const parsed: unknown = line.startsWith("{") && line.endsWith("}") ? JSON.parse(line) : {};
    const field = (name: string): string => String(Reflect.get(Object(parsed), name));
    return line.startsWith("{") ? [{ event: field("event"), message: field("message") }] : [];
  });
}

async function logged(lab: Lab, node: Machine, event: string, since: number): Promise<LogLine> {
  return until(`${node.name} logs ${event}`, SOON, async () =>
    (await events(lab, node, since)).find((line) => line.event === event),
  );
}

async function logSize(lab: Lab, node: Machine): Promise<number> {
  return (await lab.unit(node.name).log()).length;
}

function pair(lab: Lab): readonly [Machine, Machine] {
  const [a, b] = lab.nodes;
  assert.ok(a && b);
  return [a, b];
}

async function assertPings(lab: Lab): Promise<void> {
  const [a, b] = lab.pods;
  assert.ok(a && b);
  assert.ok(await pingOnce(a, b), "node1's pod does not reach node2's");
  assert.ok(await pingOnce(b, a), "node2's pod does not reach node1's");
}

async function hasRoute(node: Machine, destination: string): Promise<boolean> {
  return (await node.exec(["ip", "route", "show", destination])).trim() !== "";
}

describe("two agents", () => {
  it("join, outlive their controllers, remember, follow their addresses, and clean up", async (t) => {
    const lab = await startLab(t, {
      nodes: 2,
      controllers: 1,
      agentOptions: ["--cni-conf-dir", CNI_FOLDER],
    });
    await withPods(lab);
    const [one, two] = pair(lab);

    await t.test("ping across vxlan, and were ready only when the kernel was", async () => {
      await assertPings(lab);
      for (const node of [one, two]) {
        await waitReady(node);
        const names = (await events(lab, node)).map(({ event }) => event);
        const order = ["link.created", "lease.acquired", "snapshot.applied", "file.written"];
        const places = [...order, "agent.ready"].map((event) => names.indexOf(event));
        assert.ok(!places.includes(-1), names.join(" "));
        assert.deepEqual(
          places,
          places.toSorted((x, y) => x - y),
          names.join(" "),
        );
      }
    });

    await t.test("write a CNI list that the standard plugins join pods by", async () => {
      const file = join(CNI_FOLDER, "10-twill.conflist");
      const call = {
        machine: one,
        pod: "bylist",
        list: await one.exec(["cat", file]),
        portMappings: [{ hostPort: 8080, containerPort: 5201, protocol: "tcp" as const }],
      };
      const pod = await addPodByList(call);
      const [neighbour, far] = lab.pods;
      assert.ok(neighbour && far);
      // The same network as the pods' that joined by subnet.env: one bridge, one count of addresses.
      assert.notEqual(pod.ip, neighbour.ip);
      for (const other of [neighbour, far]) assert.ok(await pingOnce(pod, other), other.ip);
      assert.ok(await pingOnce(far, pod));
      const published = ["-c", one.id.ip, "-p", "8080"];
      await iperfPasses(pod, (argv) => two.tryExec([...argv, ...published]));
      await removeFromNetwork(call);
      const addresses = await one.exec(["ls", "/var/lib/cni/networks/cbr0"]);
      assert.ok(!addresses.includes(pod.ip), addresses);
      await one.exec(["ip", "netns", "del", pod.name]);
    });

    await t.test("SIGTERM changes nothing, and the restart resumes with the same MAC", async () => {
      const before = await overlayText(lab, one);
      const since = await logSize(lab, one);
      await withoutLoss(lab, async () => {
        await lab.unit(one.name).stop();
        assert.equal(await overlayText(lab, one), before);
        lab.unit(one.name).start();
        await logged(lab, one, "agent.ready", since);
      });
      assert.equal(await overlayText(lab, one), before);
      const written = (await events(lab, one, since)).filter(({ event }) =>
        /^link\.(re)?created$/.test(event),
      );
      assert.deepEqual(written, []);
    });

    await t.test("without controllers a killed agent starts from its cache, add-only", async () => {
      const gone = await putForeignLease(lab, 200);
      await routedEverywhere(lab, gone, true);
      const since = await logSize(lab, one);
      // The cache is written some seconds after a change, and at an orderly end.
      await lab.unit(one.name).stop();
      await lab.unit("controller1").crash({ restart: false });
      const lease = await lab.leaseOf(two);
      await one.exec(["ip", "route", "del", lease.subnet]);
      await one.exec(["rm", "-f", "/run/flannel/subnet.env"]);
      await deleteLease(lab, gone);
      lab.unit(one.name).start();
      await until("the route is back", SOON, async () =>
        (await hasRoute(one, lease.subnet)) ? true : undefined,
      );
      await until("subnet.env is back", SOON, () => one.readRunFile("flannel/subnet.env"));
      assert.match((await logged(lab, one, "cache.loaded", since)).message, /add-only/);
      // Containers are not held up for controllers that are away.
      await waitReady(one);
      assert.ok(await hasRoute(one, gone), "something was deleted before it was in sync");
      await assertPings(lab);

      lab.unit("controller1").start();
      await waitReady(one);
      await until("what went meanwhile is pruned", SOON, async () =>
        (await hasRoute(one, gone)) ? undefined : true,
      );
      await lab.waitConverged();
    });

    await t.test("a new address is advertised and programmed without a restart", async () => {
      const starts = lab.unit(two.name).starts;
      await two.exec(["ip", "address", "del", `${two.id.ip}/16`, "dev", "eth0"]);
      await two.exec(["ip", "address", "add", "10.99.0.77/16", "dev", "eth0"]);
      await two.exec(["ip", "route", "replace", "default", "via", "10.99.255.254", "dev", "eth0"]);
      await until("node1 sends to the new address", SOON, async () => {
        const fdb = await one.exec(["bridge", "fdb", "show", "dev", "flannel.1"]);
        return fdb.includes("dst 10.99.0.77") && !fdb.includes(`dst ${two.id.ip} `)
          ? true
          : undefined;
      });
      await until("the device has it", SOON, async () => {
        const link = await two.exec(["ip", "-d", "link", "show", "flannel.1"]);
        return link.includes("local 10.99.0.77") ? true : undefined;
      });
      await until("pods reach each other again", SOON, async () => {
        const [a, b] = lab.pods;
        return a && b && (await pingOnce(a, b)) ? true : undefined;
      });
      assert.equal(lab.unit(two.name).starts, starts);
      const leases = await lab.registry.leases();
      assert.equal(leases.length, 2, "the lease was updated in place");
    });

    await t.test("cleanup removes what Twill made, and only that", async () => {
      await lab.unit(one.name).stop();
      await one.exec(["ip", "link", "add", "flannel.9", "type", "bridge"]);
      await one.exec(["ip", "route", "add", "10.200.0.0/24", "via", "10.99.255.254"]);
      await one.exec(["touch", `${CNI_FOLDER}/99-other.conflist`]);
      const cleanup = [AGENT, "cleanup", "--purge", "--cni-conf-dir", CNI_FOLDER];
      await one.exec([process.execPath, ...cleanup]);
      assert.equal(await one.exec(["ls", CNI_FOLDER]), "99-other.conflist\n");
      const links = await one.exec(["ip", "-o", "link", "show"]);
      assert.ok(!links.includes("flannel.1:"), links);
      assert.ok(links.includes("flannel.9:"), "a device of another kind was removed");
      const routes = await one.exec(["ip", "route", "show"]);
      assert.ok(!/^10\.244\.[0-9]+\.0\/24 via/m.test(routes), routes);
      assert.match(routes, /^10\.200\.0\.0\/24 via/m);
      assert.equal(one.readRunFile("flannel/subnet.env"), undefined);
      const state = await one.tryExec(["ls", "-A", "/var/lib/twill"]);
      assert.equal(state.stdout.trim(), "");
      // Twice is no mistake, and with all state lost it names what it cannot judge.
      const lost = ["name", "flannel.7", "type", "vxlan", "id", "7", "dstport", "8479"];
      await one.exec(["ip", "link", "add", ...lost]);
      const said = await one.tryExec([process.execPath, ...cleanup]);
      assert.equal(said.code, 0);
      assert.match(
        `${said.stdout}${said.stderr}`,
        /flannel\.7 may be of a run whose state is lost/,
      );
      await one.exec(["ip", "link", "show", "flannel.7"]);
    });
  });
});

describe("an agent on a machine without a default route", () => {
  it("names the way out, stays alive, and goes on when the route is there", async (t) => {
    const lab = await startLab(t, {
      nodes: 1,
      controllers: 1,
      run: ["etcd", "controller"],
      insecure: true,
    });
    const [node] = lab.nodes;
    assert.ok(node);
    await node.exec(["ip", "route", "del", "default"]);
    const argv = [process.execPath, AGENT, "--controllers", "10.99.1.1:7470", "--insecure"];
    const unit = new Unit(node, { name: "agent", argv }, join(lab.site.folder, "agent.log"));
    t.after(() => unit.crash({ restart: false }));
    unit.start();
    await until("it says what is missing", SOON, async () =>
      /no IPv4 default route.*--iface/.test(await unit.log()) ? true : undefined,
    );
    await node.exec(["ip", "route", "add", "default", "via", "10.99.255.254"]);
    await until("it is ready", SOON, async () =>
      (await unit.log()).includes("agent.ready") ? true : undefined,
    );
    assert.equal(unit.starts, 1);
    await unit.stop();
  });
});
