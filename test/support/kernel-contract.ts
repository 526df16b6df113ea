/**
 * What every Kernel must do, the small one in memory and Linux alike. One suite, so that a test
 * that passes on the fake says something about Linux.
 */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Kernel, KernelChange, KernelEvent } from "../../agent/kernel/kernel.ts";
import type { RouteChange } from "../../agent/kernel/netlink/change.ts";
import type {
  AddressSpec,
  FdbSpec,
  NeighbourSpec,
  RouteSpec,
  VxlanLink,
} from "../../agent/plan/kernel-state.ts";
import { TwillError } from "../../common/errors.ts";
import { formatCidr, parseCidr } from "../../common/net/cidr.ts";
import { formatIp, type Ip, parseIp } from "../../common/net/ip.ts";
import { type Mac, parseMac } from "../../common/net/mac.ts";
import { until } from "../../scripts/testbed/poll.ts";

export interface KernelUnderTest extends AsyncDisposable {
  readonly kernel: Kernel;
  /** A network card that is up and has carrier. */
  addCard(name: string, ...addresses: readonly string[]): Promise<void>;
}

const signal = new AbortController().signal;
const BOOT = 3;
const STATIC = 4;
const DEVICE = "flannel.1";

export function ip(text: string): Ip {
  const parsed = parseIp(text);
  assert.ok(parsed, `"${text}" is no address`);
  return parsed;
}

export function mac(text: string): Mac {
  const parsed = parseMac(text);
  assert.ok(parsed, `"${text}" is no MAC`);
  return parsed;
}

export function vxlan(changes: Partial<VxlanLink> = {}): VxlanLink {
  return {
    kind: "vxlan",
    name: DEVICE,
    mtuBytes: 1450,
    mac: mac("02:00:00:00:00:01"),
    vni: 1,
    lower: "eth0",
    local: ip("10.99.0.1"),
    port: 0,
    learning: false,
    gbp: false,
    ...changes,
  };
}

export function route(
  destination: string,
  gateway: string,
  changes: Partial<RouteSpec> = {},
): RouteSpec {
  const parsed = parseCidr(destination);
  assert.ok(parsed, `"${destination}" is no network`);
  return {
    destination: parsed,
    gateway: ip(gateway),
    device: DEVICE,
    onlink: true,
    scope: "global",
    type: "unicast",
    protocol: BOOT,
    ...changes,
  };
}

export const putRoute = (object: RouteSpec): RouteChange => ({ op: "put", kind: "route", object });
export const putAddress = (object: AddressSpec): RouteChange => ({
  op: "put",
  kind: "address",
  object,
});
export const putNeighbour = (object: NeighbourSpec): RouteChange => ({
  op: "put",
  kind: "neighbour",
  object,
});
export const putFdb = (object: FdbSpec): RouteChange => ({ op: "put", kind: "fdb", object });
export const deletion = <Change extends KernelChange>(change: Change): Change => ({
  ...change,
  op: "delete",
});

/** The objects of one peer in both families. */
export function peerChanges(number: number, device = DEVICE): readonly RouteChange[] {
  const hex = number.toString(16).padStart(2, "0");
  const lladdr = mac(`02:00:00:00:01:${hex}`);
  return [
    putNeighbour({ device, ip: ip(`10.244.${number}.0`), mac: lladdr }),
    putNeighbour({ device, ip: ip(`fd50:${hex}::`), mac: lladdr }),
    putFdb({ device, mac: lladdr, remote: ip(`10.99.0.${number}`) }),
    putRoute(route(`10.244.${number}.0/24`, `10.244.${number}.0`, { device })),
    putRoute(route(`fd50:${hex}::/64`, `fd50:${hex}::`, { device })),
  ];
}

const OWN_ADDRESSES = [
  putAddress({ device: DEVICE, ip: ip("10.244.0.0"), prefix: 32 }),
  putAddress({ device: DEVICE, ip: ip("fd50::"), prefix: 128 }),
];

export function kernelContract(
  name: string,
  open: (t: TestContext) => Promise<KernelUnderTest>,
): void {
  /** A machine with one card and a vxlan device that is up and has its addresses. */
  const openMachine = async (t: TestContext): Promise<Kernel> => {
    const bed = await openBed(t, open);
    await bed.addCard("eth0", "10.99.0.1/24", "fd99::1/64");
    await bed.kernel.createLink(vxlan(), signal);
    await bed.kernel.setLink(DEVICE, { up: true }, signal);
    assert.deepEqual(await bed.kernel.apply(OWN_ADDRESSES, signal), []);
    return bed.kernel;
  };

  describe(`${name}: links`, () => linkTests(open, openMachine));
  describe(`${name}: objects`, () => objectTests(openMachine));
  describe(`${name}: refusals`, () => refusalTests(openMachine));
  describe(`${name}: look-ups`, () => lookupTests(open, openMachine));
  describe(`${name}: events and what goes without`, () => eventTests(openMachine));
}

type Open = (t: TestContext) => Promise<KernelUnderTest>;
type OpenMachine = (t: TestContext) => Promise<Kernel>;

async function openBed(t: TestContext, open: Open): Promise<KernelUnderTest> {
  const bed = await open(t);
  t.after(() => bed[Symbol.asyncDispose]());
  return bed;
}

function linkTests(open: Open, openMachine: OpenMachine): void {
  it("lists a card with its name, MTU, MAC and state", async (t) => {
    const bed = await openBed(t, open);
    await bed.addCard("eth0", "10.99.0.1/24");
    const links = await bed.kernel.listLinks(signal);
    const card = links.find((link) => link.name === "eth0");
    assert.ok(card?.mac);
    assert.ok(card.index > 1);
    assert.deepEqual(
      { up: card.up, running: card.running, mtuBytes: card.mtuBytes, vxlan: card.vxlan },
      { up: true, running: true, mtuBytes: 1500, vxlan: undefined },
    );
    assert.equal(links.find((link) => link.name === "lo")?.index, 1);
  });

  it("creates a vxlan device, down, with the attributes asked for", async (t) => {
    const bed = await openBed(t, open);
    await bed.addCard("eth0", "10.99.0.1/24");
    await bed.kernel.createLink(vxlan({ learning: true, gbp: true, port: 4789 }), signal);
    const links = await bed.kernel.listLinks(signal);
    const device = links.find((link) => link.name === DEVICE);
    assert.deepEqual(device, {
      index: device?.index,
      name: DEVICE,
      kind: "vxlan",
      up: false,
      running: false,
      mtuBytes: 1450,
      mac: mac("02:00:00:00:00:01"),
      lowerIndex: 0,
      txChecksum: true,
      vxlan: {
        vni: 1,
        lowerIndex: links.find((link) => link.name === "eth0")?.index,
        local: ip("10.99.0.1"),
        group: undefined,
        port: 4789,
        learning: true,
        gbp: true,
        l2miss: false,
        l3miss: false,
      },
    });
  });

  it("takes port 0 as 8472, and as the same port as 8472", async (t) => {
    const kernel = await openMachine(t);
    const device = (await kernel.listLinks(signal)).find((link) => link.name === DEVICE);
    assert.equal(device?.vxlan?.port, 8472);
    const twin = vxlan({ name: "flannel.2", port: 8472 });
    await assert.rejects(kernel.createLink(twin, signal), refusedWith("EEXIST"));
  });

  it("lowers the MTU of a device over IPv6 to what fits", async (t) => {
    const kernel = await openMachine(t);
    const device = vxlan({ name: "flannel-v6.1", local: ip("fd99::1") });
    await kernel.createLink(device, signal);
    const found = (await kernel.listLinks(signal)).find((link) => link.name === "flannel-v6.1");
    assert.equal(found?.mtuBytes, 1430);
    assert.deepEqual(found.vxlan?.local, ip("fd99::1"));
  });

  it("refuses a second device of a name or of a VNI and port", async (t) => {
    const kernel = await openMachine(t);
    await assert.rejects(kernel.createLink(vxlan({ vni: 7 }), signal), refusedWith("EEXIST"));
    const twin = vxlan({ name: "flannel.2" });
    await assert.rejects(kernel.createLink(twin, signal), (error) => {
      assert.match(String(error), /VXLAN device with the specified VNI already exists/);
      return refusedWith("EEXIST")(error);
    });
  });

  it("refuses a device over an interface that is not there, and a name too long", async (t) => {
    const kernel = await openMachine(t);
    const homeless = vxlan({ name: "flannel.7", vni: 7, lower: "eth9" });
    await assert.rejects(kernel.createLink(homeless, signal), refusedWith("ENODEV"));
    const long = vxlan({ name: "flannel.16777215", vni: 7 });
    await assert.rejects(kernel.createLink(long, signal), refusedWith("ERANGE"));
  });

  it("changes MTU, MAC and state, and refuses an MTU that does not fit", async (t) => {
    const kernel = await openMachine(t);
    const lladdr = mac("02:00:00:00:00:99");
    await kernel.setLink(DEVICE, { mtuBytes: 1400, mac: lladdr }, signal);
    await kernel.setLink(DEVICE, { up: false }, signal);
    const device = (await kernel.listLinks(signal)).find((link) => link.name === DEVICE);
    assert.deepEqual(
      { mtuBytes: device?.mtuBytes, mac: device?.mac, up: device?.up, running: device?.running },
      { mtuBytes: 1400, mac: lladdr, up: false, running: false },
    );
    const refused = kernel.setLink(DEVICE, { mtuBytes: 1451 }, signal);
    await assert.rejects(refused, refusedWith("EINVAL"));
    await assert.rejects(kernel.setLink("eth9", { up: true }, signal), refusedWith("ENODEV"));
  });

  it("switches a tunnel's checksum offload, which a device made anew has again", async (t) => {
    const kernel = await openMachine(t);
    const offload = async (): Promise<boolean | undefined> =>
      (await kernel.listLinks(signal)).find((link) => link.name === DEVICE)?.txChecksum;
    assert.equal(await offload(), true);
    await kernel.setLink(DEVICE, { txChecksum: false }, signal);
    assert.equal(await offload(), false);
    await kernel.setLink(DEVICE, { txChecksum: false, mtuBytes: 1400 }, signal);
    assert.equal(await offload(), false);
    await kernel.setLink(DEVICE, { txChecksum: true }, signal);
    assert.equal(await offload(), true);
    await kernel.setLink(DEVICE, { txChecksum: false }, signal);
    await kernel.deleteLink(DEVICE, signal);
    await kernel.createLink(vxlan(), signal);
    assert.equal(await offload(), true);
    const refused = kernel.setLink("eth9", { txChecksum: false }, signal);
    await assert.rejects(refused, refusedWith("ENODEV"));
  });

  it("deletes a device, and has no quarrel with one that is not there", async (t) => {
    const kernel = await openMachine(t);
    await kernel.deleteLink(DEVICE, signal);
    await kernel.deleteLink(DEVICE, signal);
    const names = (await kernel.listLinks(signal)).map((link) => link.name);
    assert.ok(!names.includes(DEVICE));
  });
}

function objectTests(openMachine: OpenMachine): void {
  it("puts and lists a peer's objects in both families", async (t) => {
    const kernel = await openMachine(t);
    assert.deepEqual(await kernel.apply(peerChanges(7), signal), []);
    assert.deepEqual(
      await describeObjects(kernel),
      [
        "10.244.7.0 02:00:00:00:01:07 permanent",
        "02:00:00:00:01:07 dst 10.99.0.7 permanent",
        "10.244.7.0/24 via 10.244.7.0 onlink proto 3 metric 0",
        "fd50:7::/64 via fd50:7:: onlink proto 3 metric 1024",
        "fd50:7:: 02:00:00:00:01:07 permanent",
      ].sort(),
    );
  });

  it("deletes what it put, leaving nothing", async (t) => {
    const kernel = await openMachine(t);
    await kernel.apply(peerChanges(7), signal);
    assert.deepEqual(await kernel.apply(peerChanges(7).map(deletion), signal), []);
    assert.deepEqual(await describeObjects(kernel), []);
  });

  it("replaces by putting again: another MAC, remote, gateway", async (t) => {
    const kernel = await openMachine(t);
    await kernel.apply(peerChanges(7), signal);
    const lladdr = mac("02:00:00:00:01:07");
    const changes = [
      putNeighbour({ device: DEVICE, ip: ip("10.244.7.0"), mac: mac("02:00:00:00:02:07") }),
      putNeighbour({ device: DEVICE, ip: ip("fd50:7::"), mac: mac("02:00:00:00:02:07") }),
      putFdb({ device: DEVICE, mac: lladdr, remote: ip("10.99.0.77") }),
      putRoute(route("10.244.7.0/24", "10.244.7.1")),
      putRoute(route("fd50:7::/64", "fd50:7::1")),
    ];
    assert.deepEqual(await kernel.apply(changes, signal), []);
    assert.deepEqual(
      await describeObjects(kernel),
      [
        "10.244.7.0 02:00:00:00:02:07 permanent",
        "02:00:00:00:01:07 dst 10.99.0.77 permanent",
        "10.244.7.0/24 via 10.244.7.1 onlink proto 3 metric 0",
        "fd50:7::/64 via fd50:7::1 onlink proto 3 metric 1024",
        "fd50:7:: 02:00:00:00:02:07 permanent",
      ].sort(),
    );
  });

  it("lists addresses with scope, and deletes them", async (t) => {
    const kernel = await openMachine(t);
    const own = async (): Promise<readonly string[]> =>
      (await kernel.listAddresses(signal))
        .filter((address) => address.device === DEVICE && address.scope === "global")
        .map((address) => `${formatIp(address.ip)}/${address.prefix} ${address.permanent}`);
    assert.deepEqual(await own(), ["10.244.0.0/32 true", "fd50::/128 true"]);
    assert.deepEqual(await kernel.apply(OWN_ADDRESSES.map(deletion), signal), []);
    assert.deepEqual(await own(), []);
  });

  it("routes without device through the interface that reaches the gateway", async (t) => {
    const kernel = await openMachine(t);
    const changes = [
      putRoute(route("10.244.8.0/24", "10.99.0.8", { device: undefined, onlink: false })),
      putRoute(route("fd50:8::/64", "fd99::8", { device: undefined, onlink: false })),
    ];
    assert.deepEqual(await kernel.apply(changes, signal), []);
    const routes = await kernel.listRoutes(signal);
    for (const { object } of changes) {
      const found = routes.find(
        ({ destination }) =>
          "destination" in object && formatCidr(destination) === formatCidr(object.destination),
      );
      assert.equal(found?.device, "eth0");
      assert.equal(found.onlink, false);
    }
    assert.deepEqual(await kernel.apply(changes.map(deletion), signal), []);
    assert.deepEqual(await describeObjects(kernel), []);
  });

  it("keeps two routes of one destination apart by metric", async (t) => {
    const kernel = await openMachine(t);
    const far = route("10.244.7.0/24", "10.244.7.9", { metric: 50 });
    await kernel.apply([putRoute(route("10.244.7.0/24", "10.244.7.0")), putRoute(far)], signal);
    const both = [
      "10.244.7.0/24 via 10.244.7.0 onlink proto 3 metric 0",
      "10.244.7.0/24 via 10.244.7.9 onlink proto 3 metric 50",
    ];
    assert.deepEqual(await describeObjects(kernel), both);
    await kernel.apply([deletion(putRoute(far))], signal);
    assert.deepEqual(await describeObjects(kernel), both.slice(0, 1));
  });

  it("deletes only the route of the protocol and gateway named", async (t) => {
    const kernel = await openMachine(t);
    const foreign = route("10.244.7.0/24", "10.244.7.0", { protocol: STATIC });
    await kernel.apply([putRoute(foreign)], signal);
    const others = [
      route("10.244.7.0/24", "10.244.7.0"),
      route("10.244.7.0/24", "10.244.7.1", { protocol: STATIC }),
    ];
    const deletions = others.map((object) => deletion(putRoute(object)));
    assert.deepEqual(await kernel.apply(deletions, signal), []);
    assert.deepEqual(await describeObjects(kernel), [
      "10.244.7.0/24 via 10.244.7.0 onlink proto 4 metric 0",
    ]);
  });

  it("makes blackhole and link routes", async (t) => {
    const kernel = await openMachine(t);
    const none = { gateway: undefined, onlink: false } as const;
    const hole = { ...none, device: undefined, type: "blackhole" } as const;
    const changes = [
      putRoute(route("10.66.0.0/16", "10.66.0.0", hole)),
      putRoute(route("fd66::/64", "fd66::", hole)),
      putRoute(route("10.67.0.0/16", "10.67.0.0", { ...none, scope: "link" })),
    ];
    assert.deepEqual(await kernel.apply(changes, signal), []);
    const found = (await kernel.listRoutes(signal)).filter(({ protocol }) => protocol === BOOT);
    assert.deepEqual(
      found.map((r) => `${r.type} ${formatCidr(r.destination)} ${r.device} ${r.scope}`).sort(),
      [
        "blackhole 10.66.0.0/16 undefined global",
        "blackhole fd66::/64 undefined global",
        `unicast 10.67.0.0/16 ${DEVICE} link`,
      ],
    );
    assert.deepEqual(await kernel.apply(changes.map(deletion), signal), []);
    assert.deepEqual(await describeObjects(kernel), []);
  });

  it("has no neighbours or FDB entries of a device that is not there", async (t) => {
    const kernel = await openMachine(t);
    assert.deepEqual(await kernel.listNeighbours("eth9", signal), []);
    assert.deepEqual(await kernel.listFdb("eth9", signal), []);
  });
}

function refusalTests(openMachine: OpenMachine): void {
  it("goes on after a refusal and names every change that did not happen", async (t) => {
    const kernel = await openMachine(t);
    const unreachable = putRoute(route("10.244.8.0/24", "10.77.0.1", { onlink: false }));
    const unreachable6 = putRoute(route("fd50:8::/64", "fd77::1", { onlink: false }));
    const anywhere = putRoute(route("10.244.8.0/24", "10.77.0.1", { device: undefined }));
    const homeless = putNeighbour({
      device: "eth9",
      ip: ip("10.244.8.0"),
      mac: mac("02:00:00:00:01:08"),
    });
    const otherFamily = putFdb({
      device: DEVICE,
      mac: mac("02:00:00:00:01:08"),
      remote: ip("fd99::8"),
    });
    const bad = [unreachable, unreachable6, anywhere, homeless, otherFamily];
    const failures = await kernel.apply(
      bad.flatMap((change) => [change, ...peerChanges(7)]),
      signal,
    );
    const reasons = new Map(failures.map(({ change, errno }) => [change, errno]));
    assert.deepEqual(
      bad.map((change) => reasons.get(change)),
      ["ENETUNREACH", "EHOSTUNREACH", "ENODEV", "ENODEV", "EAFNOSUPPORT"],
    );
    assert.equal(failures.length, bad.length);
    const sentence = failures.find(({ change }) => change === unreachable)?.message;
    assert.equal(sentence, "Nexthop has invalid gateway");
    assert.equal((await describeObjects(kernel)).length, 5);
  });

  it("refuses routes through a device that is down", async (t) => {
    const kernel = await openMachine(t);
    await kernel.setLink(DEVICE, { up: false }, signal);
    const failures = await kernel.apply(peerChanges(7), signal);
    assert.deepEqual(
      failures.map(({ change, errno }) => `${change.kind} ${errno}`),
      ["route ENETDOWN", "route ENETDOWN"],
    );
  });

  it("does not call the deletion of what is not there a failure", async (t) => {
    const kernel = await openMachine(t);
    const elsewhere = peerChanges(8, "eth9").map(deletion);
    const absent = peerChanges(7).map(deletion);
    const address = deletion(putAddress({ device: DEVICE, ip: ip("10.1.1.1"), prefix: 32 }));
    assert.deepEqual(await kernel.apply([...absent, ...elsewhere, address], signal), []);
  });

  it("makes nothing when aborted before the call", async (t) => {
    const kernel = await openMachine(t);
    const reason = new Error("enough");
    const aborted = AbortSignal.abort(reason);
    await assert.rejects(kernel.apply(peerChanges(7), aborted), reason);
    await assert.rejects(kernel.listRoutes(aborted), reason);
    await assert.rejects(kernel.deleteLink(DEVICE, aborted), reason);
    assert.deepEqual(await describeObjects(kernel), []);
  });

  it("makes nothing of nothing", async (t) => {
    const kernel = await openMachine(t);
    assert.deepEqual(await kernel.apply([], signal), []);
  });
}

function lookupTests(open: Open, openMachine: OpenMachine): void {
  it("says device, gateway and source of the way to a destination", async (t) => {
    const kernel = await openMachine(t);
    await kernel.apply(peerChanges(7), signal);
    assert.deepEqual(await kernel.lookUpRoute(ip("10.99.0.9"), signal), {
      device: "eth0",
      gateway: undefined,
      source: ip("10.99.0.1"),
    });
    assert.deepEqual(await kernel.lookUpRoute(ip("10.244.7.5"), signal), {
      device: DEVICE,
      gateway: ip("10.244.7.0"),
      source: ip("10.244.0.0"),
    });
    const six = await kernel.lookUpRoute(ip("fd99::9"), signal);
    assert.deepEqual([six?.device, six?.gateway], ["eth0", undefined]);
  });

  it("finds its own addresses on lo, and no way to where none leads", async (t) => {
    const kernel = await openMachine(t);
    assert.equal((await kernel.lookUpRoute(ip("10.99.0.1"), signal))?.device, "lo");
    assert.equal(await kernel.lookUpRoute(ip("192.0.2.1"), signal), undefined);
    assert.equal(await kernel.lookUpRoute(ip("2001:db8::1"), signal), undefined);
    const hole = route("192.0.2.0/24", "192.0.2.0", {
      gateway: undefined,
      device: undefined,
      onlink: false,
      type: "blackhole",
    });
    await kernel.apply([putRoute(hole)], signal);
    assert.equal(await kernel.lookUpRoute(ip("192.0.2.1"), signal), undefined);
  });

  it("tells the interface of the default route with the lowest metric", async (t) => {
    const bed = await openBed(t, open);
    const { kernel } = bed;
    await bed.addCard("eth0", "10.99.0.1/24", "fd99::1/64");
    await bed.addCard("eth1", "10.98.0.1/24", "fd98::1/64");
    assert.equal(await kernel.defaultRouteDevice(4, signal), undefined);
    const usual = { device: undefined, onlink: false } as const;
    const changes = [
      putRoute(route("0.0.0.0/0", "10.99.0.254", { ...usual, metric: 200 })),
      putRoute(route("0.0.0.0/0", "10.98.0.254", { ...usual, metric: 100 })),
      putRoute(route("::/0", "fd99::254", { ...usual, metric: 100 })),
      putRoute(route("::/0", "fd98::254", { ...usual, metric: 200 })),
    ];
    assert.deepEqual(await kernel.apply(changes, signal), []);
    assert.equal(await kernel.defaultRouteDevice(4, signal), "eth1");
    assert.equal(await kernel.defaultRouteDevice(6, signal), "eth0");
  });
}

function eventTests(openMachine: OpenMachine): void {
  it("tells of every object put and deleted, in order", async (t) => {
    const kernel = await openMachine(t);
    const events = listen(t, kernel);
    await kernel.apply(peerChanges(7), signal);
    await kernel.apply(peerChanges(7).map(deletion), signal);
    const objects = [
      "neighbour 10.244.7.0",
      "neighbour fd50:7::",
      "fdb 02:00:00:00:01:07 10.99.0.7",
      "route 10.244.7.0/24",
      "route fd50:7::/64",
    ];
    assert.deepEqual(await events.told(), [
      ...objects.map((line) => `+ ${line}`),
      ...objects.map((line) => `- ${line}`),
    ]);
  });

  it("tells nothing of a put that changes nothing, but for IPv6 routes", async (t) => {
    const kernel = await openMachine(t);
    await kernel.apply(peerChanges(7), signal);
    const events = listen(t, kernel);
    await kernel.apply(peerChanges(7), signal);
    assert.deepEqual(await events.told(), ["+ route fd50:7::/64"]);
  });

  it("loses IPv4 routes in silence when the device goes down, and keeps its FDB", async (t) => {
    const kernel = await openMachine(t);
    await kernel.apply(peerChanges(7), signal);
    const events = listen(t, kernel);
    await kernel.setLink(DEVICE, { up: false }, signal);
    assert.deepEqual((await events.told()).sort(), [
      "+ link down",
      "- address fd50::/128",
      "- neighbour 10.244.7.0",
      "- neighbour fd50:7::",
      "- route fd50:7::/64",
      "- route fd50::/128",
    ]);
    assert.deepEqual(await describeObjects(kernel), ["02:00:00:00:01:07 dst 10.99.0.7 permanent"]);
    const addresses = await kernel.listAddresses(signal);
    const left = addresses.filter(({ device }) => device === DEVICE).map((a) => formatIp(a.ip));
    assert.deepEqual(left, ["10.244.0.0"]);
  });

  it("comes up again without the routes it had", async (t) => {
    const kernel = await openMachine(t);
    await kernel.apply(peerChanges(7), signal);
    await kernel.setLink(DEVICE, { up: false }, signal);
    const events = listen(t, kernel);
    await kernel.setLink(DEVICE, { up: true }, signal);
    assert.deepEqual(await events.told(), ["+ link up"]);
    assert.deepEqual(await describeObjects(kernel), ["02:00:00:00:01:07 dst 10.99.0.7 permanent"]);
  });

  it("tells of a switched checksum offload by a link event", async (t) => {
    const kernel = await openMachine(t);
    const events = listen(t, kernel);
    await kernel.setLink(DEVICE, { txChecksum: false }, signal);
    assert.deepEqual(await events.told(), ["+ link up"]);
  });

  it("loses IPv4 routes in silence, and neighbours, with the last IPv4 address", async (t) => {
    const kernel = await openMachine(t);
    await kernel.apply(peerChanges(7), signal);
    const events = listen(t, kernel);
    await kernel.apply(OWN_ADDRESSES.slice(0, 1).map(deletion), signal);
    assert.deepEqual((await events.told()).sort(), [
      "- address 10.244.0.0/32",
      "- neighbour 10.244.7.0",
    ]);
    assert.deepEqual(
      await describeObjects(kernel),
      [
        "02:00:00:00:01:07 dst 10.99.0.7 permanent",
        "fd50:7:: 02:00:00:00:01:07 permanent",
        "fd50:7::/64 via fd50:7:: onlink proto 3 metric 1024",
      ].sort(),
    );
  });

  it("loses the neighbours of a device that changes its MAC", async (t) => {
    const kernel = await openMachine(t);
    await kernel.apply(peerChanges(7), signal);
    const events = listen(t, kernel);
    await kernel.setLink(DEVICE, { mac: mac("02:00:00:00:00:99") }, signal);
    assert.deepEqual((await events.told()).sort(), [
      "+ link up",
      "- neighbour 10.244.7.0",
      "- neighbour fd50:7::",
    ]);
  });

  it("takes everything of a device with it when it is deleted", async (t) => {
    const kernel = await openMachine(t);
    await kernel.apply(peerChanges(7), signal);
    const events = listen(t, kernel);
    await kernel.deleteLink(DEVICE, signal);
    const told = await events.told();
    assert.equal(told.at(-1), "- link down");
    assert.deepEqual([...new Set(told)].sort(), [
      "+ link down",
      "- address 10.244.0.0/32",
      "- address fd50::/128",
      "- fdb 02:00:00:00:01:07 10.99.0.7",
      "- link down",
      "- neighbour 10.244.7.0",
      "- neighbour fd50:7::",
      "- route fd50:7::/64",
      "- route fd50::/128",
    ]);
    assert.deepEqual(await describeObjects(kernel), []);
  });

  it("takes a vxlan device with its lower device", async (t) => {
    const kernel = await openMachine(t);
    const events = listen(t, kernel);
    await kernel.deleteLink("eth0", signal);
    await until("the device is told gone", { deadlineMs: 5000, everyMs: 5 }, () =>
      events.lines.includes("- link down") ? true : undefined,
    );
    const names = (await kernel.listLinks(signal)).map((link) => link.name);
    assert.ok(!names.includes(DEVICE));
  });

  it("tells nobody who stopped listening", async (t) => {
    const kernel = await openMachine(t);
    const deaf = listen(t, kernel);
    const hearing = listen(t, kernel);
    deaf.stop();
    await kernel.apply(peerChanges(7), signal);
    assert.notDeepEqual(await hearing.told(), []);
    assert.deepEqual(deaf.lines, []);
  });
}

interface Heard {
  /** Events about the vxlan device so far, as text; those of link-local addresses left out. */
  readonly lines: readonly string[];
  /** The lines, when everything that happened before the call was delivered. */
  told(): Promise<string[]>;
  stop(): void;
}

function listen(t: TestContext, kernel: Kernel): Heard {
  const lines: string[] = [];
  let marks = 0;
  const watch = kernel.watch((event) => {
    const line = describeEvent(event);
    if (line === MARK) marks += 1;
    else if (line !== undefined && !isEndOfDuplicateDetection(event)) lines.push(line);
  });
  const stop = (): void => watch[Symbol.dispose]();
  t.after(stop);
  return {
    lines,
    told: async () => {
      const wanted = marks + 1;
      const mark = { device: "eth0", ip: ip("10.99.0.200"), mac: mac("02:00:00:00:00:aa") };
      await kernel.apply([putNeighbour(mark), deletion(putNeighbour(mark))], signal);
      await until("the mark is told", { deadlineMs: 5000, everyMs: 5 }, () =>
        marks >= wanted ? true : undefined,
      );
      return [...lines];
    },
    stop,
  };
}

const MARK = "mark";

/**
 * A second or two after an IPv6 address was added, the kernel tells of it once more: nobody
 * else has it (RFC 4862 5.4). When that comes is no matter of these tests.
 */
function isEndOfDuplicateDetection(event: KernelEvent): boolean {
  return event.kind === "address" && !event.removed && event.address.ip.family === 6;
}

function describeEvent(event: KernelEvent): string | undefined {
  switch (event.kind) {
    case "gap":
      return "gap";
    case "link": {
      const { name, up } = event.link;
      return name === DEVICE
        ? `${event.removed ? "-" : "+"} link ${up ? "up" : "down"}`
        : undefined;
    }
    case "address":
      return line(event.address, event.removed, (a) => `address ${formatIp(a.ip)}/${a.prefix}`);
    case "neighbour":
      if (event.removed && event.neighbour.device === "eth0") return MARK;
      return line(event.neighbour, event.removed, (n) => `neighbour ${formatIp(n.ip)}`);
    case "fdb":
      return line(event.entry, event.removed, (f) => `fdb ${f.mac} ${formatIp(f.remote)}`);
    case "route":
      return line(event.route, event.removed, (r) => `route ${formatCidr(r.destination)}`);
    default:
      return assert.fail("an event of no kind");
  }
}

function line<T extends { readonly device: string | undefined }>(
  object: T,
  removed: boolean,
  text: (object: T) => string,
): string | undefined {
  const described = text(object);
  if (object.device !== DEVICE || described.includes(" fe80:")) return undefined;
  return `${removed ? "-" : "+"} ${described}`;
}

/** Neighbours and FDB entries of the vxlan device and all routes but the kernel's own. */
async function describeObjects(kernel: Kernel): Promise<readonly string[]> {
  const KERNEL = 2;
  const [neighbours, fdb, routes] = [
    await kernel.listNeighbours(DEVICE, signal),
    await kernel.listFdb(DEVICE, signal),
    await kernel.listRoutes(signal),
  ];
  const permanent = (object: { readonly permanent: boolean }): string =>
    object.permanent ? "permanent" : "dynamic";
  return [
    ...neighbours.map((n) => `${formatIp(n.ip)} ${n.mac} ${permanent(n)}`),
    ...fdb.map((f) => `${f.mac} dst ${formatIp(f.remote)} ${permanent(f)}`),
    ...routes
      .filter(({ protocol }) => protocol !== KERNEL)
      .map(
        (r) =>
          `${formatCidr(r.destination)} via ${r.gateway && formatIp(r.gateway)}${r.onlink ? " onlink" : ""} proto ${r.protocol} metric ${r.metric}`,
      ),
  ].sort();
}

function refusedWith(errno: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TwillError, String(error));
    assert.equal(error.code, "KERNEL_REFUSED");
    assert.equal(error.context["errno"], errno, error.message);
    return true;
  };
}
