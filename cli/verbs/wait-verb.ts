/** `wait converged` and `wait --revision R`: for scripts that go on when the kernels have it. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { systemClock } from "../../common/async/clock.ts";
import { Slots } from "../../common/async/slots.ts";
import { parseDurationMs } from "../../common/config/option-spec.ts";
import { TwillError } from "../../common/errors.ts";
import type { ClusterView } from "../cluster/cluster-view.ts";
import { waitForRevision } from "../cluster/wait.ts";
import type { Operator } from "../connection/operator-client.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { lookAtCluster, type Session } from "./look-verbs.ts";

interface WaitFlags {
  readonly revision?: number;
  readonly nodes: number;
  readonly timeout: number;
  readonly probe?: boolean;
}

export function addWaitVerb(program: Command, session: Session): void {
  program
    .command("wait")
    .description(
      "until every live node's kernel has a revision; exit code 4 when it takes too long",
    )
    .argument("[what]", "converged: the newest revision when the wait begins")
    .option("--revision <n>", "an etcd revision, as etcdctl put -w json shows it", parseRevision)
    .option("--nodes <n>", "at least so many live nodes", parseNodes, 1)
    .addOption(
      new Option("--timeout <duration>", "how long").argParser(parseTimeout).default(60_000, "60s"),
    )
    .option("--probe", "and until probes through the tunnel have reached every changed peer")
    .addHelpText("after", "\nExample:\n  twillctl wait converged --probe --timeout 30s")
    .action(async (what: string | undefined, flags: WaitFlags) => {
      checkArguments(what, flags);
      await wait(session, flags);
    });
}

async function wait(session: Session, flags: WaitFlags): Promise<void> {
  const operator = await session.operator();
  const result = await waitForRevision(
    { revision: flags.revision, nodes: flags.nodes, timeoutMs: flags.timeout },
    {
      look: () => lookAtCluster(operator),
      ...(flags.probe === true ? { brokenPaths: pathsOf(operator) } : {}),
      clock: systemClock,
      tell: session.tell,
    },
    new AbortController().signal,
  );
  if (result.kind === "late") session.exit(EXIT_CODES.late.code);
  const { terminal } = session;
  if (terminal.isForScripts) terminal.value(result);
  else if (result.kind === "late")
    session.tell([`not within the time: ${result.stragglers.length}`]);
  else terminal.lines([`${result.live} nodes have applied revision ${result.revision}`]);
}

/** What the agents' own probes say of the paths to live nodes; at most some at once are asked. */
function pathsOf(operator: Operator): (view: ClusterView) => Promise<readonly string[]> {
  const slots = new Slots(ASKED_AT_ONCE);
  return async (view) => {
    const live = view.nodes.filter(({ condition }) => condition !== "lost").map(({ node }) => node);
    const each = live.map((node) => slots.run(() => badPaths(operator, node, live)));
    return (await Promise.all(each)).flat();
  };
}

async function badPaths(
  operator: Operator,
  node: string,
  live: readonly string[],
): Promise<readonly string[]> {
  try {
    const question = { $case: "peers", value: { limit: 0 } } as const;
    const outcome = await operator.askNode(node, question, ASK_MS);
    const peers = outcome.$case === "peers" ? outcome.value.peers : [];
    return peers
      .filter((peer) => !GOOD.has(peer.state) && live.includes(peer.node))
      .map((peer) => `${node}: ${peer.node} is ${PATH_WORDS[peer.state] ?? peer.state}`);
  } catch (error) {
    const { code, message } = TwillError.from(error);
    if (code !== "NODE_UNAVAILABLE") throw error;
    return [message];
  }
}

const ASKED_AT_ONCE = 16;
const ASK_MS = 5000;
/** Programmed: an old path that is probed now and then, and was not since the agent started. */
const GOOD: ReadonlySet<string> = new Set(["reachable", "programmed"]);
const PATH_WORDS: Readonly<Record<string, string>> = {
  probing: "not probed yet",
  "small-only": "reached by small packets only",
};

function checkArguments(what: string | undefined, { revision }: WaitFlags): void {
  if (what !== undefined && what !== "converged") {
    throw new TwillError("OPTION_INVALID", `wait for "${what}"? There is: wait converged`);
  }
  if ((what === undefined) === (revision === undefined)) {
    throw new TwillError("OPTION_INVALID", "wait for one of: converged, --revision N");
  }
}

function parseRevision(text: string): number {
  const revision = Number(text);
  if (Number.isSafeInteger(revision) && revision > 0) return revision;
  throw new InvalidArgumentError("A revision is a whole number above 0.");
}

function parseNodes(text: string): number {
  const nodes = Number(text);
  if (/^[0-9]+$/.test(text) && Number.isSafeInteger(nodes)) return nodes;
  throw new InvalidArgumentError("A whole number, 0 or more.");
}

function parseTimeout(text: string): number {
  const ms = parseDurationMs(text);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError('A duration has its unit, such as "90s" or "5m".');
}
