/**
 * How many connections may be on their way in at once. A storm of reconnecting agents would
 * otherwise stall the loop for seconds, and every stalled keep-alive makes more of it
 * (fanout-notes 1: 3000 mTLS agents, 2.6 s stall without a gate, 0.34 s with one of 64).
 * Pure bookkeeping; the server moves the sockets.
 */

export interface AdmissionLimits {
  /** Connections between accept and their first call. */
  readonly inFlight: number;
  /** Connections that wait for their turn; beyond it they are refused. */
  readonly waiting: number;
}

export class Admission<C> {
  readonly #limits: AdmissionLimits;
  readonly #inFlight = new Set<C>();
  /** Insertion order is the order of acceptance. */
  readonly #waiting = new Set<C>();

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** What to do with a connection that has just been accepted. */
  arrive(connection: C): "enter" | "wait" | "refuse" {
    if (this.#inFlight.size < this.#limits.inFlight) {
      this.#inFlight.add(connection);
      return "enter";
    }
    if (this.#waiting.size >= this.#limits.waiting) return "refuse";
    this.#waiting.add(connection);
    return "wait";
  }

  /** The connection is in (its first call came) or gone; answers who may enter instead. */
  settle(connection: C): C | undefined {
    this.#waiting.delete(connection);
    if (!this.#inFlight.delete(connection)) return undefined;
    const [next] = this.#waiting;
    if (next === undefined) return undefined;
    this.#waiting.delete(next);
    this.#inFlight.add(next);
    return next;
  }
}
