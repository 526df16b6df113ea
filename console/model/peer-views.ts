/**
 * What one node's kernel holds of every other lease, as far as its acknowledgements say: the
 * revision it has applied and the objects it could not make. Pure.
 */
import type { ConsoleFailure, ConsoleLease } from "../../common/console/console-state.ts";
import type { Cluster } from "./cluster.ts";
import type { NodeView } from "./node-views.ts";

export type PeerState = "held" | "under way" | "failing" | "unknown";

export interface PeerView {
  readonly lease: ConsoleLease;
  readonly state: PeerState;
  /** Why it is failing; "" otherwise. */
  readonly reason: string;
}

export function peerViews(cluster: Cluster, { name, status }: NodeView): readonly PeerView[] {
  return [...cluster.leases.values()]
    .filter(({ node, isReserved, publicIp }) => node !== name && !(isReserved && publicIp === ""))
    .map((lease): PeerView => {
      if (status === undefined) return { lease, state: "unknown", reason: "" };
      const failure = status.failures.find((one) => concerns(one, lease));
      if (failure !== undefined) {
        const { kind, code, message } = failure;
        return { lease, state: "failing", reason: `${kind}: ${code} ${message}` };
      }
      return { lease, state: lease.revision <= status.applied ? "held" : "under way", reason: "" };
    });
}

/** A failure names a kernel object: a route by its destination, a neighbour by its address. */
function concerns({ key }: ConsoleFailure, { subnet, publicIp }: ConsoleLease): boolean {
  const [block = "", block6 = ""] = subnet.split(" ");
  const names = [block, block6, address(block), address(block6), publicIp];
  const words = key.split(/[\s,]+/);
  return names.some((name) => name !== "" && words.includes(name));
}

function address(block: string): string {
  return block.split("/")[0] ?? "";
}
