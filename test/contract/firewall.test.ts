/**
 * The packet-filter rules on real kernels, in iptables (both kinds) and nftables mode: the same
 * packets are masqueraded and let through, the texts are flannel's, disturbances are repaired,
 * and changing the mode leaves nothing behind.
 */
import assert from "node:assert/strict";
import { before, describe, it, type TestContext } from "node:test";
import type { RunCommand } from "../../agent/kernel/command.ts";
import { watchRuleset } from "../../agent/kernel/ruleset-watch.ts";
import {
  type FirewallOptions,
  type FirewallPlan,
  planFirewall,
} from "../../agent/plan/firewall.ts";
import { FirewallDriver, type FirewallReport } from "../../agent/reconcile/firewall-driver.ts";
import { systemClock } from "../../common/async/clock.ts";
import type { NetworkConfig } from "../../common/config/network-config.ts";
import { tryRun } from "../../scripts/testbed/command.ts";
import { assertGolden } from "../support/golden.ts";
import { ip, network, networkConfig, VXLAN } from "../support/leases.ts";
import { LogCapture } from "../support/log-capture.ts";
import { MasqueradeBed } from "../support/masquerade-bed.ts";
import { until } from "../support/until.ts";

const OWN = { v4: network("10.244.1.0/24"), v6: network("fd77:0:0:1::/64") };
const ALL: FirewallOptions = { masquerade: true, forwardRules: true, randomFully: true };
const RESYNC_MS = 1_000;

type Disturbance = (bed: MasqueradeBed) => Promise<unknown>;

const DISTURBANCES: Readonly<
  Record<"iptables" | "nftables", Readonly<Record<string, Disturbance>>>
> = {
  iptables: {
    "one rule deleted": (bed) =>
      bed.feed(["iptables-restore", "--noflush"], "*nat\n-D FLANNEL-POSTRTG 5\nCOMMIT\n"),
    "the chain flushed": (bed) => bed.on("node", "iptables -t nat -F FLANNEL-POSTRTG"),
    "the jump deleted": (bed) => bed.on("node", "iptables -t nat -D POSTROUTING 1"),
    "the table flushed": (bed) => bed.on("node", "iptables -t nat -F"),
    "chain and rules gone": async (bed) => {
      await bed.on("node", "iptables -F FORWARD");
      await bed.on("node", "iptables -F FLANNEL-FWD");
      await bed.on("node", "iptables -X FLANNEL-FWD");
    },
    "a rule twice": (bed) =>
      bed.on("node", "iptables -A FORWARD -m comment --comment flanneld_forward -j FLANNEL-FWD"),
    "a rule in front": (bed) => bed.on("node", "iptables -t nat -I FLANNEL-POSTRTG -j RETURN"),
    "rules out of order": async (bed) => {
      await bed.on("node", "iptables -t nat -D FLANNEL-POSTRTG 1");
      await bed.feed(
        ["iptables-restore", "--noflush"],
        '*nat\n-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN\nCOMMIT\n',
      );
    },
    "an IPv6 rule deleted": (bed) => bed.on("node", "ip6tables -t nat -D FLANNEL-POSTRTG 6"),
  },
  nftables: {
    "the ruleset flushed": (bed) => bed.on("node", "nft flush ruleset"),
    "a table deleted": (bed) => bed.on("node", "nft delete table ip6 flannel-ipv6"),
    "a chain flushed": (bed) => bed.on("node", "nft flush chain ip flannel-ipv4 postrtg"),
    "a rule in front": (bed) => bed.on("node", "nft insert rule ip flannel-ipv4 postrtg return"),
    "a chain with another policy": (bed) =>
      bed.feed(["nft", "-f", "-"], "add chain ip flannel-ipv4 forward { policy drop ; }"),
    "a chain of another hook": (bed) =>
      bed.feed(
        ["nft", "-f", "-"],
        "flush chain ip flannel-ipv4 forward\ndelete chain ip flannel-ipv4 forward\nadd chain ip flannel-ipv4 forward { type filter hook input priority filter ; }",
      ),
  },
};

function config(enableNFTables: boolean): NetworkConfig {
  const dual = networkConfig(VXLAN, "dual");
  const v6 = dual.v6 && {
    ...dual.v6,
    network: network("fd77::/48"),
    subnetMin: ip("fd77:0:0:1::"),
    subnetMax: ip("fd77:0:0:ffff::"),
  };
  return { ...dual, v6, enableNFTables };
}

interface Driven {
  readonly driver: FirewallDriver;
  readonly log: LogCapture;
  readonly reports: FirewallReport[];
  /** The rules of this mode are there, and those of the other are not. */
  plan(plan: FirewallPlan): Promise<void>;
}

/** A driver on the bed's node for the length of the test. */
function drive(t: TestContext, bed: MasqueradeBed, run: RunCommand = bed.run): Driven {
  const log = new LogCapture();
  const reports: FirewallReport[] = [];
  const stop = new AbortController();
  const driver = new FirewallDriver(
    {
      run,
      clock: systemClock,
      log,
      watchRuleset: (listener) => watchRuleset(listener, { netns: bed.nodePath }),
      report: (report) => reports.push(report),
    },
    RESYNC_MS,
  );
  const running = driver.run(stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  t.after(async () => {
    stop.abort();
    await running;
  });
  const plan = async (wanted: FirewallPlan): Promise<void> => {
    const passes = driver.passes;
    driver.setDesired(wanted);
    await until("the rules were written", () => driver.passes > passes);
    assert.deepEqual(log.of("reconcile.failed"), []);
  };
  return { driver, log, reports, plan };
}

/** The same programs of another kind: "iptables-save" becomes "iptables-legacy-save". */
function ofKind(run: RunCommand, kind: string): RunCommand {
  return ([program, ...args], options) =>
    run([program.replace(/^(ip6?tables)/, `$1-${kind}`), ...args], options);
}

async function hasLegacy(): Promise<boolean> {
  return (await tryRun(["iptables-legacy", "-t", "nat", "-S"])).code === 0;
}

/** What each kind of packet looks like on the other side, and that it comes through at all. */
async function assertMasquerade(bed: MasqueradeBed): Promise<void> {
  await until("a pod reached the outside", () => bed.pings("pod", "10.78.0.2"));
  await until("a pod reached the outside by IPv6", () => bed.pings("pod", "fd78::2"));
  const pod = { machine: "pod" } as const;
  const node = { machine: "node", source: "10.78.0.1" } as const;
  assert.equal(await bed.seenSource(pod, "10.78.0.2", "outside"), "10.78.0.1");
  assert.equal(await bed.seenSource(pod, "fd78::2", "outside"), "fd78::1");
  assert.equal(
    await bed.seenSource(pod, "10.244.2.2", "peer"),
    "10.244.1.2",
    "pod to pod as it is",
  );
  assert.equal(await bed.seenSource(pod, "fd77:0:0:2::2", "peer"), "fd77:0:0:1::2");
  assert.equal(
    await bed.seenSource(node, "10.244.2.2", "peer"),
    "10.79.0.1",
    "the host to a remote pod is masqueraded, so that the answer finds back",
  );
  const remote = { machine: "peer", source: "10.244.2.2" } as const;
  assert.equal(
    await bed.seenSource(remote, "10.244.1.2", "pod"),
    "10.244.2.2",
    "remote pod to pod",
  );
  await bed.on("outside", "ip route replace 10.244.1.0/24 via 10.78.0.1");
  const outside = { machine: "outside" } as const;
  assert.equal(await bed.seenSource(outside, "10.244.1.2", "pod"), "10.78.0.2", "outside to pod");
  await bed.on("outside", "ip route del 10.244.1.0/24");
}

for (const mode of ["iptables", "nftables"] as const) {
  describe(`in ${mode} mode`, () => {
    it("masquerades what must be, and nothing else", async (t) => {
      const bed = await MasqueradeBed.open(t);
      assert.equal(
        await bed.pings("pod", "10.78.0.2"),
        false,
        "without rules no answer finds back",
      );
      const { plan } = drive(t, bed);
      await plan(planFirewall(config(mode === "nftables"), OWN, ALL));
      await assertMasquerade(bed);
    });

    it("leaves packets with the foreign mark alone, whatever other bits they carry", async (t) => {
      const bed = await MasqueradeBed.open(t);
      const { plan } = drive(t, bed);
      await plan(planFirewall(config(mode === "nftables"), OWN, ALL));
      await bed.feed(
        ["nft", "-f", "-"],
        "table ip marking { chain c { type filter hook forward priority mangle; ip saddr 10.244.1.2 meta mark set 0x4001; }; }",
      );
      const seen = await bed.seenSource({ machine: "pod" }, "10.78.0.2", "outside");
      assert.equal(seen, "10.244.1.2");
    });

    it("writes flannel's rules, and nothing when they are there already", async (t) => {
      const bed = await MasqueradeBed.open(t);
      const first = drive(t, bed);
      await first.plan(planFirewall(config(mode === "nftables"), OWN, ALL));
      const listed = await ruleset(bed, mode);
      assertGolden(`firewall/${mode}.txt`, listed);
      const generation = await genid(bed);
      const again = drive(t, bed);
      await again.plan(planFirewall(config(mode === "nftables"), OWN, ALL));
      assert.equal(await ruleset(bed, mode), listed);
      if (mode === "iptables") assert.equal(await genid(bed), generation, "nothing was written");
    });

    it("writes no masquerade rules without --ip-masq, and no forward rules when told", async (t) => {
      const bed = await MasqueradeBed.open(t);
      const { plan } = drive(t, bed);
      const isNft = mode === "nftables";
      await plan(planFirewall(config(isNft), OWN, ALL));
      await plan(planFirewall(config(isNft), OWN, { ...ALL, masquerade: false }));
      assert.doesNotMatch(await ruleset(bed, mode), /masq|POSTRTG/i);
      assert.match(await ruleset(bed, mode), /accept/i);
      await plan(planFirewall(config(isNft), OWN, { ...ALL, forwardRules: false }));
      assert.doesNotMatch(await ruleset(bed, mode), /FWD|chain forward|accept$/m);
      await plan(
        planFirewall(config(isNft), OWN, { ...ALL, masquerade: false, forwardRules: false }),
      );
      assert.equal(await ruleset(bed, mode), "");
    });

    it("changes the own subnet without touching another network's rules", async (t) => {
      const bed = await MasqueradeBed.open(t);
      const isNft = mode === "nftables";
      const other = drive(t, bed);
      const v4 = networkConfig().v4;
      const theirs = {
        ...networkConfig(),
        enableNFTables: isNft,
        v4: v4 && { ...v4, network: network("10.12.0.0/16") },
      };
      await other.plan(planFirewall(theirs, { v4: network("10.12.1.0/24"), v6: undefined }, ALL));
      const { plan, log } = drive(t, bed);
      await plan(planFirewall(config(isNft), OWN, ALL));
      const moved = { ...OWN, v4: network("10.244.9.0/24") };
      await plan(planFirewall(config(isNft), moved, ALL));
      const listed = await ruleset(bed, mode);
      assert.doesNotMatch(listed, /10\.244\.1\.0/);
      assert.equal(listed.match(/10\.244\.9\.0/g)?.length, 3);
      assert.equal(listed.match(/10\.12\.1\.0/g)?.length, 3);
      const theirLines = listed.split("\n").filter((line) => line.includes("10.12."));
      assert.equal(theirLines.length, isNft ? 8 : 7);
      const passes = [other.driver.passes, other.driver.passes];
      await until("both looked again", () => other.driver.passes > (passes[0] ?? 0) + 1);
      assert.deepEqual(
        [other.log.of("drift.repaired"), log.of("drift.repaired")],
        [[], []],
        "no fight",
      );
    });

    it("repairs every disturbance within seconds, and tells of it once", async (t) => {
      const bed = await MasqueradeBed.open(t);
      for (const [name, disturb] of Object.entries(DISTURBANCES[mode])) {
        await t.test(name, async (one) => {
          const { plan, reports, log, driver } = drive(one, bed);
          await plan(planFirewall(config(mode === "nftables"), OWN, ALL));
          const listed = await ruleset(bed, mode);
          await disturb(bed);
          const isRepaired = async () => (await ruleset(bed, mode)) === listed;
          await until("it was repaired", isRepaired, 10_000);
          const { passes } = driver;
          await until("it looked again", () => driver.passes > passes);
          const repaired = reports.flatMap((report) => report.repaired);
          assert.ok(repaired.length >= 1 && repaired.length <= 4, JSON.stringify(repaired));
          assert.equal(log.of("drift.repaired").length, repaired.length);
        });
      }
    });

    it("removes the other mode's rules completely, after its own are there", async (t) => {
      const bed = await MasqueradeBed.open(t);
      const isNft = mode === "nftables";
      const { plan, log } = drive(t, bed);
      await plan(planFirewall(config(!isNft), OWN, ALL));
      await plan(planFirewall(config(isNft), OWN, ALL));
      assert.equal(await ruleset(bed, isNft ? "iptables" : "nftables"), "");
      assert.equal(log.of("rules.removed").length, 1);
      await assertMasquerade(bed);
    });

    it("lets pods through where FORWARD's policy drops", async (t) => {
      const bed = await MasqueradeBed.open(t);
      const { plan } = drive(t, bed);
      if (mode === "iptables") await bed.on("node", "iptables -P FORWARD DROP");
      if (mode === "iptables") assert.equal(await bed.pings("pod", "10.244.2.2"), false);
      await plan(planFirewall(config(mode === "nftables"), OWN, ALL));
      await until("pod reached pod", () => bed.pings("pod", "10.244.2.2"));
    });
  });
}

describe("in iptables mode with iptables-legacy", () => {
  let legacy = false;
  before(async () => {
    legacy = await hasLegacy();
  });

  it("does the same", async (t) => {
    if (!legacy) return t.skip("this kernel has no ip_tables");
    const bed = await MasqueradeBed.open(t);
    const run = ofKind(bed.run, "legacy");
    const { plan } = drive(t, bed, run);
    await plan(planFirewall(config(false), OWN, ALL));
    await assertMasquerade(bed);
    const save = await bed.on("node", "iptables-legacy-save -t nat");
    assertGolden("firewall/iptables-legacy.txt", ours(save));
    await plan(
      planFirewall(config(false), OWN, { ...ALL, masquerade: false, forwardRules: false }),
    );
    assert.equal(ours(await bed.on("node", "iptables-legacy-save")), "");
  });
});

describe("without the programs", () => {
  it("fails in iptables mode with the way out, and works in nftables mode", async (t) => {
    const bed = await MasqueradeBed.open(t);
    const run: RunCommand = (argv, options) =>
      bed.run(argv[0].startsWith("ip") ? ["/no/such/iptables"] : argv, options);
    const { plan, driver, log, reports } = drive(t, bed, run);
    driver.setDesired(planFirewall(config(false), OWN, ALL));
    await until("the failure was told", () => reports.length > 0);
    assert.equal(reports[0]?.isInPlace, false);
    assert.match(
      log.of("reconcile.failed")[0]?.message ?? "",
      /install iptables, or set "EnableNFTables"/,
    );
    assert.equal(reports[0]?.failures[0]?.code, "COMMAND_FAILED");
    log.all.length = 0;
    await plan(planFirewall(config(true), OWN, ALL));
    assert.equal(log.of("reconcile.recovered").length, 1);
    assert.equal(log.of("rules.left").length, 0);
  });
});

async function ruleset(bed: MasqueradeBed, mode: "iptables" | "nftables"): Promise<string> {
  if (mode === "nftables") {
    const tables = await bed.on("node", "nft list ruleset");
    return tables
      .split(/^(?=table )/m)
      .filter(
        (table) => table.startsWith("table ip flannel-") || table.startsWith("table ip6 flannel-"),
      )
      .join("");
  }
  const v4 = await bed.on("node", "iptables-save");
  const v6 = await bed.on("node", "ip6tables-save");
  return ours(v4) + ours(v6);
}

/** Lines of iptables-save that concern our chains. */
function ours(save: string): string {
  const lines = save.split("\n").filter((line) => line.includes("FLANNEL"));
  return lines.map((line) => `${line}\n`).join("");
}

/** Counts the transactions on the ruleset. */
async function genid(bed: MasqueradeBed): Promise<string> {
  const text = await bed.on("node", "nft --json list ruleset");
  return text.replace(/"(packets|bytes)": ?[0-9]+/g, "");
}
