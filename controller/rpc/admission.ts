/**
 * How many connections may be on their way in at once. A storm of reconnecting agents would
 * otherwise stall the loop for seconds, and every stalled keep-alive makes more of it
 * (fanout-notes 1: 3000 mTLS agents, 2.6 s stall without a gate, 0.34 s with one of 64).
 * Sources take turns, and none may hold every place: who opens thousands of connections
 * waits for himself. Pure bookkeeping; the server moves the sockets.
 */

export interface AdmissionLimits {
  /** Connections between accept and their first call, and how many of them from one source. */
  readonly inFlight: number;
  readonly inFlightOfOne: number;
  /** Connections that wait for their turn; beyond it they are refused. */
  readonly waiting: number;
  readonly waitingOfOne: number;
}

export class Admission<C> {
  readonly #limits: AdmissionLimits;
  readonly #inFlight = new Map<C, string>();
  readonly #places = new Map<string, number>();
  /** Whose turn it is next stands first; each source's in the order of acceptance. */
  readonly #waiting = new Map<string, Set<C>>();
  readonly #sources = new Map<C, string>();

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** What to do with a connection that has just been accepted. */
  arrive(connection: C, source: string): "enter" | "wait" | "refuse" {
    if (this.#mayEnter(source)) {
      this.#enter(connection, source);
      return "enter";
    }
    const own = this.#waiting.get(source) ?? new Set();
    const { waiting, waitingOfOne } = this.#limits;
    if (this.#sources.size >= waiting || own.size >= waitingOfOne) return "refuse";
    own.add(connection);
    this.#waiting.set(source, own);
    this.#sources.set(connection, source);
    return "wait";
  }

  /** The connection is in (its first call came) or gone; answers who may enter instead. */
  settle(connection: C): C | undefined {
    this.#forgetWaiting(connection);
    const source = this.#inFlight.get(connection);
    if (source === undefined) return undefined;
    this.#inFlight.delete(connection);
    const places = (this.#places.get(source) ?? 1) - 1;
    if (places > 0) this.#places.set(source, places);
    else this.#places.delete(source);
    return this.#next();
  }

  #next(): C | undefined {
    for (const [source, [next]] of this.#waiting) {
      if (next === undefined || !this.#mayEnter(source)) continue;
      this.#forgetWaiting(next);
      const others = this.#waiting.get(source);
      if (others !== undefined) {
        // Behind all other sources.
        this.#waiting.delete(source);
        this.#waiting.set(source, others);
      }
      this.#enter(next, source);
      return next;
    }
    return undefined;
  }

  #mayEnter(source: string): boolean {
    const { inFlight, inFlightOfOne } = this.#limits;
    return this.#inFlight.size < inFlight && (this.#places.get(source) ?? 0) < inFlightOfOne;
  }

  #enter(connection: C, source: string): void {
    this.#inFlight.set(connection, source);
    this.#places.set(source, (this.#places.get(source) ?? 0) + 1);
  }

  #forgetWaiting(connection: C): void {
    const source = this.#sources.get(connection);
    if (source === undefined) return;
    this.#sources.delete(connection);
    const own = this.#waiting.get(source);
    own?.delete(connection);
    if (own?.size === 0) this.#waiting.delete(source);
  }
}
