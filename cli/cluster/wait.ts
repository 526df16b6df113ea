/**
 * Waiting until the kernels have a revision: who is still missing and why, and the loop that
 * asks at a bounded rate. Time comes by a Clock, looks by a function.
 */
import type { Clock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";
import type { ClusterView } from "./cluster-view.ts";

/** At most two looks a second, each one call to every controller. */
export const LOOK_INTERVAL_MS = 500;

export interface WaitOptions {
  /**
   * undefined: the newest revision when there are enough nodes. It stays, so that a cluster
   * that goes on changing cannot run away.
   */
  readonly revision: number | undefined;
  /** At least so many live nodes with a lease; nobody's silence is no success. */
  readonly nodes: number;
  readonly timeoutMs: number;
}

export interface WaitParts {
  readonly look: () => Promise<ClusterView>;
  /** Paths of live nodes that probes have not found good; undefined: kernels are enough. */
  readonly brokenPaths?: (view: ClusterView) => Promise<readonly string[]>;
  readonly clock: Clock;
  /** Told whenever the list of stragglers changes. */
  readonly tell: (lines: readonly string[]) => void;
}

export interface WaitResult {
  readonly kind: "reached" | "late";
  /** 0: none was fixed, because controllers or nodes were missing. */
  readonly revision: number;
  /** Nodes that have a lease and a stream. */
  readonly live: number;
  readonly stragglers: readonly string[];
}

export async function waitForRevision(
  options: WaitOptions,
  { look, brokenPaths, clock, tell }: WaitParts,
  signal: AbortSignal,
): Promise<WaitResult> {
  const end = clock.monotonicMs() + options.timeoutMs;
  let { revision } = options;
  let told = "";
  for (;;) {
    const seen = await tryLook(look);
    const result = await withPaths(judge(seen, revision, options.nodes), seen, brokenPaths);
    if (result.stragglers.length === 0) return { kind: "reached", ...result };
    if (result.revision > 0) revision = result.revision;
    const now = result.stragglers.join("\n");
    if (told !== now) tell(result.stragglers);
    told = now;
    if (clock.monotonicMs() + LOOK_INTERVAL_MS > end) return { kind: "late", ...result };
    await clock.sleep(LOOK_INTERVAL_MS, signal);
  }
}

/** Probes are asked for when the kernels are ready: before, they could only fail. */
async function withPaths(
  result: Omit<WaitResult, "kind">,
  seen: ClusterView | string,
  brokenPaths: WaitParts["brokenPaths"],
): Promise<Omit<WaitResult, "kind">> {
  if (result.stragglers.length > 0 || typeof seen === "string") return result;
  return { ...result, stragglers: (await brokenPaths?.(seen)) ?? [] };
}

/** One look: a view, or why there is none. Fixes the revision once there are enough nodes. */
function judge(
  seen: ClusterView | string,
  wanted: number | undefined,
  nodes: number,
): Omit<WaitResult, "kind"> {
  if (typeof seen === "string") return { revision: wanted ?? 0, live: 0, stragglers: [seen] };
  const live = liveNodes(seen);
  if (live >= nodes) {
    const revision = wanted ?? seen.revision;
    return { revision, live, stragglers: stragglersOf(seen, revision) };
  }
  const missing = `nodes: ${live} with a lease and a stream, not ${nodes} yet`;
  return { revision: wanted ?? 0, live, stragglers: [...stragglersOf(seen, wanted ?? 0), missing] };
}

/** Controllers that are away may come back; a wrong certificate file will not get better. */
async function tryLook(look: () => Promise<ClusterView>): Promise<ClusterView | string> {
  try {
    return await look();
  } catch (error) {
    const known = TwillError.from(error);
    if (known.code !== "CONTROLLER_UNAVAILABLE") throw known;
    return known.message;
  }
}

/**
 * One line each, with the reason. A lost node holds nobody up, unless a controller is silent:
 * then its stream may well be there.
 */
export function stragglersOf(view: ClusterView, revision: number): string[] {
  const silent = view.warnings.filter(({ code }) => code === "CONTROLLER_SILENT");
  const lines =
    view.revision < revision
      ? [`controllers: have revision ${view.revision}, not ${revision} yet`]
      : [];
  for (const node of view.nodes) {
    if (node.condition === "lost") {
      const [first] = silent;
      if (first !== undefined) lines.push(`${node.node}: unknown, for ${first.message}`);
    } else if (node.condition === "failing") {
      lines.push(`${node.node}: ${node.reason}`);
    } else if (node.appliedRevision < revision) {
      const why = node.reason === "" ? "" : `, ${node.reason}`;
      lines.push(`${node.node}: has applied ${node.appliedRevision} of ${revision}${why}`);
    }
  }
  return lines;
}

function liveNodes(view: ClusterView): number {
  return view.nodes.filter((node) => node.condition !== "lost" && node.subnet !== "").length;
}
