/** The tunnel is kept as the plan wants it, whatever happens to it. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { TunnelPeer } from "../../../../agent/tunnel/peer-table.ts";
import { TunnelDriver, type WantedTunnel } from "../../../../agent/tunnel/tunnel-driver.ts";
import { NO_STATS, type TunnelStats } from "../../../../agent/tunnel/tunnel-stats.ts";
import type { UdpTunnel, UdpTunnelOptions } from "../../../../agent/tunnel/udp-tunnel.ts";
import { TwillError } from "../../../../common/errors.ts";
import { formatIp } from "../../../../common/net/ip.ts";
import { ip, network } from "../../../support/leases.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";

const WANTED: WantedTunnel = {
  deviceName: "flannel0",
  bind: ip("10.99.0.1"),
  port: 8285,
  address: ip("10.244.1.0"),
};
const PEER: TunnelPeer = {
  subnet: network("10.244.2.0/24"),
  remote: ip("10.99.0.2"),
  port: 8285,
};

/** A tunnel that only remembers; a test ends it. */
class FakeTunnel implements UdpTunnel {
  readonly options: UdpTunnelOptions;
  readonly peers: (readonly TunnelPeer[])[] = [];
  readonly ended: Promise<TwillError | undefined>;
  isOpen = true;
  #end: (reason: TwillError | undefined) => void = () => undefined;

  constructor(options: UdpTunnelOptions) {
    this.options = options;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  setPeers(peers: readonly TunnelPeer[]): void {
    this.peers.push(peers);
  }

  stats(): TunnelStats {
    return { ...NO_STATS, sentPackets: 7 };
  }

  fail(reason: TwillError): void {
    this.isOpen = false;
    this.#end(reason);
  }

  async close(): Promise<void> {
    this.isOpen = false;
    this.#end(undefined);
  }
}

function start(t: TestContext) {
  const clock = new ManualClock();
  const log = new LogCapture();
  const tunnels: FakeTunnel[] = [];
  const refusals: TwillError[] = [];
  let changes = 0;
  const driver = new TunnelDriver({
    open: async (options) => {
      const refusal = refusals.shift();
      if (refusal !== undefined) throw refusal;
      const tunnel = new FakeTunnel(options);
      tunnels.push(tunnel);
      return tunnel;
    },
    clock,
    log,
    random: () => 0.5,
  });
  driver.onChange(() => {
    changes += 1;
  });
  const stop = new AbortController();
  const running = driver.run(stop.signal).catch((error: unknown) => error);
  t.after(() => stop.abort());
  const names = (): string[] => log.all.map(({ name }) => name);
  return { clock, driver, tunnels, refusals, names, stop, running, changes: () => changes };
}

const gone = new TwillError("KERNEL_REFUSED", "the TUN device is gone");

describe("the tunnel driver", () => {
  it("opens nothing until a tunnel is wanted, and gives it the peers it knows", async (t) => {
    const { driver, tunnels, names } = start(t);
    driver.setPeers([PEER]);
    await settle();
    assert.equal(tunnels.length, 0);
    driver.setWanted(WANTED);
    await settle();
    assert.equal(tunnels.length, 1);
    assert.deepEqual(tunnels[0]?.peers, [[PEER]]);
    assert.deepEqual(names(), ["tunnel.opened"]);
  });

  it("passes new peers on at once", async (t) => {
    const { driver, tunnels } = start(t);
    driver.setWanted(WANTED);
    await settle();
    driver.setPeers([PEER]);
    assert.deepEqual(tunnels[0]?.peers, [[], [PEER]]);
  });

  it("opens once what was wanted before it ran", async (t) => {
    const { driver, tunnels, stop, running } = start(t);
    stop.abort();
    await running;
    driver.setWanted(WANTED);
    const again = new AbortController();
    const second = driver.run(again.signal).catch((error: unknown) => error);
    await settle();
    assert.equal(tunnels.length, 1);
    again.abort();
    await second;
  });

  it("keeps the tunnel when the same is wanted again", async (t) => {
    const { driver, tunnels } = start(t);
    driver.setWanted(WANTED);
    await settle();
    driver.setWanted({ ...WANTED, bind: ip("10.99.0.1") });
    await settle();
    assert.equal(tunnels.length, 1);
    assert.equal(tunnels[0]?.isOpen, true);
  });

  it("closes the old tunnel before it opens another", async (t) => {
    const { driver, tunnels } = start(t);
    driver.setWanted(WANTED);
    await settle();
    driver.setWanted({ ...WANTED, bind: ip("10.99.0.77") });
    await settle();
    assert.deepEqual(
      tunnels.map(({ options, isOpen }) => [formatIp(options.bind), isOpen]),
      [
        ["10.99.0.1", false],
        ["10.99.0.77", true],
      ],
    );
    driver.setWanted(undefined);
    await settle();
    assert.equal(tunnels[1]?.isOpen, false);
  });

  it("opens a tunnel that ended by itself again, with the peers, and tells", async (t) => {
    const { driver, tunnels, names, clock, changes } = start(t);
    driver.setPeers([PEER]);
    driver.setWanted(WANTED);
    await settle();
    tunnels[0]?.fail(gone);
    await settle();
    assert.equal(driver.problem, gone);
    await clock.advance(50);
    assert.equal(driver.problem, undefined);
    assert.deepEqual(tunnels[1]?.peers, [[PEER]]);
    assert.deepEqual(names(), ["tunnel.opened", "tunnel.failed", "tunnel.opened"]);
    assert.equal(changes(), 3);
  });

  it("waits longer after each refusal, and begins anew after a tunnel that lasted", async (t) => {
    const { driver, tunnels, refusals, clock } = start(t);
    refusals.push(gone, gone, gone);
    driver.setWanted(WANTED);
    await settle();
    await clock.advance(50);
    await clock.advance(99);
    assert.equal(refusals.length, 1);
    await clock.advance(1);
    assert.equal(refusals.length, 0);
    await clock.advance(200);
    assert.equal(tunnels.length, 1);
    await clock.advance(10_000);
    tunnels[0]?.fail(gone);
    await settle();
    await clock.advance(50);
    assert.equal(tunnels.length, 2);
  });

  it("does not wait when something else is wanted meanwhile", async (t) => {
    const { driver, tunnels, refusals } = start(t);
    refusals.push(gone);
    driver.setWanted(WANTED);
    await settle();
    driver.setWanted({ ...WANTED, port: 9000 });
    await settle();
    assert.equal(tunnels[0]?.options.port, 9000);
  });

  it("counts on over tunnels that came and went", async (t) => {
    const { driver, tunnels, clock } = start(t);
    driver.setWanted(WANTED);
    await settle();
    assert.equal(driver.stats().sentPackets, 7);
    tunnels[0]?.fail(gone);
    await clock.advance(50);
    assert.equal(driver.stats().sentPackets, 14);
    driver.setWanted(undefined);
    await settle();
    assert.equal(driver.stats().sentPackets, 14);
  });

  it("closes the tunnel and ends when aborted", async (t) => {
    const { driver, tunnels, stop, running } = start(t);
    driver.setWanted(WANTED);
    await settle();
    const reason = new Error("stop");
    stop.abort(reason);
    assert.equal(await running, reason);
    assert.equal(tunnels[0]?.isOpen, false);
  });
});
