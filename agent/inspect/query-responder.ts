/**
 * Answers operators' questions: few at a time, each within the time that the asking side gives,
 * and none of a stream that has ended. Nothing here changes anything on the node.
 */
import type { Clock } from "../../common/async/clock.ts";
import { withDeadline } from "../../common/async/deadline.ts";
import { Slots } from "../../common/async/slots.ts";
import { TwillError } from "../../common/errors.ts";
import type {
  Answer,
  ConfigPlan,
  ConfigState,
  Peers,
  PeersQuestion,
  ProbeQuestion,
  ProbeResults,
  Query,
} from "../../proto/gen/twill/v1/node.ts";
import { MAX_TARGETS, type Probe } from "../probe/probe.ts";
import { type PathPorts, pathFacts } from "./path-facts.ts";

export interface ResponderPorts extends PathPorts {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Sends packets and waits for what comes back. */
  readonly probe: Probe;
  readonly peers: (question: PeersQuestion) => Peers;
  readonly config: {
    state(signal: AbortSignal): Promise<ConfigState>;
    plan(json: string, signal: AbortSignal): Promise<ConfigPlan>;
  };
}

/** What this agent's Hello says that it can do. */
export const QUERY_FEATURE = "query";
const AT_ONCE = 2;
/** Part of the given time that a probe may wait; the rest is for the way back. */
const WAIT_SHARE = 0.5;
const LONGEST_WAIT_MS = 2000;

export class QueryResponder {
  readonly #ports: ResponderPorts;
  readonly #slots = new Slots(AT_ONCE);

  constructor(ports: ResponderPorts) {
    this.#ports = ports;
  }

  /** Rejects only with the signal's reason. */
  async answer(query: Query, signal: AbortSignal): Promise<Answer> {
    const { number, timeoutMs } = query;
    const late = (): TwillError =>
      new TwillError("NODE_UNAVAILABLE", `this node did not find out within ${timeoutMs} ms`);
    try {
      const outcome = await this.#slots.run(() =>
        withDeadline({ clock: this.#ports.clock, ms: timeoutMs, late, signal }, (inner) =>
          this.#outcome(query, inner),
        ),
      );
      return { number, outcome };
    } catch (error) {
      signal.throwIfAborted();
      return { number, outcome: refusal(TwillError.from(error).message) };
    }
  }

  async #outcome(query: Query, signal: AbortSignal): Promise<Answer["outcome"]> {
    const { question } = query;
    switch (question?.$case) {
      case "path": {
        const facts = await pathFacts(question.value, this.#ports, signal);
        if (facts === undefined) return refusal(`"${question.value.remote}" is no address`);
        return { $case: "path", value: facts };
      }
      case "probe": {
        const value = await this.#probeAll(question.value, query.timeoutMs, signal);
        return { $case: "probe", value };
      }
      case "peers":
        return { $case: "peers", value: this.#ports.peers(question.value) };
      case "config":
        return { $case: "config", value: await this.#ports.config.state(signal) };
      case "configPlan": {
        const value = await this.#ports.config.plan(question.value.json, signal);
        return { $case: "configPlan", value };
      }
      case undefined:
        return refusal("this agent does not know the question; it is older than who asks");
    }
  }

  async #probeAll(
    { targets }: ProbeQuestion,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ProbeResults> {
    const { clock, random, probe } = this.#ports;
    const waitMs = Math.min(timeoutMs * WAIT_SHARE, LONGEST_WAIT_MS);
    const results = targets
      .slice(0, MAX_TARGETS)
      .map((target) => probe(target, { clock, random, waitMs }, signal));
    return { results: await Promise.all(results) };
  }
}

function refusal(reason: string): Answer["outcome"] {
  return { $case: "refusal", value: reason };
}
