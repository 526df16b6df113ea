/**
 * Questions to the agents whose streams are served here. Each waits for its answer, its
 * deadline or the end of the stream, whichever is first; a node is asked few at a time, so that
 * operators' curiosity cannot fill an agent's memory or its stream.
 */
import type { Clock } from "../../common/async/clock.ts";
import { withDeadline } from "../../common/async/deadline.ts";
import { TwillError } from "../../common/errors.ts";
import type { Answer, Query } from "../../proto/gen/twill/v1/node.ts";
import { encodeMessage } from "../view/stream-frames.ts";
import type { Subscriber } from "./subscriber.ts";

/** What an agent's Hello says when it can be asked. */
export const QUERY_FEATURE = "query";
/** Under way per node; below MAX_ANSWERS of the stream, which registrations need too. */
const MAX_PER_NODE = 4;
const TIMEOUT_MS = { min: 100, max: 20_000 } as const;
/** Over the agent's own limit: its "I could not in time" is a better answer than ours. */
const GRACE_MS = 1000;

export interface QueryDeskParts {
  readonly clock: Clock;
  readonly hub: {
    get(node: string): Subscriber | undefined;
    kick(subscriber: Subscriber): void;
  };
}

interface Pending {
  readonly subscriber: Subscriber;
  readonly settle: (outcome: Answer | TwillError) => void;
}

export class QueryDesk {
  readonly #parts: QueryDeskParts;
  readonly #pending = new Map<number, Pending>();
  #lastNumber = 0;

  constructor(parts: QueryDeskParts) {
    this.#parts = parts;
  }

  /** True when the stream of this node is served here. */
  serves(node: string): boolean {
    return this.#parts.hub.get(node) !== undefined;
  }

  /** Throws NODE_UNAVAILABLE when the node cannot be asked or does not answer. */
  async ask(node: string, query: Query, signal: AbortSignal): Promise<Answer> {
    const subscriber = this.#askable(node);
    const timeoutMs = Math.min(Math.max(query.timeoutMs, TIMEOUT_MS.min), TIMEOUT_MS.max);
    const late = (): TwillError => unavailable(node, `did not answer within ${timeoutMs} ms`);
    this.#lastNumber = (this.#lastNumber + 1) >>> 0;
    const number = this.#lastNumber;
    const deadline = { clock: this.#parts.clock, ms: timeoutMs + GRACE_MS, late, signal };
    try {
      return await withDeadline(deadline, async (inner) => {
        const outcome = this.#outcome(number, subscriber, inner);
        this.#send(subscriber, { ...query, number, timeoutMs });
        return outcome;
      });
    } finally {
      this.#pending.delete(number);
    }
  }

  /** An answer that nobody waits for any more is none. */
  answered(subscriber: Subscriber, answer: Answer): void {
    const pending = this.#pending.get(answer.number);
    if (pending?.subscriber === subscriber) pending.settle(answer);
  }

  streamClosed(subscriber: Subscriber): void {
    for (const pending of this.#pending.values()) {
      if (pending.subscriber !== subscriber) continue;
      pending.settle(unavailable(subscriber.node, "lost its stream while it was asked"));
    }
  }

  #askable(node: string): Subscriber {
    const subscriber = this.#parts.hub.get(node);
    if (subscriber === undefined) throw unavailable(node, "has no stream with this controller");
    if (!subscriber.features.has(QUERY_FEATURE)) {
      throw unavailable(node, `runs an agent (${subscriber.version}) that cannot be asked`);
    }
    const underWay = [...this.#pending.values()].filter((one) => one.subscriber === subscriber);
    if (underWay.length >= MAX_PER_NODE) {
      throw unavailable(node, `is being asked ${underWay.length} questions already; try again`);
    }
    return subscriber;
  }

  #outcome(number: number, subscriber: Subscriber, signal: AbortSignal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: Answer | TwillError): void => {
        if (outcome instanceof TwillError) reject(outcome);
        else resolve(outcome);
      };
      this.#pending.set(number, { subscriber, settle });
      signal.addEventListener("abort", () => settle(TwillError.from(signal.reason)), {
        once: true,
      });
    });
  }

  #send(subscriber: Subscriber, query: Query): void {
    const frame = encodeMessage({ $case: "query", value: query });
    if (!subscriber.answer(frame)) throw unavailable(subscriber.node, "reads too slowly");
    this.#parts.hub.kick(subscriber);
  }
}

export function unavailable(node: string, why: string): TwillError {
  return new TwillError("NODE_UNAVAILABLE", `node ${node} ${why}`, { context: { node } });
}
