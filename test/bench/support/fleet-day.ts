/**
 * A day of a fleet in virtual time: nodes join, leave, restart and move, controllers fail over.
 * Every decision is made by the pure parts that the daemons run (allocation, transactions, the
 * table and its history, delta encoding, one agent's table and plan); only connections and the
 * store are imagined. What each component has to do is counted, and what the pure parts cost is
 * measured. One seed, one day.
 */
import { makePlanner } from "../../../agent/plan/make-planner.ts";
import { PlanBook } from "../../../agent/plan/plan-book.ts";
import { parseNetworkConfig } from "../../../common/config/parse-network-config.ts";
import type { Lease, LeaseAttrs } from "../../../common/lease/lease.ts";
import { digestOf } from "../../../common/lease/lease-digest.ts";
import { silentLogger } from "../../../common/log.ts";
import { decide } from "../../../controller/lease/decide.ts";
import { Ledger } from "../../../controller/lease/ledger.ts";
import { MinHeap } from "../../../controller/lease/min-heap.ts";
import {
  needsEtcdLease,
  type PlannedWrite,
  planRegistration,
  planRelease,
} from "../../../controller/lease/transaction.ts";
import type { Entry } from "../../../controller/store/store.ts";
import { nextFor, type Place } from "../../../controller/view/feed.ts";
import { LeaseView } from "../../../controller/view/lease-view.ts";
import { encodeDelta } from "../../../controller/view/stream-frames.ts";
import { vxlanAttrs } from "../../support/lease-texts.ts";
import { numberedMac, plannerInput } from "../../support/leases.ts";
import { randomBelow, seededRandom } from "../../support/seeded-random.ts";
import { nowMs } from "./clock.ts";
import { mustBe } from "./row.ts";

const CONFIG = '{"Network":"10.0.0.0/8","SubnetLen":26,"Backend":{"Type":"vxlan"}}';
const DAY_S = 86_400;
/** All nodes come within this at the beginning. */
const COLD_START_S = 60;
/** Times a day and node. */
const RATES = { replaced: 0.1, restarts: 0.3, moves: 0.05 } as const;
/** Under load controllers wait this long for company before they tell agents (hub.ts). */
const WINDOW_S = 0.25;
const FAILOVERS = 4;
const CONTROLLERS = 3;
const FENCE = { key: "twill/election/1", token: 2 };
const TIMES = {
  heartbeatS: 10,
  bookmarkS: 30,
  /** A third of 24 hours, and a tenth less on the average (lease-keeper.ts). */
  keepAliveS: (DAY_S / 3) * 0.9,
} as const;

type Event =
  | { readonly kind: "join" | "restart" | "move" | "replace"; readonly node: string }
  | { readonly kind: "failover" };

interface Timed {
  readonly atS: number;
  readonly event: Event;
}

/** What a component had to do in the day, by name. */
export type DayCounts = Readonly<Record<string, number>>;

export class FleetDay {
  readonly #nodes: number;
  readonly #random: () => number;
  readonly #view = new LeaseView(silentLogger);
  readonly #ledger: Ledger;
  readonly #agenda = new MinHeap<Timed>(({ atS }) => atS);
  readonly #keys = new Map<string, Entry>();
  readonly #addresses = new Map<string, number>();
  readonly #cpuMs = { decide: 0, view: 0, agent: 0 };
  readonly #counts = {
    "etcd transactions": 0,
    "etcd leases granted": 0,
    "bytes watched by each controller": 0,
    "bytes to each agent": 0,
    "deltas to each agent": 0,
    "streams resumed": 0,
    "kernel objects changed on each node": 0,
  };
  #book: PlanBook | undefined;
  #place: Place | undefined;
  #windowEndS = 0;
  #revision = 2;
  #born = 0;
  #granted = 0;
  #moved = 0;

  constructor(options: { readonly nodes: number; readonly seed: number }) {
    this.#nodes = options.nodes;
    this.#random = seededRandom(options.seed);
    const parsed = parseNetworkConfig(CONFIG);
    mustBe(parsed.kind === "valid", "the simulation's own config is invalid");
    this.#view.load({ revision: this.#revision, entries: [entry("config", CONFIG, 1)] }, "sim");
    this.#ledger = new Ledger(this.#view.table, this.#config);
    this.#view.onChange(({ change }) => this.#ledger.observe(change));
  }

  run(): DayCounts {
    this.#fillAgenda();
    for (let next = this.#agenda.pop(); next !== undefined; next = this.#agenda.pop()) {
      if (next.atS >= this.#windowEndS) {
        this.#flush();
        this.#windowEndS = next.atS + WINDOW_S;
      }
      this.#take(next.event, next.atS);
    }
    this.#flush();
    this.#check();
    const agents = this.#nodes;
    return {
      ...this.#counts,
      "etcd keep-alives": (agents * DAY_S) / TIMES.keepAliveS,
      "heartbeats heard": (agents * DAY_S) / TIMES.heartbeatS,
      "bookmarks sent": (agents * DAY_S) / TIMES.bookmarkS,
      "stream writes": agents * this.#counts["deltas to each agent"],
      "ms deciding": this.#cpuMs.decide,
      "ms in the view": this.#cpuMs.view,
      "ms planning on each node": this.#cpuMs.agent,
    };
  }

  #fillAgenda(): void {
    for (let n = 0; n < this.#nodes; n += 1) {
      const node = this.#newNode();
      this.#at(this.#random() * COLD_START_S, { kind: "join", node });
      this.#perhaps(RATES.restarts, { kind: "restart", node });
      this.#perhaps(RATES.moves, { kind: "move", node });
      this.#perhaps(RATES.replaced, { kind: "replace", node });
    }
    for (let n = 0; n < FAILOVERS; n += 1) this.#perhaps(1, { kind: "failover" });
  }

  #perhaps(share: number, event: Event): void {
    if (this.#random() >= share) return;
    this.#at(COLD_START_S + this.#random() * (DAY_S - COLD_START_S), event);
  }

  #at(atS: number, event: Event): void {
    this.#agenda.push({ atS, event });
  }

  #take(event: Event, atS: number): void {
    switch (event.kind) {
      case "join":
        this.#register(event.node);
        return;
      case "restart":
        // Its lease stands as asked: any replica answers from its table.
        this.#counts["streams resumed"] += 1;
        return;
      case "move":
        this.#addresses.set(event.node, this.#nextAddress());
        this.#register(event.node);
        return;
      case "replace":
        this.#release(event.node);
        this.#at(atS + randomBelow(this.#random, 300), { kind: "join", node: this.#newNode() });
        return;
      case "failover":
        this.#counts["streams resumed"] += Math.round(this.#nodes / CONTROLLERS);
    }
  }

  #register(node: string): void {
    const fromMs = nowMs();
    const request = { node, attrs: this.#attrs(node), previous: undefined };
    const decision = decide(request, this.#ledger, this.#config);
    // A node that moves after it was replaced asks nobody any more.
    if (decision.kind === "reuse") return;
    if (decision.kind === "refuse") throw new Error(decision.message);
    this.#granted += Number(needsEtcdLease(decision));
    const stored = this.#ledger.record(node);
    const registration = { node, decision, stored, now: "2026-01-01T00:00:00.000Z" };
    const planned = planRegistration(registration, FENCE, String(this.#granted));
    this.#counts["etcd leases granted"] = this.#granted;
    this.#cpuMs.decide += nowMs() - fromMs;
    this.#write(node, planned);
  }

  #release(node: string): void {
    const held = this.#ledger.held(node);
    const stored = this.#ledger.record(node);
    if (held === undefined || stored === undefined) return;
    this.#write(node, planRelease(held, stored, FENCE, "2026-01-01T00:00:00.000Z"));
  }

  #write(node: string, planned: PlannedWrite): void {
    this.#counts["etcd transactions"] += 1;
    this.#ledger.hold(node, planned.write);
    this.#revision += 1;
    const revision = this.#revision;
    const puts: Entry[] = [];
    const deletes: string[] = [];
    for (const write of planned.transaction.writes) {
      if (write.op === "delete") {
        this.#keys.delete(write.key);
        deletes.push(write.key);
        continue;
      }
      const { key, value, etcdLease } = write;
      const createRevision = this.#keys.get(key)?.createRevision ?? revision;
      const put = { key, value, etcdLease, createRevision, modRevision: revision };
      this.#keys.set(key, put);
      puts.push(put);
    }
    this.#ledger.confirm(node, revision);
    const watched = [
      ...puts.map(({ key, value }) => key.length + value.length),
      deletes.length * 32,
    ];
    this.#counts["bytes watched by each controller"] += watched.reduce(
      (sum, each) => sum + each,
      0,
    );
    const fromMs = nowMs();
    this.#view.apply({ revision, puts, deletes });
    this.#cpuMs.view += nowMs() - fromMs;
    this.#plan();
  }

  /** Every agent is sent the same bytes: what the window has gathered. */
  #flush(): void {
    const fromMs = nowMs();
    const { chain } = this.#view;
    this.#place ??= { sequence: chain.head.sequence, revision: this.#revision };
    for (let next = nextFor(this.#place, chain); next.kind === "delta"; ) {
      this.#place = next.place;
      this.#counts["deltas to each agent"] += 1;
      this.#counts["bytes to each agent"] += encodeDelta(next.delta).length;
      next = nextFor(this.#place, chain);
    }
    this.#cpuMs.view += nowMs() - fromMs;
  }

  /** One agent's side: what the change means for its kernel. */
  #plan(): void {
    const rows = this.#view.table.rows;
    const own = [...take(rows.values(), 1)][0]?.lease;
    if (own === undefined) return;
    this.#book ??= this.#freshBook(own);
    const { head } = this.#view.chain;
    const fromMs = nowMs();
    const upserts = head.upserts.map(({ lease }) => lease);
    const delta = this.#book.update(upserts, head.removes);
    this.#cpuMs.agent += nowMs() - fromMs;
    this.#counts["kernel objects changed on each node"] += delta.puts.length + delta.removes.length;
  }

  #freshBook(own: Lease): PlanBook {
    const made = makePlanner(plannerInput(this.#config));
    if (made.kind === "refused") throw new Error(made.reason);
    return new PlanBook(made.planner, own);
  }

  /** No subnet has two holders, and the running digest is that of the table. */
  #check(): void {
    const { rows, digest } = this.#view.table;
    const leases = [...rows.values()].map(({ lease }) => lease);
    mustBe(new Set(leases.map(({ node }) => node)).size === leases.length, "a node has two leases");
    mustBe(digestOf(leases) === digest, "the running digest is not the table's");
    mustBe(leases.length >= this.#nodes * 0.99, `${leases.length} leases of ${this.#nodes} nodes`);
  }

  get #config() {
    const { accepted } = this.#view.config;
    if (accepted === undefined) throw new Error("the config was not accepted");
    return accepted.config;
  }

  #newNode(): string {
    this.#born += 1;
    return `node-${this.#born}`;
  }

  #nextAddress(): number {
    this.#moved += 1;
    return 4 * this.#moved + 1;
  }

  #attrs(node: string): LeaseAttrs {
    const number = this.#addresses.get(node) ?? Number(node.slice(5)) * 4;
    const ip = `100.${64 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
    return vxlanAttrs(ip, numberedMac(Number(node.slice(5))));
  }
}

function entry(key: string, value: string, revision: number): Entry {
  return { key, value, etcdLease: "0", createRevision: revision, modRevision: revision };
}

function* take<T>(items: Iterable<T>, count: number): Generator<T> {
  let left = count;
  for (const item of items) {
    if (left <= 0) return;
    left -= 1;
    yield item;
  }
}
