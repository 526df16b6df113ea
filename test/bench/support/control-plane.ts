/**
 * What the rows of the control plane share: a real etcd on a memory disk, real controllers, a
 * fleet of simulated agents, and the checks that make a run valid.
 */
import { NO_ETCD_LEASE } from "../../../common/lease/lease.ts";
import type { EtcdStore } from "../../../controller/store/etcd-store.ts";
import type { Entry } from "../../../controller/store/store.ts";
import { until } from "../../../scripts/testbed/poll.ts";
import { ControllerProcess } from "../../support/controller-process.ts";
import { type EtcdCluster, startEtcd } from "../../support/etcd-server.ts";
import { openEtcdStore } from "../../support/etcd-store.ts";
import { leaseValue } from "../../support/lease-texts.ts";
import { TestPki } from "../../support/test-pki.ts";
import { Fleet } from "./fleet.ts";
import type { LineTls } from "./http2-line.ts";
import { InvalidRun, mustBe, type RunOptions } from "./row.ts";
import { Scrape } from "./scrape.ts";
import { OUT_OF_STEP } from "./simulated-agent.ts";

export interface ControlPlaneOptions {
  readonly agents: number;
  readonly tls?: boolean;
  readonly controllers?: number;
  /** How the suite was asked to run. */
  readonly bench: Pick<RunOptions, "profile" | "quick">;
}

/** 65,536 subnets of 24 bits. */
const CONFIG = '{"Network":"10.0.0.0/8","SubnetLen":24,"Backend":{"Type":"vxlan"}}';
const READY = { deadlineMs: 30_000 };
/** Five thousand handshakes and snapshots on a machine that does something else as well. */
const SETTLED = { deadlineMs: 180_000, everyMs: 20 };
const NEVER = new AbortController().signal;
const KEYS_PER_WRITE = 100;

export class ControlPlane implements AsyncDisposable {
  readonly etcd: EtcdCluster;
  readonly store: EtcdStore;
  readonly controllers: readonly ControllerProcess[];
  readonly fleet: Fleet;
  /** Warnings and lost streams spoil the figures, and a quick run has none worth the name. */
  readonly isStrict: boolean;
  readonly #parts: readonly AsyncDisposable[];

  private constructor(
    parts: Pick<ControlPlane, "etcd" | "store" | "controllers" | "fleet" | "isStrict">,
    ends: readonly AsyncDisposable[],
  ) {
    this.etcd = parts.etcd;
    this.store = parts.store;
    this.controllers = parts.controllers;
    this.fleet = parts.fleet;
    this.isStrict = parts.isStrict;
    this.#parts = ends;
  }

  /** Everything runs, a controller leads, no agent is connected yet. */
  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    const { profile } = options.bench;
    const nodeArgs = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
    const ends: AsyncDisposable[] = [];
    const kept = <T extends AsyncDisposable>(part: T): T => {
      ends.unshift(part);
      return part;
    };
    try {
      const etcd = kept(await startEtcd());
      const store = kept(await openEtcdStore(etcd.endpoints));
      await etcd.etcdctl("put", "/coreos.com/network/config", CONFIG);
      const pki = options.tls === true ? kept(await TestPki.create()) : undefined;
      const controllers: ControllerProcess[] = [];
      for (let index = 0; index < (options.controllers ?? 1); index += 1) {
        const name = `controller${index + 1}`;
        const tls = await pki?.files("controller", name);
        const secure = tls === undefined ? {} : { tls };
        const how = { etcd: etcd.endpoints, ...secure, nodeArgs };
        const controller = await ControllerProcess.start(name, how);
        kept({ [Symbol.asyncDispose]: () => controller.kill(profile ? "SIGTERM" : "SIGKILL") });
        controllers.push(controller);
      }
      const words = await Promise.all(
        Array.from({ length: options.agents }, async (_, index) => {
          const node = `node${index}`;
          return { node, publicIp: publicIp(index), tls: pki && (await agentTls(pki, node)) };
        }),
      );
      const fleet = kept(
        await Fleet.crew(
          words,
          controllers.map(({ address }) => address),
        ),
      );
      const isStrict = !options.bench.quick;
      const plane = new ControlPlane({ etcd, store, controllers, fleet, isStrict }, ends);
      await plane.ready();
      return plane;
    } catch (error) {
      await endAll(ends);
      throw error;
    }
  }

  get first(): ControllerProcess {
    const [first] = this.controllers;
    if (first === undefined) throw new Error("there is always a controller");
    return first;
  }

  /** Every controller is ready for agents, and one leads. */
  async ready(): Promise<void> {
    for (const controller of this.controllers) {
      await until(`${controller.name} is ready`, READY, async () => {
        return (await controller.httpStatus("/readyz")) === 200 || undefined;
      });
    }
    await until("a controller leads", READY, async () => {
      const scrapes = await this.scrapeControllers();
      return scrapes.some((scrape) => scrape.sum("twill_leader") === 1) || undefined;
    });
  }

  scrapeControllers(): Promise<readonly Scrape[]> {
    return Promise.all(this.controllers.map(({ adminUrl }) => Scrape.of(`${adminUrl}/metrics`)));
  }

  /** Leases nobody holds, as an operator or a real flannel leaves them; answers the revision. */
  async putLeases(from: number, count: number): Promise<number> {
    let revision = 0;
    for (let at = 0; at < count; at += KEYS_PER_WRITE) {
      const size = Math.min(KEYS_PER_WRITE, count - at);
      revision = await this.write(Array.from({ length: size }, (_, index) => from + at + index));
    }
    return revision;
  }

  /** Puts the leases of these numbers in one transaction; `version` makes them differ. */
  async write(numbers: readonly number[], version = 0): Promise<number> {
    const mac = `02:00:00:00:${hex(version >> 8)}:${hex(version)}`;
    const writes = numbers.map((number) => ({
      op: "put" as const,
      key: `subnets/${subnet(number)}`,
      value: leaseValue(publicIp(number), mac),
      etcdLease: NO_ETCD_LEASE,
    }));
    const outcome = await this.store.transact({ compares: [], writes, onConflict: [] }, NEVER);
    return outcome.revision;
  }

  async leases(): Promise<readonly Entry[]> {
    return (await this.store.list("subnets/", { signal: NEVER })).entries;
  }

  /** Until the controllers together have this many agents, and each of those has acknowledged. */
  async acknowledged(revision: number): Promise<void> {
    await until(`all agents at revision ${revision}`, SETTLED, async () => {
      const scrapes = await this.scrapeControllers();
      const streams = scrapes.reduce((sum, scrape) => sum + scrape.sum("twill_streams"), 0);
      const lowest = scrapes.map((scrape) => scrape.sum("twill_applied_revision_min"));
      return (streams === this.fleet.size && Math.min(...lowest) >= revision) || undefined;
    });
  }

  /**
   * Nobody lost a stream unasked, no log has a warning: else the figures say nothing. That tables
   * were equal all the time is asked of a quick run too.
   */
  async mustBeClean(
    expected: { readonly lost?: number; readonly log?: RegExp } = {},
  ): Promise<void> {
    const { lost } = await this.fleet.report();
    const wrong = Object.keys(lost).filter((reason) => reason.startsWith(OUT_OF_STEP));
    mustBe(wrong.length === 0, wrong.join("; "));
    for (const { name, log } of this.controllers) {
      mustBe(!log.includes('"event":"table.diverged"'), `${name} saw a table that had diverged`);
    }
    if (!this.isStrict) return;
    const count = Object.values(lost).reduce((sum, each) => sum + each, 0);
    mustBe(count <= (expected.lost ?? 0), `agents lost their streams: ${JSON.stringify(lost)}`);
    for (const { name, log } of this.controllers) {
      const [first, ...more] = warnings(log, expected.log);
      if (first !== undefined)
        throw new InvalidRun(`${name} warned, ${more.length + 1}x: ${first}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endAll(this.#parts);
  }
}

function warnings(log: string, expected: RegExp | undefined): readonly string[] {
  return log
    .split("\n")
    .filter((line) => /"level":"(warn|error)"/.test(line))
    .filter((line) => !line.includes('"event":"option.insecure"'))
    .filter((line) => !(expected?.test(line) ?? false));
}

async function endAll(parts: readonly AsyncDisposable[]): Promise<void> {
  for (const part of parts) await part[Symbol.asyncDispose]();
}

async function agentTls(pki: TestPki, node: string): Promise<LineTls> {
  const { certificatePem, keyPem } = await pki.pair("node", node);
  return { ca: pki.authority.certificatePem, cert: certificatePem, key: keyPem };
}

/** 100.64.0.0/10 has room for four million of them. */
function publicIp(index: number): string {
  return `100.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

/** Counted from the far end, where the leader does not begin to give out. */
function subnet(number: number): string {
  const block = 60_000 - number;
  return `10.${block >> 8}.${block & 255}.0-24`;
}

function hex(value: number): string {
  return (value & 255).toString(16).padStart(2, "0");
}
