/** What only the real kernel can show: its own tools' view, load, overflow, namespaces. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it, type TestContext } from "node:test";
import type { KernelChange, KernelEvent } from "../../../../agent/kernel/kernel.ts";
import { NETLINK } from "../../../../agent/kernel/netlink/constants.ts";
import { MONITOR_GROUPS, NetlinkMonitor } from "../../../../agent/kernel/netlink/monitor.ts";
import { openNetlink } from "../../../../agent/kernel/netlink/open.ts";
import { NetlinkKernel } from "../../../../agent/kernel/netlink-kernel.ts";
import { type RulesetChange, watchRuleset } from "../../../../agent/kernel/ruleset-watch.ts";
import { until } from "../../../../scripts/testbed/poll.ts";
import { assertGolden } from "../../../support/golden.ts";
import {
  deletion,
  ip,
  mac,
  peerChanges,
  putAddress,
  putFdb,
  putNeighbour,
  putRoute,
  route,
  vxlan,
} from "../../../support/kernel-contract.ts";
import { type NetworkNamespace, namespaceFor } from "../../../support/netns.ts";

const { signal } = new AbortController();
const SOON = { deadlineMs: 10_000, everyMs: 5 };
const withoutRoot = process.getuid?.() === 0 ? {} : { skip: "needs root" };

describe("the kernel's own tools", withoutRoot, () => {
  it("show a peer as they show flannel's (contract 3.1)", async (t) => {
    const { kernel, namespace } = await openMachine(t);
    const peer = [
      putAddress({ device: "flannel.1", ip: ip("10.50.7.0"), prefix: 32 }),
      putNeighbour({ device: "flannel.1", ip: ip("10.50.54.0"), mac: mac("7e:3f:9b:d9:8f:b6") }),
      putFdb({ device: "flannel.1", mac: mac("7e:3f:9b:d9:8f:b6"), remote: ip("10.99.0.2") }),
      putRoute(route("10.50.54.0/24", "10.50.54.0")),
      putNeighbour({
        device: "flannel-v6.1",
        ip: ip("fd50:0:0:e::"),
        mac: mac("7e:3f:9b:d9:8f:b7"),
      }),
      putFdb({ device: "flannel-v6.1", mac: mac("7e:3f:9b:d9:8f:b7"), remote: ip("fd99::2") }),
      putRoute(route("fd50:0:0:e::/64", "fd50:0:0:e::", { device: "flannel-v6.1" })),
    ];
    const v6 = { name: "flannel-v6.1", local: ip("fd99::1"), mac: mac("02:00:00:00:00:02") };
    await kernel.createLink(vxlan(v6), signal);
    await kernel.setLink("flannel-v6.1", { up: true }, signal);
    assert.deepEqual(await kernel.apply(peer, signal), []);
    assertGolden("kernel/vxlan-peer.txt", await toolsView(namespace));
  });
});

describe("a real kernel", withoutRoot, () => {
  it("takes and gives thousands of peers, and says of each that fails which it was", async (t) => {
    const { kernel, namespace } = await openMachine(t);
    const peers = Array.from({ length: 3000 }, (_, index) => manyPeerChanges(index)).flat();
    const bad = putRoute(route("192.0.2.0/24", "192.0.2.1", { onlink: false }));
    const failures = await kernel.apply([...peers, bad], signal);
    assert.deepEqual(
      failures.map(({ change, errno }) => [change, errno]),
      [[bad, "ENETUNREACH"]],
    );
    assert.equal((await kernel.listNeighbours("flannel.1", signal)).length, 3000);
    assert.equal((await kernel.listFdb("flannel.1", signal)).length, 3000);
    const routes = await kernel.listRoutes(signal);
    assert.equal(routes.filter(({ device }) => device === "flannel.1").length, 3001);
    assert.match(await namespace.run("ip", "route", "show", "10.75.0.0/24"), /via 10\.75\.0\.0/);
    assert.deepEqual(await kernel.apply(peers.map(deletion), signal), []);
    assert.deepEqual(await kernel.listNeighbours("flannel.1", signal), []);
  });

  it("serves many calls at once, each its own answer", async (t) => {
    const { kernel } = await openMachine(t);
    await kernel.apply(peerChanges(7), signal);
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const change = peerChanges(index + 10);
        const [links, failures, neighbours, lookup] = await Promise.all([
          kernel.listLinks(signal),
          kernel.apply(change, signal),
          kernel.listNeighbours("flannel.1", signal),
          kernel.lookUpRoute(ip("10.244.7.9"), signal),
        ]);
        assert.deepEqual(failures, []);
        assert.equal(lookup?.device, "flannel.1");
        assert.ok(neighbours.some((neighbour) => neighbour.ip.value === ip("10.244.7.0").value));
        return links.length;
      }),
    );
    assert.equal(new Set(answers).size, 1);
  });

  it("tells a gap when events were lost, and goes on telling", async (t) => {
    const { kernel, namespace } = await openMachine(t);
    const events: KernelEvent[] = [];
    const monitor = new NetlinkMonitor({
      open: () =>
        openNetlink({
          protocol: NETLINK.ROUTE,
          groups: MONITOR_GROUPS,
          receiveBytes: 8192,
          netns: namespace.path,
        }),
      linkNames: async (stop) =>
        new Map((await kernel.listLinks(stop)).map(({ index, name }) => [index, name])),
      listener: (event) => events.push(event),
    });
    t.after(() => monitor[Symbol.dispose]());
    // Written while this process can read nothing: a reader that keeps up loses nothing.
    const flood = Array.from(
      { length: 2000 },
      (_, index) =>
        `neighbour add 10.64.${index >> 8}.${index & 255} lladdr 02:00:00:00:00:01 nud permanent dev flannel.1`,
    );
    batchBlocking(namespace, "ip", flood);
    await until(
      "a gap is told",
      SOON,
      () => events.some(({ kind }) => kind === "gap") || undefined,
    );
    const wasTold = (): boolean =>
      events.some(
        (event) => event.kind === "route" && event.removed && event.route.protocol === 77,
      );
    await until("an event after the gap is told", SOON, async () => {
      // Once more each time: these may still be lost with the rest of the flood.
      const late = putRoute(route("10.244.7.0/24", "10.244.7.0", { protocol: 77 }));
      await kernel.apply([late, deletion(late)], signal);
      return wasTold() || undefined;
    });
  });

  it("loses none of 60,000 events while the process is busy", async (t) => {
    const { kernel, namespace } = await openMachine(t);
    const counts = { neighbour: 0, fdb: 0, gap: 0, route: 0, link: 0, address: 0 };
    const watch = kernel.watch(({ kind }) => {
      counts[kind] += 1;
    });
    t.after(() => watch[Symbol.dispose]());
    const peers = Array.from({ length: 15_000 }, (_, index) => index);
    const address = (index: number): string => `10.${64 + (index >> 8)}.${index & 255}.0`;
    const lladdr = (index: number): string =>
      `02:00:00:00:${hexByte(index >> 8)}:${hexByte(index & 255)}`;
    const neighbour = (op: string) => (index: number) =>
      `neighbour ${op} ${address(index)} lladdr ${lladdr(index)} nud permanent dev flannel.1`;
    const fdb = (op: string) => (index: number) =>
      `fdb ${op} ${lladdr(index)} dst 10.99.0.2 self permanent dev flannel.1`;
    for (const op of ["add", "delete"]) {
      batchBlocking(namespace, "ip", peers.map(neighbour(op)));
      batchBlocking(namespace, "bridge", peers.map(fdb(op)));
    }
    await until("all are told", SOON, () =>
      counts.neighbour >= 30_000 && counts.fdb >= 30_000 ? true : undefined,
    );
    assert.deepEqual([counts.neighbour, counts.fdb, counts.gap], [30_000, 30_000, 0]);
  });

  it("is reached in another namespace, and the process stays in its own", async (t) => {
    const namespace = await namespaceFor(t);
    const kernel = new NetlinkKernel({ netns: namespace.path });
    t.after(() => kernel[Symbol.asyncDispose]());
    const inside = await kernel.listLinks(signal);
    assert.deepEqual(
      inside.map(({ name }) => name),
      ["lo"],
    );
    await using home = new NetlinkKernel();
    assert.notDeepEqual(await home.listLinks(signal), inside);
  });

  it("is reported missing when there is no such namespace", async () => {
    await using kernel = new NetlinkKernel({ netns: "/run/netns/no-such" });
    await assert.rejects(kernel.listLinks(signal), {
      code: "KERNEL_REFUSED",
      message: "there is no network namespace /run/netns/no-such",
    });
  });

  it("makes a TUN device that outlives its maker", async (t) => {
    const { kernel, namespace } = await openMachine(t);
    const tun = { kind: "tun", name: "flannel0", mtuBytes: 1472 } as const;
    await kernel.createLink(tun, signal);
    const found = (await kernel.listLinks(signal)).find(({ name }) => name === "flannel0");
    assert.deepEqual(
      { kind: found?.kind, mtuBytes: found?.mtuBytes, mac: found?.mac, up: found?.up },
      { kind: "tun", mtuBytes: 1472, mac: undefined, up: false },
    );
    await assert.rejects(kernel.createLink(tun, signal), /EEXIST/);
    assert.match(await namespace.run("ip", "-d", "link", "show", "flannel0"), /tun type tun/);
    await kernel.deleteLink("flannel0", signal);
  });

  it("tells when the packet filter's rules change, and who changed them", async (t) => {
    const { namespace } = await openMachine(t);
    const changes: RulesetChange[] = [];
    const watch = watchRuleset((change) => changes.push(change), { netns: namespace.path });
    t.after(() => watch[Symbol.dispose]());
    await namespace.run("nft", "add table ip a; add chain ip a b; add rule ip a b accept");
    await until("one change", SOON, () => changes.length > 0 || undefined);
    await namespace.run("nft", "delete table ip a");
    await until("two changes", SOON, () => changes.length > 1 || undefined);
    assert.deepEqual(
      changes.map(({ processName }) => processName),
      ["nft", "nft"],
    );
    assert.ok(changes.every(({ processId }) => processId !== undefined && processId > 1));
  });
});

/** Runs `ip -batch` or `bridge -batch` while this process does nothing else. */
function batchBlocking(
  namespace: NetworkNamespace,
  program: "ip" | "bridge",
  lines: readonly string[],
): void {
  const [file = "", ...args] = namespace.inside([program, "-batch", "-"]);
  execFileSync(file, args, { input: lines.join("\n") });
}

const hexByte = (value: number): string => value.toString(16).padStart(2, "0");

/** One of very many peers, on metrics that the kernel can bear (O(N²) on one). */
function manyPeerChanges(index: number): readonly KernelChange[] {
  const network = `10.${64 + (index >> 8)}.${index & 255}.0`;
  const lladdr = mac(`02:00:00:00:${hexByte(index >> 8)}:${hexByte(index & 255)}`);
  return [
    putNeighbour({ device: "flannel.1", ip: ip(network), mac: lladdr }),
    putFdb({ device: "flannel.1", mac: lladdr, remote: ip("10.99.0.2") }),
    putRoute(route(`${network}/24`, network, { metric: 1 + (index % 1024) })),
  ];
}

/** What an operator sees, without what depends on the machine and the tools' version. */
async function toolsView(namespace: NetworkNamespace): Promise<string> {
  const parts: string[] = [];
  for (const device of ["flannel.1", "flannel-v6.1"]) {
    const link = await namespace.run("ip", "-d", "link", "show", device);
    parts.push(
      link
        .replace(/^[0-9]+: /, "")
        .replace(/ (mode|group) \w+/g, "")
        .replace(/ promiscuity .*$/m, "")
        .replace(/ numtxqueues .*$/m, ""),
    );
    parts.push(
      await namespace.run("ip", "-4", "address", "show", "dev", device, "scope", "global"),
    );
    parts.push(await namespace.run("ip", "route", "show", "dev", device));
    parts.push(await namespace.run("ip", "-6", "route", "show", "dev", device, "proto", "boot"));
    parts.push(await namespace.run("ip", "neighbour", "show", "dev", device));
    parts.push(await namespace.run("bridge", "fdb", "show", "dev", device));
  }
  const lines = parts
    .join("")
    .split("\n")
    .map((line) => line.trimEnd());
  return `${lines.filter((line) => line !== "").join("\n")}\n`.replace(/^[0-9]+: /gm, "");
}

async function openMachine(
  t: TestContext,
): Promise<{ readonly kernel: NetlinkKernel; readonly namespace: NetworkNamespace }> {
  const namespace = await namespaceFor(t);
  const kernel = new NetlinkKernel({ netns: namespace.path });
  t.after(() => kernel[Symbol.asyncDispose]());
  await namespace.addCard("eth0", "10.99.0.1/24", "fd99::1/64");
  await kernel.createLink(vxlan(), signal);
  await kernel.setLink("flannel.1", { up: true }, signal);
  return { kernel, namespace };
}
