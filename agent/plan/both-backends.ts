/**
 * Two backends at once, for the time in which the network leaves one for the other: devices
 * and addresses of both stand, and each peer is reached the way its own lease says. So a node
 * changes by changing its lease, peer by peer, and nobody has to be reached in a way that its
 * kernel is not ready for.
 */
import type { Lease } from "../../common/lease/lease.ts";
import type { BackendPlanner, MadePlanner, PeerPart, PlannerInput } from "./backend-planner.ts";
import type { KernelObject } from "./kernel-object.ts";
import { makePlanner } from "./make-planner.ts";

/** The config's planner, beside the other one's when there is another. */
export function makeNodePlanner(
  input: PlannerInput,
  also: Pick<PlannerInput, "config" | "identity"> | undefined,
): MadePlanner {
  const made = makePlanner(input);
  if (made.kind === "refused" || also === undefined) return made;
  const { config, identity } = also;
  const other = makePlanner({ ...input, config, identity });
  if (other.kind === "refused") return other;
  return { kind: "planner", planner: new BothBackends(made.planner, other.planner) };
}

class BothBackends implements BackendPlanner {
  readonly type: BackendPlanner["type"];
  readonly links: BackendPlanner["links"];
  readonly mtuBytes: number;
  readonly registration: BackendPlanner["registration"];
  readonly #planners: readonly BackendPlanner[];

  constructor(main: BackendPlanner, other: BackendPlanner) {
    this.type = main.type;
    this.links = [...main.links, ...other.links];
    // A container started now must get through on both ways.
    this.mtuBytes = Math.min(main.mtuBytes, other.mtuBytes);
    this.registration = main.registration;
    this.#planners = [main, other];
  }

  own(lease: Lease): readonly KernelObject[] {
    return this.#planners.flatMap((planner) => planner.own(lease));
  }

  /** Each ignores the leases of the other's type. */
  peer(lease: Lease, own: Lease): readonly PeerPart[] {
    return this.#planners.flatMap((planner) => planner.peer(lease, own));
  }
}
