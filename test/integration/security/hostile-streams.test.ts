/**
 * Peers that open ten thousand streams and send garbage on each, that read a byte a second, and
 * that do not read at all: each is ended, and an agent beside them hears of every change.
 */
import assert from "node:assert/strict";
import { it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { parseHostPort } from "../../../common/net/host-port.ts";
import { until } from "../../../scripts/testbed/poll.ts";
import { Scrape } from "../../bench/support/scrape.ts";
import { ControllerProcess } from "../../support/controller-process.ts";
import { startEtcd } from "../../support/etcd-server.ts";
import { garbageStreams } from "../../support/garbage-streams.ts";
import { leaseValue } from "../../support/lease-texts.ts";
import { SyncAgent } from "../../support/sync-agent.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";

const PREFIX = "/coreos.com/network";
const PATIENCE = { deadlineMs: 60_000 };
const STREAMS = 10_000;
const CHANGES = 5;
/** Twice what it takes with a thousand agents. */
const MOST_MEMORY = 512 * 1024 * 1024;
const INVALID_ARGUMENT = "3";

it("ten thousand streams of garbage and peers that do not read cost the others nothing", async (t) => {
  await using etcd = await startEtcd();
  await etcd.etcdctl("put", `${PREFIX}/config`, '{"Network":"10.5.0.0/16"}');
  await using controller = await ControllerProcess.start("ctl-1", { etcd: etcd.endpoints });
  await until("it serves", PATIENCE, async () => (await controller.status()).leader || undefined);
  const target = parseHostPort(controller.address);
  assert.ok(target);
  using good = new SyncAgent("good", controller.address).hello();
  await good.inSync();
  const heartbeat = setInterval(() => good.send({ $case: "heartbeat", value: {} }), 5000);
  try {
    await using trickle = await TcpProxy.start(target);
    using slow = new SyncAgent("slow", `127.0.0.1:${trickle.port}`).hello();
    await using stopped = await TcpProxy.start(target);
    using deaf = new SyncAgent("deaf", `127.0.0.1:${stopped.port}`).hello();
    await deaf.inSync();
    const served = async (): Promise<readonly string[]> =>
      (await controller.status()).nodes.map(({ node }) => node).toSorted();
    await until(
      "all three are served",
      PATIENCE,
      async () => isDeepStrictEqual(await served(), [deaf.node, good.node, slow.node]) || undefined,
    );
    trickle.trickle(1);
    stopped.pause("down");
    const attack = garbageStreams(controller.address, STREAMS);
    for (let n = 1; n <= CHANGES; n += 1) {
      const key = `10.5.${200 + n}.0-24`;
      await etcd.etcdctl("put", `${PREFIX}/subnets/${key}`, leaseValue(`10.98.0.${n}`));
      await good.until(`change ${n}`, () => good.table.get(key));
      good.ack();
    }
    const { answered, connections } = await attack;
    // A connection that was lost on a stalled machine takes its streams along.
    assert.ok((answered.get(INVALID_ARGUMENT) ?? 0) > 0.9 * STREAMS, String([...answered]));
    await until(
      "who does not read is cut off",
      PATIENCE,
      async () => isDeepStrictEqual(await served(), [good.node]) || undefined,
    );
    assert.equal(good.end, undefined);
    const metrics = await Scrape.of(`${controller.adminUrl}/metrics`);
    const resident = metrics.sum("process_resident_memory_bytes");
    assert.ok(resident < MOST_MEMORY, `${resident >> 20} MiB`);
    t.diagnostic(
      `${STREAMS} streams over ${connections} connections; ${resident >> 20} MiB resident`,
    );
  } finally {
    clearInterval(heartbeat);
  }
});
