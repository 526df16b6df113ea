/**
 * One agent's stream, from its first message to its end.
 *
 * State    | means                                        | leaves by
 * ---------|----------------------------------------------|------------------------------
 * waiting  | connected, said nothing yet                  | Hello; a violation; 10 s
 * open     | welcomed, a subscriber of the hub            | end of the stream; a violation
 * ended    | nothing of it is held any more               |
 *
 * What is wrong with a message ends the stream with PROTOCOL_VIOLATION and says what it was.
 */
import type { Clock } from "../../common/async/clock.ts";
import { OVER } from "../../common/async/over.ts";
import { TwillError } from "../../common/errors.ts";
import { errorFields, type Logger } from "../../common/log.ts";
import type { Metrics } from "../../common/metrics.ts";
import type { Hello, Welcome } from "../../proto/gen/twill/v1/fabric.ts";
import type { Refused, Registered } from "../lease/allocator.ts";
import type { Registrar } from "../lease/registrar.ts";
import { agentConfig } from "../view/agent-config.ts";
import { type Resume, resume } from "../view/feed.ts";
import { encodeMessage } from "../view/stream-frames.ts";
import type { ViewService } from "../view/view-service.ts";
import type { WatchFeed } from "../watch/watch-feed.ts";
import type { AgentBody, Inbound } from "./agent-message.ts";
import { admissionRefusal, type Peer } from "./hello-admission.ts";
import { HEARTBEAT_MS, type Hub } from "./hub.ts";
import type { TokenBuckets } from "./limits/token-buckets.ts";
import type { Outlet } from "./outlet.ts";
import { QUERY_FEATURE, type QueryDesk } from "./query-desk.ts";
import { RegistrationDesk } from "./registration-desk.ts";
import { answerMessage } from "./registration-wire.ts";
import { Subscriber } from "./subscriber.ts";

export interface AgentStreamParts {
  readonly views: ViewService;
  readonly hub: Hub;
  readonly registrar: Registrar;
  readonly queries: QueryDesk;
  /** Told of what people watch. */
  readonly watch: WatchFeed;
  readonly clock: Clock;
  /** How often each node may say Hello. */
  readonly hellos: TokenBuckets;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** This replica's own "host:port". */
  readonly controller: string;
  /** The leader as it is known here; "": none. */
  readonly leader: () => string;
  readonly version: string;
  /** Runs work whose end nobody waits for, and reports its faults. */
  readonly spawn: (work: () => Promise<void>) => void;
}

export const HELLO_TIMEOUT_MS = 10_000;

export class AgentStream {
  readonly #parts: AgentStreamParts;
  readonly #outlet: Outlet;
  readonly #peer: Peer;
  /** By the parts' monotonic clock. */
  readonly openedMs: number;
  readonly #ended = new AbortController();
  /** Aborted when there is no Hello to wait for any more. */
  readonly #welcomed = new AbortController();
  #open: { readonly subscriber: Subscriber; readonly desk: RegistrationDesk } | undefined;

  constructor(outlet: Outlet, peer: Peer, parts: AgentStreamParts) {
    this.#outlet = outlet;
    this.#peer = peer;
    this.#parts = parts;
    this.openedMs = parts.clock.monotonicMs();
    parts.spawn(() => this.#awaitHello());
  }

  receive(inbound: Inbound): void {
    if (this.#ended.signal.aborted) return;
    if (this.#open !== undefined) this.#open.subscriber.heardMs = this.#parts.clock.monotonicMs();
    switch (inbound.kind) {
      case "violation":
        this.#violated(inbound.reason);
        return;
      case "unknown":
        if (this.#open === undefined) this.#violated("an unknown message before Hello");
        return;
      case "message":
        this.#take(inbound.body);
    }
  }

  /** "address:port" of the other end. */
  get address(): string {
    return this.#peer.address;
  }

  /** undefined: it has not said Hello, or was refused. */
  get node(): string | undefined {
    return this.#open?.subscriber.node;
  }

  /** Ends the stream for a reason of this side's. */
  end(reason: TwillError): void {
    this.closed(reason.message);
    this.#outlet.end(reason);
  }

  /** The stream is over, for whatever reason; idempotent. */
  closed(reason: string): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(OVER);
    this.#welcomed.abort(OVER);
    const open = this.#open;
    if (open === undefined) return;
    const { hub, log, clock, metrics } = this.#parts;
    hub.remove(open.subscriber);
    open.desk.close();
    this.#parts.queries.streamClosed(open.subscriber);
    this.#parts.watch.stream(open.subscriber.node, false, reason);
    const { node, address, sinceMs } = open.subscriber;
    metrics.add("twill_stream_ends_total", { reason: "closed" });
    log.event("stream.closed", `the stream of node ${node} ended: ${reason}`, {
      node,
      address,
      reason,
      duration_s: Math.round((clock.monotonicMs() - sinceMs) / 1000),
    });
  }

  #take(body: AgentBody): void {
    if (body.$case === "hello") {
      if (this.#open === undefined) this.#hello(body.value);
      else this.#violated("a second Hello");
      return;
    }
    const open = this.#open;
    if (open === undefined) {
      this.#violated(`${body.$case} before Hello`);
      return;
    }
    switch (body.$case) {
      case "register":
        open.desk.register(body.value);
        return;
      case "release":
        open.desk.release(body.value);
        return;
      case "ack":
        this.#parts.hub.acknowledged(open.subscriber, body.value);
        this.#parts.watch.ack(open.subscriber.node, body.value);
        return;
      case "report":
        open.subscriber.reported(body.value);
        this.#parts.watch.report(open.subscriber.node, body.value);
        return;
      case "answer":
        this.#parts.queries.answered(open.subscriber, body.value);
        return;
      case "heartbeat":
        return;
    }
  }

  #hello(hello: Hello): void {
    const refusal = admissionRefusal(hello, this.#peer, this.#parts);
    if (refusal !== undefined) {
      this.#reject(refusal);
      return;
    }
    const { views, hub, registrar, clock } = this.#parts;
    const { node, version, process } = hello;
    const { view } = views;
    this.#replace(hub.get(node));
    const answer = resume(hello, view.instance, view.chain);
    const subscriber = new Subscriber({
      node,
      version,
      process,
      features: new Set(hello.features),
      address: this.#peer.address,
      outlet: this.#outlet,
      place: answer.kind === "snapshot" ? undefined : answer.place,
      configRevision: view.config.accepted?.revision ?? 0,
      configMark: agentConfig(view)?.transition?.mark ?? "",
      nowMs: clock.monotonicMs(),
    });
    const { metrics, spawn } = this.#parts;
    const answerAs = (request: number, news: Registered | Refused): void =>
      this.#answer(request, news);
    const desk = new RegistrationDesk(node, {
      ...{ registrar, metrics, spawn, clock, answer: answerAs },
      caller: this.#peer.identity,
    });
    this.#open = { subscriber, desk };
    this.#welcomed.abort(OVER);
    subscriber.answer(encodeMessage({ $case: "welcome", value: this.#welcome() }));
    hub.add(subscriber);
    this.#parts.watch.stream(node, true, `${this.#peer.address}, ${answer.kind}`);
    this.#logOpened(hello, answer);
  }

  /** The stream that the node had before; it has not noticed yet that it is dead. */
  #replace(before: Subscriber | undefined): void {
    if (before === undefined) return;
    const { hub } = this.#parts;
    hub.remove(before);
    before.outlet.end(new TwillError("STREAM_EVICTED", `node ${before.node} has a newer stream`));
    before.outlet.destroy();
  }

  #welcome(): Welcome {
    const { views, controller, leader, version } = this.#parts;
    const { instance } = views.view;
    return {
      instance,
      controller,
      leader: leader(),
      features: [QUERY_FEATURE],
      heartbeatMs: HEARTBEAT_MS,
      config: agentConfig(views.view),
      version,
    };
  }

  #answer(request: number, answer: Registered | Refused): void {
    const open = this.#open;
    if (open === undefined || this.#ended.signal.aborted) return;
    const frame = encodeMessage(answerMessage(request, answer));
    if (open.subscriber.answer(frame)) this.#parts.hub.kick(open.subscriber);
    else this.#violated("requests without reading the answers");
  }

  #violated(what: string): void {
    const node = this.#open?.subscriber.node;
    const who = node === undefined ? "the agent" : `node ${node}`;
    this.#reject(new TwillError("PROTOCOL_VIOLATION", `${who} sent ${what}`));
  }

  #reject(fault: TwillError): void {
    const { address } = this.#peer;
    this.#parts.metrics.add("twill_stream_ends_total", { reason: fault.code });
    this.#parts.log.event("stream.rejected", `a stream from ${address} ends: ${fault.message}`, {
      key: `${address.replace(/:\d+$/, "")} ${fault.code}`,
      address,
      ...errorFields(fault),
    });
    this.end(fault);
  }

  async #awaitHello(): Promise<void> {
    const { clock } = this.#parts;
    try {
      await clock.sleep(HELLO_TIMEOUT_MS, this.#welcomed.signal);
    } catch {
      return;
    }
    this.#violated(`no Hello within ${HELLO_TIMEOUT_MS} ms`);
  }

  #logOpened(hello: Hello, answer: Resume): void {
    const how = answer.kind === "snapshot" ? `snapshot, because ${answer.reason}` : answer.kind;
    this.#parts.log.event("stream.opened", `node ${hello.node} is connected: ${how}`, {
      node: hello.node,
      address: this.#peer.address,
      agent_version: hello.version,
      resume: answer.kind,
      known_revision: hello.revision,
    });
  }
}
