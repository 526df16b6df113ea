/**
 * Three controllers, a few nodes, an operator and a real flannel on one store in memory, under
 * bad weather, for a minute or two of simulated time; then the weather ends and everything
 * must be well again. One seed, one history: a run can be played again exactly.
 */
import { setMaxListeners } from "node:events";
import { TaskGroup } from "../../../common/async/task-group.ts";
import type { Subnets } from "../../../common/lease/lease.ts";
import { LeaseService } from "../../../controller/lease/lease-service.ts";
import { runElection } from "../../../controller/store/campaign.ts";
import type { ChangeSet, Transaction } from "../../../controller/store/store.ts";
import { ViewService } from "../../../controller/view/view-service.ts";
import { leaseValue, vxlanAttrs } from "../lease-texts.ts";
import { LogCapture } from "../log-capture.ts";
import { ManualClock, settle } from "../manual-clock.ts";
import { MemoryStore } from "../memory-store.ts";
import { randomBelow, seededRandom } from "../seeded-random.ts";
import { type Told, violations } from "./lease-history.ts";
import { SimulatedProcess } from "./process.ts";
import { type Ledgers, SimulatedLink, type Weather } from "./simulated-link.ts";

export interface SimulationOptions {
  readonly seed: number;
  /** Faults and requests, each followed by up to two seconds. */
  readonly steps?: number;
  /** A planted bug. */
  readonly tamper?: (transaction: Transaction) => Transaction;
}

export interface Outcome {
  /** Against the rules; empty: all is well. */
  readonly violations: readonly string[];
  /** What was done, for the reader of a failure. */
  readonly story: readonly string[];
  readonly revisions: number;
  readonly registrations: number;
}

const REPLICAS = 3;
const NODES = 4;
const NODE_TTL_SECONDS = 30;
/** Eight subnets: contention is the rule. */
const CONFIG =
  '{"Network":"10.5.0.0/16","SubnetMin":"10.5.1.0","SubnetMax":"10.5.8.0","Backend":{"Type":"vxlan"}}';
const FAIR: Weather = { latencyMs: 40, refused: 0, unanswered: 0, late: 0 };
/** After the weather: a leader's TTL, back-offs, and the views' comparison with a listing. */
const RECOVERY_MS = 100_000;
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

export async function simulate(options: SimulationOptions): Promise<Outcome> {
  const simulation = new Simulation(options);
  try {
    return await simulation.run(options.steps ?? 60);
  } finally {
    await simulation.end();
  }
}

interface Replica {
  readonly process: SimulatedProcess;
  readonly service: LeaseService;
  readonly views: ViewService;
  readonly group: TaskGroup;
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #random: () => number;
  readonly #world = new ManualClock();
  readonly #store = new MemoryStore(this.#world);
  readonly #ledgers: Ledgers = { authors: new Map(), candidacies: new Map() };
  readonly #changes: ChangeSet[] = [];
  readonly #atMs = new Map<number, number>();
  readonly #told: Told[] = [];
  readonly #story: string[] = [];
  readonly #held = new Map<string, Subnets>();
  /** Node -> the newest of its requests that was answered. */
  readonly #answered = new Map<string, number>();
  #requests = 0;
  readonly #recorder = new TaskGroup();
  readonly #dead: Replica[] = [];
  #replicas: Replica[] = [];
  #weather: Weather = FAIR;
  #born = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
  }

  async run(steps: number): Promise<Outcome> {
    this.#recorder.spawn(async (signal) => {
      for await (const change of this.#store.watch("", 1, signal)) {
        this.#changes.push(change);
        this.#atMs.set(change.revision, this.#world.monotonicMs());
      }
    });
    this.#store.put("config", CONFIG);
    this.#replicas = Array.from({ length: REPLICAS }, () => this.#newReplica());
    await this.#pass(5000);
    for (let step = 0; step < steps; step += 1) {
      this.#disturb();
      await this.#pass(this.#below(2000));
    }
    const fairFromMs = this.#world.monotonicMs() + RECOVERY_MS;
    const unhealed = await this.#heal();
    const observed = { changes: this.#changes, atMs: this.#atMs, fairFromMs };
    const history = { ...observed, ledgers: this.#ledgers, told: this.#told };
    return {
      violations: [...violations(history), ...unhealed],
      story: this.#story,
      revisions: this.#store.revision,
      registrations: this.#told.length,
    };
  }

  async end(): Promise<void> {
    const all = [...this.#replicas, ...this.#dead];
    for (const { process, group } of all) {
      process.kill();
      group.abort(new Error("the simulation is over"));
    }
    this.#recorder.abort();
    await this.#pass(60_000);
    await Promise.all(all.map(({ group }) => group.join().catch(() => undefined)));
    await this.#recorder.join();
    await this.#store.close();
  }

  #newReplica(): Replica {
    this.#born += 1;
    const process = new SimulatedProcess(`controller${this.#born}`, this.#world);
    const random = seededRandom(this.#below(2 ** 31));
    const { tamper } = this.#options;
    const store = new SimulatedLink({
      ...{ store: this.#store, world: this.#world, process, random, ledgers: this.#ledgers },
      weather: () => this.#weather,
      ...(tamper === undefined ? {} : { tamper }),
    });
    const parts = { store, clock: process, log: new LogCapture(), random };
    const views = new ViewService(parts);
    const service = new LeaseService({ ...parts, views, ttlSeconds: NODE_TTL_SECONDS });
    const group = new TaskGroup(process.killed);
    const election = { ...parts, value: process.name, ttlSeconds: 10 };
    group.spawn((signal) => views.run(signal));
    group.spawn((signal) => runElection(election, (leading) => service.lead(leading), signal));
    return { process, service, views, group };
  }

  /** One random fault or request. */
  #disturb(): void {
    const deeds: readonly (() => void)[] = [
      ...Array.from({ length: 10 }, () => () => this.#register()),
      ...[() => this.#registerAll(), () => this.#registerAll()],
      ...[() => this.#release(), () => this.#stopOrContinue(), () => this.#stopOrContinue()],
      ...[() => this.#killAndReplace(), () => this.#jump(), () => this.#changeWeather()],
      ...[() => this.#changeWeather(), () => this.#deleteLease(), () => this.#deposeLeader()],
      ...[() => this.#reserve(), () => this.#foreign(), () => this.#compact()],
    ];
    deeds[this.#below(deeds.length)]?.();
  }

  #register(): void {
    const n = this.#below(NODES);
    // Everybody who is convinced to lead is asked: agents hear of leaders late.
    for (const { service, process } of this.#replicas.filter((each) => each.service.isLeading)) {
      this.#tell(`node-${n} registers with ${process.name}`);
      void this.#registerAt(service, n);
    }
  }

  /** As after a power cut: what is asked together may be written together. */
  #registerAll(): void {
    for (const { service, process } of this.#replicas.filter((each) => each.service.isLeading)) {
      this.#tell(`every node registers with ${process.name}`);
      for (let n = 0; n < NODES; n += 1) void this.#registerAt(service, n);
    }
  }

  async #registerAt(service: LeaseService, n: number): Promise<boolean> {
    const node = `node-${n}`;
    const attrs = vxlanAttrs(`10.99.0.${n}`);
    const previous = this.#held.get(node);
    this.#requests += 1;
    const request = this.#requests;
    const answer = await service.register({ node, attrs, previous }, NEVER).catch(() => undefined);
    // As the protocol has it: an answer to an earlier request says nothing any more.
    if (request < (this.#answered.get(node) ?? 0)) return false;
    this.#answered.set(node, request);
    if (answer?.kind === "refused" && answer.code === "SUBNET_TAKEN") this.#held.delete(node);
    if (answer?.kind !== "registered") return false;
    this.#held.set(node, answer.lease.subnets);
    const key = `subnets/${answer.lease.key}`;
    this.#told.push({ node, key, revision: this.#store.revision });
    return true;
  }

  #release(): void {
    const node = `node-${this.#below(NODES)}`;
    this.#tell(`${node} gives its lease back`);
    for (const { service } of this.#replicas) {
      if (service.isLeading) void service.release(node, NEVER).catch(() => undefined);
    }
  }

  #stopOrContinue(): void {
    const { process } = this.#any();
    this.#tell(`${process.name} is ${process.isStopped ? "continued" : "stopped"}`);
    if (process.isStopped) process.continue();
    else process.stop();
  }

  #killAndReplace(): void {
    const index = this.#below(REPLICAS);
    const old = this.#replicas[index];
    if (old === undefined) return;
    this.#tell(`${old.process.name} is killed, another starts`);
    old.process.kill();
    this.#dead.push(old);
    this.#replicas[index] = this.#newReplica();
  }

  #jump(): void {
    const { process } = this.#any();
    const ms = (this.#random() - 0.5) * 60_000;
    this.#tell(`the wall clock of ${process.name} jumps by ${Math.round(ms)} ms`);
    process.jumpWall(ms);
  }

  #changeWeather(): void {
    const share = (): number => (this.#random() < 0.5 ? 0 : this.#random() * 0.3);
    const latencyMs = this.#random() < 0.3 ? 3000 : 100;
    this.#weather = { latencyMs, refused: share(), unanswered: share(), late: share() };
    this.#tell(`the weather is ${JSON.stringify(this.#weather)}`);
  }

  /** An operator takes a node's lease away, but never a reservation. */
  #deleteLease(): void {
    const key = `subnets/10.5.${1 + this.#below(8)}.0-24`;
    if (this.#store.get(key)?.etcdLease === "0") return;
    this.#tell(`the operator deletes ${key}`);
    this.#store.delete(key);
  }

  /** What a follower does that takes a living leader for dead, or an operator by hand. */
  #deposeLeader(): void {
    const own = [...this.#ledgers.candidacies.keys()].filter((key) => this.#store.get(key));
    const key = own[this.#below(Math.max(own.length, 1))];
    if (key === undefined) return;
    this.#tell(`${key} of ${this.#ledgers.candidacies.get(key)} is deleted`);
    this.#store.delete(key);
  }

  #reserve(): void {
    const key = "subnets/10.5.8.0-24";
    if (this.#store.get(key) !== undefined) return;
    this.#tell(`the operator reserves ${key}`);
    this.#store.put(key, leaseValue("10.97.0.1"));
  }

  /** A real flannel: creates the key only if it is not there. */
  #foreign(): void {
    const key = `subnets/10.5.${1 + this.#below(8)}.0-24`;
    const isHere = this.#changes.some(({ puts }) =>
      puts.some(({ value }) => value.includes("10.98.")),
    );
    if (isHere || this.#store.get(key) !== undefined) return;
    this.#tell(`a real flannel takes ${key}`);
    this.#store.put(key, leaseValue("10.98.0.1"));
  }

  #compact(): void {
    this.#tell("etcd is compacted");
    this.#store.compact(this.#store.revision);
  }

  /** The weather ends: every node gets a lease, every view is equal to the store. */
  async #heal(): Promise<string[]> {
    this.#tell("the weather ends");
    this.#weather = FAIR;
    for (const { process } of this.#replicas) process.continue();
    await this.#pass(RECOVERY_MS);
    const found: string[] = [];
    for (let n = 0; n < NODES; n += 1) {
      if (!(await this.#isServed(n))) found.push(`node-${n} gets no lease after the weather`);
    }
    await this.#pass(5000);
    const listing = await this.#store.list("subnets/", { signal: NEVER });
    const stored = listing.entries.map(({ key }) => key.slice("subnets/".length)).join();
    for (const { views, process } of this.#replicas) {
      const seen = [...views.view.table.rows.values()].map(({ lease }) => lease.key);
      if (seen.toSorted().join() !== stored) found.push(`${process.name} sees ${seen.join()}`);
    }
    return found;
  }

  async #isServed(n: number): Promise<boolean> {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const leader = this.#replicas.find(({ service }) => service.isLeading);
      const answer = leader === undefined ? false : this.#registerAt(leader.service, n);
      await this.#pass(2000);
      if (await answer) return true;
    }
    return false;
  }

  #any(): Replica {
    const replica = this.#replicas[this.#below(REPLICAS)];
    if (replica === undefined) throw new Error("there are always replicas");
    return replica;
  }

  #below(limit: number): number {
    return randomBelow(this.#random, limit);
  }

  async #pass(ms: number): Promise<void> {
    await this.#world.advance(ms);
    await settle();
  }

  #tell(what: string): void {
    this.#story.push(`${Math.round(this.#world.monotonicMs())} ms: ${what}`);
  }
}
