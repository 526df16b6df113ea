/**
 * The scenarios of flannel's own functional and end-to-end suites (contract section 6), for the
 * backends that this kernel has; those of ipip and wireguard are in test/guest. One cluster
 * goes through all of them by changes of the config, so that each backend also begins with
 * what another left.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Lab } from "../../scripts/testbed/lab.ts";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { CONFIG_KEY } from "../../scripts/testbed/registry.ts";
import { assertGolden, golden, isUpdating } from "../support/golden.ts";
import { startLab } from "../support/lab.ts";
import { textOf } from "../support/lab-checks.ts";
import { iperfBetween } from "../support/lab-iperf.ts";

const SOON = { deadlineMs: 30_000, everyMs: 200 };

interface Round {
  readonly name: string;
  readonly config: object;
  readonly device: string | undefined;
  /** How the first node reaches the other's subnet. */
  readonly route: RegExp;
}

const ROUNDS: readonly Round[] = [
  {
    name: "vxlan",
    config: { Backend: { Type: "vxlan" } },
    device: "flannel.1",
    route: / dev flannel\.1 onlink/,
  },
  {
    name: "vxlan-nftables",
    config: { Backend: { Type: "vxlan" }, EnableNFTables: true },
    device: "flannel.1",
    route: / dev flannel\.1 onlink/,
  },
  {
    name: "vxlan-direct",
    config: { Backend: { Type: "vxlan", DirectRouting: true } },
    device: "flannel.1",
    route: /via 10\.99\.0\.2 dev eth0/,
  },
  {
    name: "host-gw",
    config: { Backend: { Type: "host-gw" } },
    device: undefined,
    route: /via 10\.99\.0\.2 dev eth0/,
  },
  {
    name: "udp",
    config: { Backend: { Type: "udp" } },
    device: "flannel0",
    route: /^10\.244\.0\.0\/16 dev flannel0/m,
  },
];

const configOf = (round: Round): string =>
  JSON.stringify({ Network: "10.244.0.0/16", ...round.config });

/** Links, addresses, routes, neighbours, FDB entries and rules: all that a backend makes. */
async function whole(lab: Lab, node: Machine, { device }: Round): Promise<string> {
  const on = ["dev", device ?? ""];
  const ofDevice = [
    ["ip", "neigh", "show", ...on],
    ["bridge", "fdb", "show", ...on],
    ["ip", "address", "show", ...on],
    ["ip", "-d", "link", "show", ...on],
  ];
  const text = await textOf(lab, node, [
    ["ip", "route", "show"],
    ...(device === undefined ? [] : ofDevice),
    ["sh", "-c", "ip -o link show | grep -o ' flannel[^:@]*' || true"],
    ["sh", "-c", "iptables-save | grep -i flannel || true"],
    ["sh", "-c", "nft list table ip flannel-ipv4 2>/dev/null || true"],
    ["cat", "/run/flannel/subnet.env"],
  ]);
  // A TUN that came up before its packet loop was there is UP, else UNKNOWN: both carry packets.
  return text.replaceAll(/(flannel0: .*) state (?:UP|UNKNOWN)/g, "$1 state <carrying>");
}

describe("the scenarios of flannel's own suites", () => {
  it("pass for each backend, one after another in one cluster", async (t) => {
    const [first] = ROUNDS;
    assert.ok(first);
    const lab = await startLab(t, { nodes: 2, controllers: 1, config: configOf(first) });
    await Promise.all(lab.nodes.map((node) => lab.addPod(node)));
    for (const round of ROUNDS) {
      await t.test(round.name, () => playRound(lab, round));
    }
  });
});

async function playRound(lab: Lab, round: Round): Promise<void> {
  const [node] = lab.nodes;
  const [a, b] = lab.pods;
  assert.ok(node && a && b);
  await lab.registry.put(CONFIG_KEY, configOf(round));
  await until(`routes are those of ${round.name}`, SOON, async () =>
    round.route.test(await node.exec(["ip", "route", "show"])) ? true : undefined,
  );
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    await until(`${from.ip} pings ${to.ip} by its own address`, SOON, async () => {
      const ping = ["ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", "-I", from.ip, to.ip];
      return (await from.machine.tryExecInPod(from.name, ping)).code === 0 ? true : undefined;
    });
  }
  await iperfBetween(a, b);
  const file = `backends/${round.name}.txt`;
  // Rules and files follow the routes a moment later.
  await until("the kernel is as wanted", SOON, async () => {
    return isUpdating() || (await whole(lab, node, round)) === golden(file) ? true : undefined;
  }).catch(() => undefined);
  assertGolden(file, await whole(lab, node, round));
}
