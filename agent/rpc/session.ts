/**
 * The agent's one conversation with the controllers: picks one, holds the stream, keeps the
 * peer table and the lease by what it says, says what was applied, and begins again when it
 * ends. Nothing here touches the kernel; what is heard goes out as SessionEvents, cheaply.
 *
 * State        | means                                   | leaves by
 * -------------|-----------------------------------------|---------------------------------
 * waiting      | no stream; the next attempt is timed    | its time
 * connecting   | opened, Hello sent, not welcomed        | Welcome; failure; 3 to 10 s
 * connected    | welcomed                                | failure; silence; a gap; shutdown
 */
import type { Clock } from "../../common/async/clock.ts";
import { kickOrTimeout } from "../../common/async/kick-or-timeout.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import { Trigger } from "../../common/async/trigger.ts";
import { TwillError } from "../../common/errors.ts";
import type { Answer, Query } from "../../proto/gen/twill/v1/node.ts";
import type { Claim, LeaseHolder, LeaseNews } from "../lease/lease-holder.ts";
import type { PeerTable, TableChange } from "../peers/peer-table.ts";
import type { ControllerChoice } from "./controller-choice.ts";
import type {
  ConfigText,
  ControllerMessage,
  Refused,
  Registered,
  Welcome,
} from "./controller-message.ts";
import type { AppliedTable, NodeReport, Outbox } from "./outbox.ts";
import { SilenceGuard } from "./silence.ts";
import type { ControllerStream } from "./sync-stream.ts";

/** What is heard. Listeners store and kick; they neither wait nor throw. */
export interface SessionEvents {
  /** An attempt is about to be made. */
  readonly connecting: (endpoint: string) => void;
  readonly connected: (welcome: Welcome, endpoint: string) => void;
  /** A stream or an attempt ended; `wasConnected` tells which. */
  readonly disconnected: (error: TwillError, endpoint: string, wasConnected: boolean) => void;
  readonly leader: (leader: string) => void;
  readonly config: (config: ConfigText) => void;
  readonly table: (change: TableChange) => void;
  /** `before`: key of the lease until now. */
  readonly registered: (answer: Registered, news: LeaseNews, before: string | undefined) => void;
  readonly refused: (refusal: Refused) => void;
  readonly leaseLost: (key: string) => void;
  /** An operator's question; answered by `Session.answer` if the stream is still the same. */
  readonly query: (query: Query) => void;
}

export interface SessionOptions {
  readonly node: string;
  readonly version: string;
  /** Random, of this process: it may take its own stream over from another address. */
  readonly process: string;
  readonly features: readonly string[];
  /** Opens a stream; failures are TwillErrors. */
  readonly open: (endpoint: string) => Promise<ControllerStream>;
  readonly choice: ControllerChoice;
  readonly table: PeerTable;
  readonly lease: LeaseHolder;
  readonly outbox: Outbox;
  readonly events: SessionEvents;
  readonly clock: Clock;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #wake = new Trigger();
  readonly #renewal = new Trigger();
  /** When the present stream was welcomed. */
  #welcomedAtMs: number | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  get isConnected(): boolean {
    return this.#welcomedAtMs !== undefined;
  }

  /** What this node wants to hold; registered when it is new, on every stream. */
  claim(claim: Claim): void {
    this.#options.lease.claim(claim, this.#options.clock.monotonicMs());
    this.#wake.kick();
  }

  /** The kernel equals this table now; acknowledged on the stream it belongs to. */
  applied(applied: AppliedTable): void {
    this.#options.outbox.applied(applied);
    this.#wake.kick();
  }

  report(report: NodeReport): void {
    this.#options.outbox.report(report);
    this.#wake.kick();
  }

  /** What the claim is judged by has changed (the config): asks again with the same claim. */
  claimAgain(): void {
    this.#options.lease.claimAgain(this.#options.clock.monotonicMs());
    this.#wake.kick();
  }

  answer(answer: Answer): void {
    this.#options.outbox.answer(answer);
    this.#wake.kick();
  }

  /** Gives the lease back for good; the answer is the table without it. */
  release(): void {
    this.#options.lease.giveUp();
    this.#options.outbox.release();
    this.#wake.kick();
  }

  /** Ends the present stream and opens another: its connection stands on what is gone. */
  renew(): void {
    if (this.isConnected) this.#renewal.kick();
  }

  /** Holds a stream after another until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { choice, clock, events } = this.#options;
    for (;;) {
      const { endpoint, delayMs, patienceMs } = choice.next();
      await clock.sleep(delayMs, signal);
      events.connecting(endpoint);
      try {
        await this.#hold(endpoint, patienceMs, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#ended(endpoint, TwillError.from(error));
      }
    }
  }

  /** One stream from Hello to its end, which is always a throw. */
  async #hold(endpoint: string, patienceMs: number, signal: AbortSignal): Promise<void> {
    const { clock, open } = this.#options;
    const stream = await open(endpoint);
    const guard = new SilenceGuard(clock, endpoint, patienceMs);
    const group = new TaskGroup(signal);
    const close = (): void => stream.close();
    group.signal.addEventListener("abort", close, { once: true });
    try {
      group.spawn(() => this.#read(stream, guard));
      group.spawn((inner) => this.#write(stream, inner));
      group.spawn((inner) => guard.run(inner));
      group.spawn((inner) => this.#untilRenewal(endpoint, inner));
      await group.join();
    } finally {
      stream.close();
    }
  }

  async #untilRenewal(endpoint: string, signal: AbortSignal): Promise<void> {
    await this.#renewal.wait(signal);
    const what = `the stream with controller ${endpoint} stood on an address that is gone`;
    throw new TwillError("CONTROLLER_UNAVAILABLE", what, { context: { endpoint } });
  }

  #ended(endpoint: string, error: TwillError): void {
    const { choice, clock, events, lease, outbox } = this.#options;
    const welcomedAtMs = this.#welcomedAtMs;
    this.#welcomedAtMs = undefined;
    lease.streamClosed();
    outbox.streamClosed();
    if (welcomedAtMs !== undefined) choice.ended(endpoint, clock.monotonicMs() - welcomedAtMs);
    events.disconnected(error, endpoint, welcomedAtMs !== undefined);
  }

  async #read(stream: ControllerStream, guard: SilenceGuard): Promise<void> {
    for await (const message of stream.messages()) {
      guard.heard();
      if (message.kind === "welcome") guard.welcomed(message.heartbeatMs);
      this.#receive(message, stream.endpoint);
    }
  }

  /** Hello, then whatever is due, one message at a time. */
  async #write(stream: ControllerStream, signal: AbortSignal): Promise<void> {
    const { clock, lease, outbox, node, version, process, features, table } = this.#options;
    const value = { node, version, process, features: [...features], ...table.position };
    await stream.send({ $case: "hello", value });
    while (!signal.aborted) {
      const nowMs = clock.monotonicMs();
      const asking = lease.take(nowMs);
      const next = outbox.next(nowMs);
      if (asking !== undefined) await stream.send({ $case: "register", value: asking });
      if (next.kind === "send") await stream.send(next.body);
      else if (asking === undefined) {
        const untilMs = Math.min(next.untilMs, lease.dueAtMs());
        await kickOrTimeout(this.#wake, untilMs - nowMs, clock, signal);
      }
    }
  }

  #receive(message: ControllerMessage, endpoint: string): void {
    if (this.#welcomedAtMs === undefined && message.kind !== "unknown") {
      if (message.kind !== "welcome") throw violation(endpoint, `${message.kind} before Welcome`);
      this.#welcome(message, endpoint);
      return;
    }
    switch (message.kind) {
      case "unknown":
        return;
      case "welcome":
        throw violation(endpoint, "Welcome came twice");
      case "config":
        this.#options.events.config(message);
        return;
      case "query":
        this.#options.events.query(message.query);
        return;
      case "registered":
        this.#registered(message);
        return;
      case "refused":
        this.#refused(message);
        return;
      case "table":
        this.#table(message, endpoint);
    }
  }

  #welcome(welcome: Welcome, endpoint: string): void {
    const { clock, events, lease, outbox, table } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#welcomedAtMs = nowMs;
    table.welcome(welcome.instance);
    outbox.streamOpened(welcome.instance, welcome.heartbeatMs, nowMs);
    lease.streamOpened(nowMs);
    events.connected(welcome, endpoint);
    events.leader(welcome.leader);
    if (welcome.config !== undefined) events.config(welcome.config);
    this.#wake.kick();
  }

  #table(message: Extract<ControllerMessage, { kind: "table" }>, endpoint: string): void {
    const { clock, events, lease, outbox, table } = this.#options;
    if (message.leader !== undefined) events.leader(message.leader);
    const outcome = table.apply(message.table);
    if (outcome.kind === "out-of-step") {
      throw new TwillError("STREAM_GAP", `controller ${endpoint}: ${outcome.reason}`, {
        context: { endpoint },
      });
    }
    outbox.tableAt(table.position);
    if (message.table.kind === "bookmark") this.#wake.kick();
    if (outcome.kind === "held") return;
    if (lease.tableChanged(outcome.change, clock.monotonicMs())) {
      events.leaseLost(lease.lease?.key ?? "");
    }
    events.table(outcome.change);
    this.#wake.kick();
  }

  #registered(answer: Registered): void {
    const { events, lease } = this.#options;
    const before = lease.lease?.key;
    const news = lease.registered(answer);
    if (news !== "stale") events.registered(answer, news, before);
    this.#wake.kick();
  }

  #refused(refusal: Refused): void {
    const isOurs = this.#options.lease.refused(refusal, this.#options.clock.monotonicMs());
    if (isOurs) this.#options.events.refused(refusal);
    this.#wake.kick();
  }
}

function violation(endpoint: string, what: string): TwillError {
  return new TwillError("PROTOCOL_VIOLATION", `controller ${endpoint}: ${what}`, {
    context: { endpoint },
  });
}
