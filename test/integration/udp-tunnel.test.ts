/**
 * The udp backend's data path between two nodes: our tunnel at both ends, and with a proxy that
 * behaves as flannel's at the other.
 */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { LineProcess } from "../../scripts/testbed/line-process.ts";
import { readPing } from "../../scripts/testbed/ping-report.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { iperf } from "../support/iperf.ts";
import { icmpPacket } from "../support/packets.ts";
import {
  DEVICE,
  type EndKind,
  execIn,
  inNamespace,
  ip,
  type Node,
  PORT,
  TunnelBed,
  type TunnelEnd,
} from "../support/tunnel-bed.ts";

const DEADLINE = { deadlineMs: 10_000 };

async function startBed(
  t: TestContext,
  kinds: readonly [EndKind, EndKind] = ["ours", "ours"],
): Promise<{ bed: TunnelBed; nodes: readonly [Node, Node]; ends: [TunnelEnd, TunnelEnd] }> {
  const bed = await TunnelBed.create();
  t.after(() => bed[Symbol.asyncDispose]());
  const { nodes } = bed;
  const ends: [TunnelEnd, TunnelEnd] = [
    await bed.start(nodes[0], kinds[0]),
    await bed.start(nodes[1], kinds[1]),
  ];
  return { bed, nodes, ends };
}

const ping = (from: Node, to: string, options: readonly string[] = ["-c", "1"]) =>
  execIn(from.pod, ["ping", "-n", "-W", "2", ...options, to]);

async function assertReaches(from: Node, to: Node, options?: readonly string[]): Promise<string> {
  const { code, stdout } = await ping(from, to.podIp, options);
  assert.equal(code, 0, stdout);
  return stdout;
}

const carry = (from: Node, to: Node, options: readonly string[]) =>
  iperf({ namespace: from.pod }, { namespace: to.pod, ip: to.podIp }, options);

for (const kinds of [
  ["ours", "ours"],
  ["ours", "plain"],
  ["plain", "ours"],
] as const) {
  describe(`a tunnel between ${kinds[0]} and ${kinds[1]}`, () => {
    it("carries pings, fragments and TCP both ways, and takes two hops of each packet", async (t) => {
      const { nodes } = await startBed(t, kinds);
      for (const [from, to] of [nodes, [nodes[1], nodes[0]] as const]) {
        // Two forwarding nodes and two tunnel ends.
        assert.match(await assertReaches(from, to), /ttl=60 /);
        await assertReaches(from, to, ["-c", "3", "-s", "4000"]);
        const { bitsPerSecond } = await carry(from, to, ["-t", "1"]);
        assert.ok(bitsPerSecond > 1e6, `${bitsPerSecond} bit/s`);
        await carry(from, to, ["-t", "1", "-u", "-b", "20M", "-l", "1000"]);
      }
    });
  });
}

describe("our tunnel", () => {
  it("cuts and joins without damage: nothing is refused, super-segments are counted by parts", async (t) => {
    const { nodes, ends } = await startBed(t);
    await carry(nodes[0], nodes[1], ["-n", "50M"]);
    const [sender, receiver] = [await ends[0].stats(), await ends[1].stats()];
    assert.ok(sender.sentPackets > 50e6 / 1420, JSON.stringify(sender));
    assert.ok(sender.sentBytes > 50e6);
    assert.ok(receiver.receivedPackets > 50e6 / 1420);
    for (const stats of [sender, receiver]) {
      const { malformed, ttlExpired, sendFailed, writeFailed, unknownSource } = stats;
      assert.deepEqual(
        [malformed, ttlExpired, sendFailed, writeFailed, unknownSource],
        [0, 0, 0, 0, 0],
      );
    }
  });

  it("carries UDP super-segments of containers as single datagrams", async (t) => {
    const { nodes } = await startBed(t);
    const script = fileURLToPath(new URL("../support/fixtures/send-segmented.js", import.meta.url));
    const lines: string[] = [];
    const receiver = new LineProcess(
      inNamespace(nodes[1].pod, [process.execPath, script, "receive", nodes[1].podIp, "9000"]),
      (line) => lines.push(line),
    );
    t.after(() => receiver[Symbol.asyncDispose]());
    await until("the receiver listens", DEADLINE, () => lines.includes("ready") || undefined);
    const sent = await execIn(nodes[0].pod, [
      process.execPath,
      script,
      "send",
      nodes[1].podIp,
      "9000",
    ]);
    assert.equal(sent.code, 0, sent.stderr);
    await until("all have come", DEADLINE, () => (lines.length === 11 ? true : undefined));
    assert.deepEqual(
      lines.slice(1),
      Array.from({ length: 10 }, (_, n) => `${n} ${n === 9 ? 300 : 1200}`),
    );
  });

  it("goes on when the path is narrower than the device, by fragments of the outer datagram", async (t) => {
    const { nodes, ends } = await startBed(t);
    await ip(nodes[0].namespace, [`route add ${nodes[1].ip}/32 dev eth0 mtu lock 1300`]);
    const { bitsPerSecond } = await carry(nodes[0], nodes[1], ["-t", "1"]);
    assert.ok(bitsPerSecond > 1e6, `${bitsPerSecond} bit/s`);
    assert.equal((await ends[0].stats()).sendFailed, 0);
  });

  it("answers packets to nobody's subnet by ICMP from its own address", async (t) => {
    const { nodes, ends } = await startBed(t);
    const answered = await ping(nodes[0], "10.77.9.9");
    assert.match(answered.stdout, /From 10\.77\.1\.0 icmp_seq=1 Destination Net Unreachable/);
    assert.equal((await ends[0].stats()).noRoute, 1);
  });

  it("takes nothing from strangers", async (t) => {
    const { nodes, ends } = await startBed(t);
    await ip(nodes[1].namespace, ["address add 10.98.0.9/24 dev eth0"]);
    const echo = icmpPacket(8, { source: 0x0a4d0202, destination: 0x0a4d0102 });
    const send = (from: string): Promise<unknown> =>
      execIn(nodes[1].namespace, [
        process.execPath,
        "--eval",
        `const socket = require("node:dgram").createSocket("udp4");
         socket.bind(0, "${from}", () => socket.send(Buffer.from("${Buffer.from(echo).toString("hex")}", "hex"),
           ${PORT}, "${nodes[0].ip}", () => socket.close()));`,
      ]);
    await send("10.98.0.9");
    await until("the stranger was noticed", DEADLINE, async () =>
      (await ends[0].stats()).unknownSource === 1 ? true : undefined,
    );
    assert.equal((await ends[0].stats()).receivedPackets, 0);
    await send(nodes[1].ip);
    await until("the peer was heard", DEADLINE, async () =>
      (await ends[0].stats()).receivedPackets === 1 ? true : undefined,
    );
  });

  it("takes a new list of peers at once, packets flowing or not", async (t) => {
    const { bed, nodes, ends } = await startBed(t);
    await assertReaches(nodes[0], nodes[1]);
    ends[0].setPeers([]);
    await until("the peer is gone", DEADLINE, async () =>
      /Net Unreachable/.test((await ping(nodes[0], nodes[1].podIp)).stdout) ? true : undefined,
    );
    ends[0].setPeers([["10.77.77.0/24", "10.98.0.77", PORT], bed.peerOf(nodes[0])]);
    await until("the peer is back", DEADLINE, async () =>
      (await ping(nodes[0], nodes[1].podIp)).code === 0 ? true : undefined,
    );
  });

  it("comes back after kill -9 with device, address and routes as they were", async (t) => {
    const { bed, nodes, ends } = await startBed(t);
    const view = async (): Promise<string> => {
      const link = await execIn(nodes[0].namespace, ["ip", "-o", "link", "show", DEVICE]);
      const address = await execIn(nodes[0].namespace, [
        "ip",
        "-o",
        "-4",
        "address",
        "show",
        DEVICE,
      ]);
      const routes = await execIn(nodes[0].namespace, ["ip", "route", "show", "10.77.0.0/16"]);
      return [
        link.stdout.split(":")[0],
        address.stdout,
        routes.stdout.replace(" linkdown", ""),
      ].join("|");
    };
    const before = await view();
    const lines: string[] = [];
    const pings = new LineProcess(
      inNamespace(nodes[1].pod, ["ping", "-n", "-D", "-i", "0.01", nodes[0].podIp]),
      (line) => lines.push(line),
    );
    t.after(() => pings[Symbol.asyncDispose]());
    await until("pings are answered", DEADLINE, () => (lines.length > 10 ? true : undefined));
    await ends[0].kill();
    assert.equal(await view(), before);
    await bed.start(nodes[0], "ours");
    const seen = lines.length;
    await until("pings are answered again", DEADLINE, () =>
      lines.length > seen + 20 ? true : undefined,
    );
    assert.equal(await view(), before);
    await pings.end("SIGINT");
    const { longestGapMs, lost } = readPing(lines);
    t.diagnostic(`gap ${longestGapMs} ms, ${lost} pings lost`);
  });

  it("ends within a moment when told to, under load too, and leaves the device", async (t) => {
    const { nodes, ends } = await startBed(t);
    const flood = ["ping", "-f", "-q", "-s", "1000", nodes[1].podIp];
    await using load = new LineProcess(inNamespace(nodes[0].pod, flood), () => undefined);
    await until("packets flow", DEADLINE, async () =>
      (await ends[0].stats()).sentPackets > 1000 ? true : undefined,
    );
    assert.equal(await ends[0].stop(), 0);
    const link = await execIn(nodes[0].namespace, ["ip", "link", "show", DEVICE]);
    assert.equal(link.code, 0);
    await load.end();
  });

  it("ends by itself, with the reason, when its device is deleted", async (t) => {
    const { nodes, ends } = await startBed(t);
    await ip(nodes[0].namespace, [`link del ${DEVICE}`]);
    assert.match(await ends[0].said(/^ended/), /ended: the TUN device is gone/);
    assert.equal(await ends[0].exited, 1);
  });
});
