/**
 * A whole agent on a small Linux in memory, with controllers that a test plays and a clock
 * that stands still: everything but the network is the real thing.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { ExtensionDriver } from "../../agent/extension/extension-driver.ts";
import { NO_MEMORY } from "../../agent/extension/extension-memory.ts";
import { writeFileAtomic } from "../../agent/host/atomic-file.ts";
import { NodeAgent } from "../../agent/node/node-agent.ts";
import { type AgentOptions, parseAgentCommand } from "../../agent/options.ts";
import type { TableMessage } from "../../agent/peers/peer-table.ts";
import { DataPlane } from "../../agent/reconcile/data-plane.ts";
import { dataPlaneOptions } from "../../agent/reconcile/data-plane-options.ts";
import type { ControllerMessage, Welcome } from "../../agent/rpc/controller-message.ts";
import { TwillError } from "../../common/errors.ts";
import { Health } from "../../common/health.ts";
import type { Lease } from "../../common/lease/lease.ts";
import { digestOf, formatDigest } from "../../common/lease/lease-digest.ts";
import { noMetrics } from "../../common/metrics.ts";
import { FakeControllerStream } from "./fake-controller-stream.ts";
import type { FakeKernel } from "./fake-kernel.ts";
import { FakePacketFilter } from "./fake-packet-filter.ts";
import { FakeTunnelPort } from "./fake-tunnel-port.ts";
import { LogCapture } from "./log-capture.ts";
import { ManualClock } from "./manual-clock.ts";
import { machine } from "./reconcile-bench.ts";
import { randomBytes, seededRandom } from "./seeded-random.ts";

/** The agent syncs its files; on a busy disk that would take as long as the whole test. */
const MEMORY_DISK = "/dev/shm";
/** Of 50 ms: ten seconds of the agent's time. */
const TURNS = 200;

export const CONFIG_JSON = '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}';

export class AgentBench implements AsyncDisposable {
  readonly kernel: FakeKernel;
  readonly filter = new FakePacketFilter();
  readonly clock = new ManualClock();
  readonly log = new LogCapture();
  readonly health = new Health(this.clock);
  readonly streams: FakeControllerStream[] = [];
  readonly folder: string;
  /** No controller can be reached while it is set. */
  isCutOff = false;
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  private constructor(folder: string, kernel: FakeKernel) {
    this.folder = folder;
    this.kernel = kernel;
  }

  /** A machine with eth0 10.99.0.1/24; nothing runs yet. */
  static async make(kernel = machine()): Promise<AgentBench> {
    return new AgentBench(await mkdtemp(join(MEMORY_DISK, "twill-agent-")), kernel);
  }

  async start(...argv: readonly string[]): Promise<NodeAgent> {
    const options = this.#options(argv);
    const random = seededRandom(this.streams.length + 1);
    this.#stop = new AbortController();
    const { kernel, clock, log, health } = this;
    const agent = await NodeAgent.open(options, {
      kernel,
      makeReconciler: (table, { networks }) =>
        new DataPlane(
          {
            kernel,
            clock,
            log,
            table,
            random,
            sysctl: { write: async () => true },
            tunnel: new FakeTunnelPort(),
            extension: new ExtensionDriver({
              run: this.filter.run,
              clock,
              log,
              random,
              memory: NO_MEMORY,
            }),
            run: this.filter.run,
            watchRuleset: this.filter.watchRuleset,
          },
          dataPlaneOptions(options.rules, networks),
        ),
      openStream: async (endpoint) => this.#open(endpoint),
      clock,
      inspect: {
        sysctl: { read: async () => undefined, write: async () => false },
        run: async () => ({ exitCode: 0, stdout: "", stderr: "" }),
        readProcNet: async () => "",
        // No packet leaves a unit test.
        probe: async ({ label }) => ({ label, sent: 0, received: 0, rttUs: 0, error: "" }),
      },
      log,
      health,
      metrics: noMetrics,
      random,
      randomBytes: (length) => randomBytes(random, length),
    });
    this.#running = agent.run(this.#stop.signal).catch((error: unknown) => {
      if (error !== this.#stop.signal.reason) throw error;
    });
    await this.settle();
    return agent;
  }

  /** Ends the agent; the kernel and the files stay. */
  async stop(): Promise<void> {
    this.#stop.abort(new TwillError("SHUTTING_DOWN", "test stops the agent"));
    await this.#running;
  }

  get stream(): FakeControllerStream {
    const newest = this.streams.at(-1);
    assert.ok(newest, "no stream was opened");
    return newest;
  }

  /** Lets files be read and written and debounced work be done. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 6; turn += 1) await this.#turn();
  }

  /** Lets time pass until it is so. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    for (let turn = 0; turn < TURNS; turn += 1) {
      if (isSo()) return;
      await this.#turn();
    }
    assert.fail(`it never came to this: ${what}\n${this.log.names.join(" ")}`);
  }

  /** 50 ms of the agent's time, and as much of the disk's as a write of the agent's takes. */
  async #turn(): Promise<void> {
    await writeFileAtomic(join(this.folder, "probe"), "", 0o600);
    await this.clock.advance(50);
  }

  /** Lets time pass until subnet.env says so. */
  async untilSubnetEnv(pattern: RegExp): Promise<void> {
    const file = join(this.folder, "subnet.env");
    for (let turn = 0; turn < TURNS; turn += 1) {
      if (pattern.test(await readFile(file, "utf8").catch(() => ""))) return;
      await this.#turn();
    }
    assert.match(await readFile(file, "utf8"), pattern);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  #open(endpoint: string): FakeControllerStream {
    if (this.isCutOff) throw new TwillError("CONTROLLER_UNAVAILABLE", "nobody answers");
    const stream = new FakeControllerStream(endpoint);
    this.streams.push(stream);
    return stream;
  }

  #options(argv: readonly string[]): AgentOptions {
    const files = [`--subnet-file=${this.folder}/subnet.env`, `--state-dir=${this.folder}/state`];
    const base = ["--controllers=a:1,b:1", "--insecure", "--iface=eth0", ...files];
    const command = parseAgentCommand([...base, ...argv], {}, "me");
    assert.ok(command.kind === "run", JSON.stringify(command.kind));
    return command.options;
  }
}

export function welcome(json = CONFIG_JSON): Welcome {
  return {
    kind: "welcome",
    instance: "i",
    controller: "c",
    leader: "c",
    features: new Set(),
    heartbeatMs: 600_000,
    config: { revision: 3, json },
    version: "1",
  };
}

function table(message: TableMessage): ControllerMessage {
  return { kind: "table", table: message, leader: undefined };
}

export function snapshot(revision: number, ...leases: readonly Lease[]): ControllerMessage[] {
  return [
    table({ kind: "snapshot-begin", revision, leases: leases.length }),
    table({ kind: "snapshot-part", upserts: leases }),
    table({ kind: "snapshot-end", revision, digest: formatDigest(digestOf(leases)) }),
  ];
}

export function delta(
  fromRevision: number,
  upserts: readonly Lease[],
  removes: readonly string[] = [],
): ControllerMessage {
  return table({ kind: "delta", fromRevision, toRevision: fromRevision + 1, upserts, removes });
}

export function registered(request: number, lease: Lease): ControllerMessage {
  return { kind: "registered", request, lease, ttlSeconds: 86_400, reused: false };
}
