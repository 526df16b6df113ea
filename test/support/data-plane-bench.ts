/** A whole data plane on a fake kernel with a manual clock: what the node is told in, kernel and reports out. */
import assert from "node:assert/strict";
import { ExtensionDriver } from "../../agent/extension/extension-driver.ts";
import { NO_MEMORY } from "../../agent/extension/extension-memory.ts";
import { PeerTable } from "../../agent/peers/peer-table.ts";
import { DataPlane } from "../../agent/reconcile/data-plane.ts";
import type { DataPlaneOptions } from "../../agent/reconcile/data-plane-options.ts";
import type { NodeInput, ReconcileReport } from "../../agent/reconcile/node-reconciler.ts";
import type { Lease } from "../../common/lease/lease.ts";
import { digestOf, formatDigest } from "../../common/lease/lease-digest.ts";
import type { FakeKernel } from "./fake-kernel.ts";
import { FakePacketFilter } from "./fake-packet-filter.ts";
import { FakeTunnelPort } from "./fake-tunnel-port.ts";
import { hostFacts, IDENTITY, networkConfig } from "./leases.ts";
import { LogCapture } from "./log-capture.ts";
import { ManualClock, settle } from "./manual-clock.ts";
import { machine } from "./reconcile-bench.ts";
import { seededRandom } from "./seeded-random.ts";

export class DataPlaneBench implements AsyncDisposable {
  readonly kernel: FakeKernel;
  readonly clock = new ManualClock();
  readonly log = new LogCapture();
  readonly table = new PeerTable();
  readonly reports: ReconcileReport[] = [];
  readonly tunnel = new FakeTunnelPort();
  readonly filter = new FakePacketFilter();
  readonly plane: DataPlane;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(kernel = machine(), options: Partial<DataPlaneOptions> = {}) {
    this.kernel = kernel;
    const { clock, log, table } = this;
    this.plane = new DataPlane(
      {
        ...{ kernel, clock, log, table, random: seededRandom(1) },
        tunnel: this.tunnel,
        extension: new ExtensionDriver({
          run: this.filter.run,
          clock,
          log,
          random: () => 0.5,
          memory: NO_MEMORY,
        }),
        sysctl: { write: async () => true },
        run: this.filter.run,
        watchRuleset: this.filter.watchRuleset,
      },
      {
        firewall: { masquerade: false, forwardRules: false, randomFully: true },
        ...{
          firewallResyncMs: 5_000,
          blackholeRoute: false,
          txChecksumOff: false,
          previousNetworks: [],
        },
        ...options,
      },
    );
    this.plane.onReport((report) => this.reports.push(report));
    this.#running = this.plane.run(this.#stop.signal).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) throw error;
    });
  }

  get report(): ReconcileReport | undefined {
    return this.reports.at(-1);
  }

  async node(words: Partial<NodeInput> = {}): Promise<void> {
    const input = {
      config: networkConfig(),
      host: hostFacts(),
      identity: IDENTITY,
      own: undefined,
    };
    this.plane.setNode({ ...input, ...words });
    await this.settled();
  }

  async snapshot(revision: number, leases: readonly Lease[]): Promise<void> {
    this.table.welcome("etcd-1");
    this.table.apply({ kind: "snapshot-begin", revision, leases: leases.length });
    this.table.apply({ kind: "snapshot-part", upserts: leases });
    const digest = formatDigest(digestOf(leases));
    const outcome = this.table.apply({ kind: "snapshot-end", revision, digest });
    assert.equal(outcome.kind, "changed");
    this.plane.setPeers(outcome.change);
    await this.settled();
  }

  /** The peers' leases as the controllers tell them now. */
  async delta(upserts: readonly Lease[]): Promise<void> {
    const { revision } = this.table.position;
    const words = { fromRevision: revision, toRevision: revision + 1, removes: [] };
    const outcome = this.table.apply({ kind: "delta", ...words, upserts });
    assert.equal(outcome.kind, "changed");
    this.plane.setPeers(outcome.change);
    await this.settled();
  }

  async settled(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) await settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
