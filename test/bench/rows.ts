/** The rows of the suite, in the order they run. */
import { agentCost } from "./rows/agent-cost.ts";
import { allocate } from "./rows/allocate.ts";
import { churn } from "./rows/churn.ts";
import { coldStart } from "./rows/cold-start.ts";
import { dataPlane } from "./rows/data-plane.ts";
import { fanout } from "./rows/fanout.ts";
import { kernel } from "./rows/kernel.ts";
import { mesh } from "./rows/mesh.ts";
import { restart } from "./rows/restart.ts";
import { sim } from "./rows/sim.ts";
import { survive } from "./rows/survive.ts";
import type { Row } from "./support/row.ts";

export const ROWS: readonly Row[] = [
  ...[fanout, restart, allocate, churn, coldStart],
  ...[kernel, agentCost, mesh, survive, dataPlane],
  sim,
];
