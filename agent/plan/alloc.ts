/** alloc (contract 3.7): a lease and nothing else; how packets travel is the operator's. */
import type { BackendPlanner, PlannerInput } from "./backend-planner.ts";

export function allocPlanner(input: PlannerInput): BackendPlanner {
  return {
    type: "alloc",
    links: [],
    mtuBytes: input.host.external.mtuBytes,
    registration: { backendType: "", backendData: "", backendV6Data: "" },
    own: () => [],
    peer: () => [],
  };
}
