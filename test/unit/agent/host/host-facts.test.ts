/** The machine's facts follow the machine: on a small Linux in memory, without waiting. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { HostWatch } from "../../../../agent/host/host-facts.ts";
import type { InterfaceWish } from "../../../../agent/host/interface-select.ts";
import type { RouteSpec } from "../../../../agent/plan/kernel-state.ts";
import { TwillError } from "../../../../common/errors.ts";
import { Health, type HealthComponent } from "../../../../common/health.ts";
import { formatIp } from "../../../../common/net/ip.ts";
import { FakeKernel } from "../../../support/fake-kernel.ts";
import { ip, network } from "../../../support/leases.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

const NOTHING: InterfaceWish = {
  ifaces: [],
  regexes: [],
  canReach: undefined,
  publicIp: undefined,
  publicIpv6: undefined,
};

function route(destination: string, gateway: string | undefined, device: string): RouteSpec {
  return {
    destination: network(destination),
    gateway: gateway === undefined ? undefined : ip(gateway),
    device,
    onlink: false,
    scope: "global",
    type: "unicast",
    protocol: 3,
  };
}

class Bench {
  readonly kernel = new FakeKernel();
  readonly clock = new ManualClock();
  readonly log = new LogCapture();
  readonly health: HealthComponent;
  readonly watch: HostWatch;
  readonly controller = new AbortController();
  changes = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(wish: Partial<InterfaceWish> = {}) {
    this.health = new Health(this.clock).component("interface", { gate: "ready" });
    this.watch = new HostWatch({
      kernel: this.kernel,
      wish: { ...NOTHING, ...wish },
      clock: this.clock,
      log: this.log,
      health: this.health,
      onChange: () => {
        this.changes += 1;
      },
    });
  }

  async start(): Promise<void> {
    this.#running = this.watch.run(this.controller.signal).catch(() => undefined);
    this.watch.need([4]);
    await this.clock.advance(150);
  }

  /** Lets events be read and answered. */
  async settle(): Promise<void> {
    await this.clock.advance(250);
  }

  async stop(): Promise<void> {
    this.controller.abort(new TwillError("SHUTTING_DOWN", "test is over"));
    await this.#running;
  }

  get chosen(): string {
    const choice = this.watch.choice;
    if (choice === undefined) return "none";
    const { external, publicIp } = choice;
    return `${external.name} ${external.v4 && formatIp(external.v4)} public ${publicIp && formatIp(publicIp)}`;
  }
}

let bench = new Bench();
beforeEach(() => {
  bench = new Bench();
  bench.kernel.addCard("eth0", "10.99.0.1/24");
  bench.kernel.network.putRoute(route("0.0.0.0/0", "10.99.0.254", "eth0"));
});
afterEach(() => bench.stop());

describe("the facts of the host", () => {
  it("are read once the network's families are known, and told", async () => {
    await bench.start();
    assert.equal(bench.chosen, "eth0 10.99.0.1 public 10.99.0.1");
    assert.equal(bench.changes, 1);
    assert.deepEqual(bench.log.names, ["interface.selected"]);
    assert.equal(bench.health.report().state.kind, "ok");
  });

  it("follow an address that changes, and say so once", async () => {
    await bench.start();
    const { network: net } = bench.kernel;
    net.putAddress({ device: "eth0", ip: ip("10.99.0.7"), prefix: 24 });
    net.deleteAddress({ device: "eth0", ip: ip("10.99.0.1"), prefix: 24 });
    net.putRoute(route("0.0.0.0/0", "10.99.0.254", "eth0"));
    await bench.settle();
    assert.equal(bench.chosen, "eth0 10.99.0.7 public 10.99.0.7");
    assert.equal(bench.changes, 2);
  });

  it("stay as they were while nothing fits, loudly, and come back by themselves", async () => {
    await bench.start();
    bench.kernel.network.deleteAddress({ device: "eth0", ip: ip("10.99.0.1"), prefix: 24 });
    await bench.settle();
    assert.equal(bench.chosen, "eth0 10.99.0.1 public 10.99.0.1");
    const [missing] = bench.log.of("interface.missing");
    assert.match(missing?.message ?? "", /eth0 stays in use.*--iface/);
    assert.equal(bench.health.report().state.kind, "degraded");
    bench.kernel.network.putAddress({ device: "eth0", ip: ip("10.99.0.1"), prefix: 24 });
    bench.kernel.network.putRoute(route("0.0.0.0/0", "10.99.0.254", "eth0"));
    await bench.settle();
    assert.equal(bench.health.report().state.kind, "ok");
    assert.equal(bench.changes, 1);
  });

  it("are looked for again and again while there are none, naming the way out", async () => {
    bench.kernel.network.deleteRoute(route("0.0.0.0/0", "10.99.0.254", "eth0"));
    await bench.start();
    assert.equal(bench.chosen, "none");
    assert.match(bench.log.all[0]?.message ?? "", /no IPv4 default route.*Give --iface/);
    bench.kernel.dropEvents(1);
    bench.kernel.network.putRoute(route("0.0.0.0/0", "10.99.0.254", "eth0"));
    await bench.clock.advance(10_200);
    assert.equal(bench.chosen, "eth0 10.99.0.1 public 10.99.0.1");
  });

  it("are none when the network gets a family that the choice does not have", async () => {
    await bench.start();
    bench.watch.need([4, 6]);
    assert.equal(bench.chosen, "none");
  });

  it("survive a kernel that could not be read, and are read again", async () => {
    bench.kernel.failNext("list links", "EINTR", 2);
    await bench.start();
    await bench.clock.advance(1000);
    assert.equal(bench.chosen, "eth0 10.99.0.1 public 10.99.0.1");
    bench.kernel.assertConsumed();
  });

  it("never take an overlay's device for the underlay, nor look at its events", async () => {
    const other = new Bench({ regexes: [/^10\.244/, /^10\.99/] });
    other.kernel.addCard("flannel.1", "10.244.1.0/32");
    other.kernel.addCard("eth0", "10.99.0.1/24");
    await other.start();
    assert.match(other.chosen, /^eth0 /);
    const reads = other.kernel.log.length;
    other.kernel.network.putAddress({ device: "flannel.1", ip: ip("10.244.9.0"), prefix: 32 });
    await other.settle();
    assert.equal(other.kernel.log.length, reads);
    await other.stop();
  });

  it("leave no listener behind", async () => {
    await bench.start();
    await bench.stop();
    assert.equal(bench.kernel.watchers, 0);
    assert.equal(bench.clock.sleeping, 0);
  });
});

describe("direct peers", () => {
  const NEAR = ip("10.99.0.2");
  const FAR = ip("10.98.0.2");
  const ask = async (): Promise<string> => {
    const direct = await bench.watch.direct([NEAR, FAR], bench.controller.signal);
    return [...direct].sort().join(" ");
  };

  it("are those the kernel reaches without a gateway, asked once each", async () => {
    await bench.start();
    assert.equal(await ask(), "10.99.0.2");
    const lookUps = bench.kernel.log.filter((line) => line.startsWith("look up")).length;
    assert.equal(await ask(), "10.99.0.2");
    assert.equal(bench.kernel.log.filter((line) => line.startsWith("look up")).length, lookUps);
  });

  it("are asked for again when a route has changed, but not for a route of our own", async () => {
    await bench.start();
    await ask();
    const { network: net } = bench.kernel;
    net.putRoute({ ...route("10.244.2.0/24", "10.99.0.2", "eth0"), protocol: 84 });
    await bench.settle();
    assert.equal(bench.changes, 1);
    net.putRoute(route("10.98.0.0/24", undefined, "eth0"));
    await bench.settle();
    assert.equal(bench.changes, 2);
    assert.equal(await ask(), "10.98.0.2 10.99.0.2");
  });

  it("are asked for again when a device goes down, whose routes go without a word", async () => {
    await bench.start();
    await ask();
    bench.kernel.addCard("eth1", "10.98.0.1/24");
    await bench.settle();
    await ask();
    const before = bench.changes;
    bench.kernel.network.setLink("eth1", { up: false });
    await bench.settle();
    assert.ok(bench.changes > before);
    assert.equal(await ask(), "10.99.0.2");
  });
});
