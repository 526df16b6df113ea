/** When rules are looked at and written, what is told of it, and what failing costs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RunCommand } from "../../../../agent/kernel/command.ts";
import { type FirewallOptions, planFirewall } from "../../../../agent/plan/firewall.ts";
import {
  EVENT_DEBOUNCE_MS,
  FirewallDriver,
  type FirewallReport,
  LEAST_INTERVAL_MS,
} from "../../../../agent/reconcile/firewall-driver.ts";
import { FakePacketFilter } from "../../../support/fake-packet-filter.ts";
import { network, networkConfig } from "../../../support/leases.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";

const RESYNC_MS = 5_000;
const CHAIN = "iptables nat FLANNEL-POSTRTG";
const OWN = { v4: network("10.244.1.0/24"), v6: undefined };
const ALL: FirewallOptions = { masquerade: true, forwardRules: true, randomFully: true };

class Bench implements AsyncDisposable {
  readonly filter = new FakePacketFilter();
  readonly clock = new ManualClock();
  readonly log = new LogCapture();
  readonly reports: FirewallReport[] = [];
  readonly driver: FirewallDriver;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  /** What programs wait for before they answer. */
  gate: Promise<void> = Promise.resolve();

  constructor() {
    const { watchRuleset } = this.filter;
    const { clock, log } = this;
    const run: RunCommand = async (command, signal) => {
      await this.gate;
      return this.filter.run(command, signal);
    };
    const report = (one: FirewallReport) => this.reports.push(one);
    this.driver = new FirewallDriver({ run, watchRuleset, clock, log, report }, RESYNC_MS);
    this.#running = this.driver.run(this.#stop.signal).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) throw error;
    });
  }

  async plan(nft = false, options = ALL): Promise<void> {
    this.driver.setDesired(planFirewall({ ...networkConfig(), enableNFTables: nft }, OWN, options));
    await this.settled();
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.settled();
  }

  /** Programs answer at once; a pass is some dozen of them. */
  async settled(): Promise<void> {
    for (let turn = 0; turn < 30; turn += 1) await settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    assert.equal(this.filter.watchers, 0, "listeners go home");
  }
}

describe("the firewall driver", () => {
  for (const nft of [false, true]) {
    const mode = nft ? "nftables" : "iptables";
    it(`writes a new plan at once, and nothing when it is right (${mode})`, async () => {
      await using bench = new Bench();
      await bench.pass(RESYNC_MS * 2);
      assert.deepEqual(bench.filter.log, [], "nothing without a plan");
      await bench.plan(nft);
      assert.equal(bench.reports[0]?.isInPlace, true);
      const writes = bench.filter.writes().length;
      await bench.plan(nft);
      await bench.pass(RESYNC_MS * 3);
      assert.equal(bench.filter.writes().length, writes);
      assert.equal(bench.reports.length, 1);
      assert.deepEqual(bench.log.names, ["rules.written"]);
    });

    it(`repairs within the debounce of an event, and tells once (${mode})`, async () => {
      await using bench = new Bench();
      await bench.plan(nft);
      await bench.pass(LEAST_INTERVAL_MS + EVENT_DEBOUNCE_MS);
      const before = [structuredClone(bench.filter.chains), bench.filter.nftRules.size];
      if (nft) bench.filter.nftRules.set("ip flannel-ipv4 postrtg", []);
      else bench.filter.chains.get(CHAIN)?.splice(2, 1);
      bench.filter.changed();
      await bench.pass(LEAST_INTERVAL_MS);
      assert.deepEqual([bench.filter.chains, bench.filter.nftRules.size], before);
      const [repair, ...more] = bench.reports.at(-1)?.repaired ?? [];
      assert.deepEqual(more, []);
      assert.match(
        repair?.key ?? "",
        nft ? /flannel-ipv4 postrtg/ : /nat FLANNEL-POSTRTG \(IPv4\)/,
      );
      assert.equal(bench.log.of("drift.repaired").length, 1);
    });
  }

  it("finds by resync what no event told (iptables-legacy has none)", async () => {
    await using bench = new Bench();
    await bench.plan();
    bench.filter.chains.delete(CHAIN);
    await bench.pass(RESYNC_MS + LEAST_INTERVAL_MS);
    assert.equal(bench.filter.chains.get(CHAIN)?.length, 6);
  });

  it("looks at most once an interval, however busy others are", async () => {
    await using bench = new Bench();
    await bench.plan();
    const passes = bench.driver.passes;
    for (let event = 0; event < 200; event += 1) {
      bench.filter.changed();
      await bench.clock.advance(25);
    }
    const looked = bench.driver.passes - passes;
    assert.ok(looked >= 3 && looked <= 6, `${looked} times in 5 s`);
  });

  it("writes the wanted mode first, then cleans the other", async () => {
    await using bench = new Bench();
    await bench.plan(false);
    bench.filter.log.length = 0;
    await bench.plan(true);
    const writes = bench.filter.writes();
    assert.match(writes[0] ?? "", /^nft/);
    assert.match(writes.at(-1) ?? "", /-restore/);
    assert.equal(bench.filter.chains.has(CHAIN), false);
    assert.equal(bench.log.of("rules.removed").length, 1);
  });

  it("cleans the other mode also when the mode is changed in the middle of a pass", async () => {
    await using bench = new Bench();
    await bench.plan(true);
    let goOn = (): void => undefined;
    bench.gate = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    bench.filter.changed();
    await bench.pass(LEAST_INTERVAL_MS + EVENT_DEBOUNCE_MS);
    await bench.plan(false);
    assert.equal(bench.filter.chains.has(CHAIN), false, "the pass of before is under way");
    goOn();
    await bench.settled();
    assert.equal(bench.filter.chains.get(CHAIN)?.length, 6);
    assert.deepEqual([...bench.filter.nftRules.keys()], []);
  });

  it("tells the first failure and the recovery, and tries again every resync", async () => {
    await using bench = new Bench();
    bench.filter.failNext("iptables-restore", 3);
    await bench.plan();
    assert.deepEqual(bench.reports.at(-1)?.failures[0]?.kind, "rule");
    assert.equal(bench.reports.at(-1)?.isInPlace, false);
    for (let round = 0; round < 5; round += 1) await bench.pass(RESYNC_MS + LEAST_INTERVAL_MS);
    assert.equal(bench.reports.at(-1)?.isInPlace, true);
    assert.equal(bench.log.of("reconcile.failed").length, 1);
    assert.equal(bench.log.of("reconcile.recovered").length, 1);
    assert.deepEqual(bench.log.of("drift.repaired"), [], "what came late is no drift");
  });

  it("does without fully-random where nft refuses it", async () => {
    await using bench = new Bench();
    bench.filter.failNext("nft --file", 1);
    await bench.plan(true);
    assert.equal(bench.reports.at(-1)?.isInPlace, true);
    const rules = bench.filter.nftRules.get("ip flannel-ipv4 postrtg") ?? [];
    assert.equal(rules.length, 6);
    assert.ok(rules.every(({ text }) => !text.includes("fully-random")));
  });

  it("is not kept from its own rules by another mode that cannot be cleaned", async () => {
    await using bench = new Bench();
    bench.filter.failNext("iptables-save", 100);
    await bench.plan(true);
    for (let round = 0; round < 10; round += 1) await bench.pass(RESYNC_MS + LEAST_INTERVAL_MS);
    assert.equal(bench.reports.at(-1)?.isInPlace, true);
    assert.equal(bench.log.of("rules.left").length, 5, "and does not try for ever");
  });
});
