/** The agents of one fleet process, and who has reached what. */
import { nowMs } from "./clock.ts";
import type { Histogram } from "./fleet-orders.ts";
import { type AgentListener, type AgentWords, SimulatedAgent } from "./simulated-agent.ts";

interface Mark {
  readonly revision: number;
  readonly atMs: number;
  readonly lags: Histogram;
  left: number;
  readonly done: (lags: Histogram) => void;
}

interface Member {
  readonly agent: SimulatedAgent;
  /** What it applied lately, for marks that are heard of later than the change. */
  readonly applied: { readonly revision: number; readonly atMs: number }[];
  /** Index of the first mark it has not reached. */
  nextMark: number;
  /** It has acknowledged on its present stream. */
  isSettled: boolean;
}

interface Wish {
  readonly isMet: () => boolean;
  readonly done: () => void;
}

const REMEMBERED = 256;
const HEARTBEAT_SLICES = 50;
const HEARTBEAT_MS = 9000;
const LOOK_MS = 5;

export class Crew implements AgentListener {
  readonly #members = new Map<SimulatedAgent, Member>();
  readonly #marks: Mark[] = [];
  readonly #wishes = new Set<Wish>();
  /** Streams that ended unasked, by reason. */
  readonly ends: Record<string, number> = {};

  constructor(words: readonly AgentWords[], controllers: readonly string[]) {
    for (const each of words) {
      const agent = new SimulatedAgent(each, controllers, this);
      this.#members.set(agent, { agent, applied: [], nextMark: 0, isSettled: false });
    }
    this.#beat();
    setInterval(() => this.#look(), LOOK_MS);
  }

  get agents(): Iterable<SimulatedAgent> {
    return this.#members.keys();
  }

  connect(): Promise<void> {
    for (const agent of this.agents) agent.connect();
    return this.settled(1);
  }

  settled(revision: number): Promise<void> {
    const members = [...this.#members.values()];
    return this.#wish(() =>
      members.every(({ agent, isSettled }) => isSettled && agent.revision >= revision),
    );
  }

  register(): Promise<void> {
    for (const agent of this.agents) agent.register();
    return this.#wish(() => [...this.agents].every(({ lease }) => lease !== ""));
  }

  mark(revision: number, atMs: number): Promise<Histogram> {
    return new Promise((done) => {
      const mark = { revision, atMs, lags: {}, left: this.#members.size, done };
      this.#marks.push(mark);
      for (const member of this.#members.values()) this.#catchUp(member, mark);
    });
  }

  applied(agent: SimulatedAgent): void {
    const member = this.#members.get(agent);
    if (member === undefined) return;
    member.isSettled = true;
    const now = { revision: agent.revision, atMs: nowMs() };
    member.applied.push(now);
    if (member.applied.length > 2 * REMEMBERED) member.applied.splice(0, REMEMBERED);
    for (;;) {
      const mark = this.#marks[member.nextMark];
      if (mark === undefined || mark.revision > now.revision) return;
      this.#reached(member, mark, now.atMs);
    }
  }

  lost(agent: SimulatedAgent, reason: string): void {
    this.ends[reason] = (this.ends[reason] ?? 0) + 1;
    const member = this.#members.get(agent);
    if (member !== undefined) member.isSettled = false;
  }

  #catchUp(member: Member, mark: Mark): void {
    if (this.#marks[member.nextMark] !== mark) return;
    const reached = member.applied.find(({ revision }) => revision >= mark.revision);
    if (reached !== undefined) this.#reached(member, mark, reached.atMs);
  }

  #reached(member: Member, mark: Mark, atMs: number): void {
    const lag = Math.max(0, Math.round(atMs - mark.atMs));
    mark.lags[lag] = (mark.lags[lag] ?? 0) + 1;
    member.nextMark += 1;
    mark.left -= 1;
    if (mark.left === 0) mark.done(mark.lags);
  }

  #wish(isMet: () => boolean): Promise<void> {
    return new Promise((done) => {
      this.#wishes.add({ isMet, done });
    });
  }

  #look(): void {
    for (const wish of this.#wishes) {
      if (!wish.isMet()) continue;
      this.#wishes.delete(wish);
      wish.done();
    }
  }

  /** Heartbeats, spread over their period. */
  #beat(): void {
    const agents = [...this.agents];
    const size = Math.ceil(agents.length / HEARTBEAT_SLICES);
    let slice = 0;
    setInterval(() => {
      for (const agent of agents.slice(slice * size, (slice + 1) * size)) agent.heartbeat();
      slice = (slice + 1) % HEARTBEAT_SLICES;
    }, HEARTBEAT_MS / HEARTBEAT_SLICES);
  }
}
