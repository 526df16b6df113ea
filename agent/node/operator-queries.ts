/**
 * What operators know of this node's peers: the probes that run by themselves, and operators'
 * questions from the stream to their answers. A question belongs to the stream it
 * came on: when that ends, so does the work, because its number means nothing on another.
 */
import { aborted } from "../../common/async/aborted.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import { TwillError } from "../../common/errors.ts";
import type { Metrics } from "../../common/metrics.ts";
import type { Answer, Query } from "../../proto/gen/twill/v1/node.ts";
import { type PeerSources, peerStates, probedPeers } from "../inspect/peer-states.ts";
import { QueryResponder, type ResponderPorts } from "../inspect/query-responder.ts";
import { ProbeBook } from "../probe/probe-book.ts";
import { type ProbeTargets, probeForEver } from "../probe/probe-rounds.ts";

export interface OperatorQueriesParts extends Omit<ResponderPorts, "peers"> {
  /** What is known of the peers now. */
  readonly sources: () => PeerSources;
  readonly metrics: Metrics;
  /** Sends it on the stream that is there now. */
  readonly answer: (answer: Answer) => void;
}

/** More at once than a controller asks; who asks more breaks the agreement and is told so. */
const MOST = 8;

export class OperatorQueries {
  readonly #parts: OperatorQueriesParts;
  readonly #responder: QueryResponder;
  readonly #book = new ProbeBook();
  #group: TaskGroup | undefined;
  #stream = new AbortController();
  #underWay = 0;

  constructor(parts: OperatorQueriesParts) {
    this.#parts = parts;
    const peers: ResponderPorts["peers"] = ({ limit }) => {
      const nowMs = parts.clock.monotonicMs();
      return peerStates(parts.sources(), { book: this.#book, nowMs }, limit);
    };
    this.#responder = new QueryResponder({ ...parts, peers });
  }

  heard(query: Query): void {
    if (this.#underWay >= MOST) {
      const value = `this node answers ${MOST} questions already`;
      this.#parts.answer({ number: query.number, outcome: { $case: "refusal", value } });
      return;
    }
    const { signal } = this.#stream;
    this.#group?.spawn(() => this.#answer(query, signal));
  }

  streamEnded(): void {
    this.#stream.abort(new TwillError("CONTROLLER_UNAVAILABLE", "the stream has ended"));
    this.#stream = new AbortController();
  }

  async run(signal: AbortSignal): Promise<void> {
    const group = new TaskGroup(signal);
    this.#group = group;
    const rounds = { ...this.#parts, book: this.#book, targets: () => this.#targets() };
    group.spawn((inner) => probeForEver(rounds, inner));
    await aborted(signal, new AbortController().signal);
    this.streamEnded();
    await group.join();
    signal.throwIfAborted();
  }

  /** Only a node whose own kernel has the whole table has a right to complain of others. */
  #targets(): ProbeTargets | undefined {
    const { leases, ownKey, report } = this.#parts.sources();
    if (report?.isInSync !== true || report.mtuBytes === undefined) return undefined;
    return { peers: probedPeers(leases, ownKey), mtuBytes: report.mtuBytes };
  }

  async #answer(query: Query, stream: AbortSignal): Promise<void> {
    this.#underWay += 1;
    try {
      const answer = await this.#responder.answer(query, stream);
      if (!stream.aborted) this.#parts.answer(answer);
    } catch (error) {
      if (!stream.aborted) throw error;
    } finally {
      this.#underWay -= 1;
    }
  }
}
