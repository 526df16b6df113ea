/**
 * One who attacks among 500 agents that behave: he is held back, and the others are none the
 * worse: no stream lost, every change applied while it goes on.
 */
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { isJsonObject } from "../../../common/config/json-fields.ts";
import { parseHostPort } from "../../../common/net/host-port.ts";
import { until } from "../../../scripts/testbed/poll.ts";
import { Fleet } from "../../bench/support/fleet.ts";
import { Scrape } from "../../bench/support/scrape.ts";
import type { AgentWords } from "../../bench/support/simulated-agent.ts";
import { ControllerProcess } from "../../support/controller-process.ts";
import { type EtcdCluster, startEtcd } from "../../support/etcd-server.ts";
import type { HostileNode, HostileOrder, HostileReport } from "../../support/fixtures/hostile.ts";
import { leaseValue } from "../../support/lease-texts.ts";
import { TestPki } from "../../support/test-pki.ts";

const HOSTILE = fileURLToPath(new URL("../../support/fixtures/hostile.js", import.meta.url));
const PREFIX = "/coreos.com/network";
const CONFIG = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
const PATIENCE = { deadlineMs: 60_000, everyMs: 200 };
const AGENTS = 500;
const HANDSHAKES = 5000;
const CHANGES = 5;

describe("one who attacks among 500 agents", () => {
  it("is held back by every limit, and costs the others no stream and no change", async (context) => {
    await using etcd = await startEtcd();
    await etcd.etcdctl("put", `${PREFIX}/config`, CONFIG);
    await using pki = await TestPki.create();
    const tls = await pki.files("controller", "ctl-1");
    await using controller = await ControllerProcess.start("ctl-1", { etcd: etcd.endpoints, tls });
    await until("it serves", PATIENCE, async () =>
      (await controller.httpStatus("/readyz")) === 200 ? true : undefined,
    );
    await using fleet = await Fleet.crew(await agents(pki), [controller.address]);
    await fleet.connect();
    using hostile = await Hostile.set(controller.address, pki);

    await hostile.until("a thousand handshakes", ({ handshakes }) => handshakes >= 1000);
    for (let change = 1; change <= CHANGES; change += 1) {
      const revision = await reserve(etcd, `10.5.${200 + change}.0-24`);
      await fleet.mark(revision, 0);
    }
    await hostile.until("all handshakes", ({ handshakes }) => handshakes >= HANDSHAKES);
    await hostile.until("refusals", ({ refused }) => (refused[RESOURCE_EXHAUSTED] ?? 0) > 0);
    await fleet.mark(await reserve(etcd, "10.5.250.0-24"), 0);

    const { lost } = await fleet.report();
    assert.deepEqual(lost, {}, "no agent that behaves has lost its stream");
    const metrics = await Scrape.of(`${controller.adminUrl}/metrics`);
    const limited = (limit: string): number => metrics.sum("twill_limited_total", limit);
    context.diagnostic(
      `held back: ${limited("handshakes")} handshakes, ${limited("messages")} pauses of a flood; ` +
        `${metrics.sum("process_resident_memory_bytes") >> 20} MiB resident`,
    );
    assert.ok(limited("handshakes") > 0);
    assert.ok(limited("messages") > 0);
    assert.ok(controller.events("peer.limited").length > 0);
  });
});

/** gRPC's number of it. */
const RESOURCE_EXHAUSTED = "8";

async function agents(pki: TestPki): Promise<AgentWords[]> {
  const ca = await readFile(pki.caFile, "utf8");
  const words: AgentWords[] = [];
  for (let index = 0; index < AGENTS; index += 1) {
    const node = `good-${index}`;
    const { certificatePem: cert, keyPem: key } = await pki.pair("node", node);
    const publicIp = `10.99.${index >> 8}.${index & 255}`;
    words.push({ node, publicIp, tls: { ca, cert, key } });
  }
  return words;
}

/** Answers the revision of the change. */
async function reserve(etcd: EtcdCluster, key: string): Promise<number> {
  const value = leaseValue("10.98.0.1");
  const said: unknown = JSON.parse(
    await etcd.etcdctl("put", "-w", "json", `${PREFIX}/subnets/${key}`, value),
  );
  assert.ok(isJsonObject(said) && isJsonObject(said["header"]));
  return Number(said["header"]["revision"]);
}

class Hostile {
  readonly #child: ChildProcess;
  #report: HostileReport = { handshakes: 0, refused: {}, messages: 0 };

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (report: HostileReport) => {
      this.#report = report;
    });
  }

  /** Starts it on the controller. */
  static async set(address: string, pki: TestPki): Promise<Hostile> {
    const hostile = new Hostile(fork(HOSTILE, { stdio: ["ignore", "inherit", "inherit", "ipc"] }));
    const target = parseHostPort(address);
    assert.ok(target !== undefined);
    const order: HostileOrder = {
      ...target,
      ca: await readFile(pki.caFile, "utf8"),
      flooding: await nodeOf(pki, "flooding"),
      crashing: await nodeOf(pki, "crashing"),
      handshakes: HANDSHAKES,
      atOnce: 100,
      silent: 100,
    };
    hostile.#child.send(order);
    return hostile;
  }

  async until(what: string, isSo: (report: HostileReport) => boolean): Promise<void> {
    await until(what, PATIENCE, () => (isSo(this.#report) ? true : undefined));
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

async function nodeOf(pki: TestPki, node: string): Promise<HostileNode> {
  const { certificatePem: cert, keyPem: key } = await pki.pair("node", node);
  return { node, cert, key };
}
