/**
 * Asks both nodes of a path: their kernels, then probes both ways, then their kernels again,
 * for what the probes have counted. A node that cannot be asked leaves its half empty.
 */

import type {
  Answer,
  PathFacts,
  ProbeResult,
  ProbeTarget,
  Query,
} from "../../proto/gen/twill/v1/node.ts";
import { TwillError } from "../errors.ts";
import type { Evidence, Layer, PathEnd, Side, Transport } from "./evidence.ts";

export type Question = NonNullable<Query["question"]>;
export type NodeOutcome = Exclude<NonNullable<Answer["outcome"]>, { $case: "refusal" }>;

/** Throws NODE_UNAVAILABLE when the node cannot be asked. */
export type Ask = (node: string, question: Question, timeoutMs: number) => Promise<NodeOutcome>;

export interface PathAsked {
  readonly transport: Transport;
  readonly from: PathEnd;
  readonly to: PathEnd;
  readonly sharedMacs: readonly string[];
}

const FACTS_MS = 6000;
/** Agents wait half of it for the last answer. */
const PROBES_MS = 2500;
const ECHOES = 3;
const SMALL_BYTES = 84;

export async function gather(asked: PathAsked, ask: Ask): Promise<Evidence> {
  const { from, to, transport } = asked;
  const before = await bothFacts(asked, ask);
  const [forth, back] = await Promise.all([
    probes(
      from.node,
      targets({ transport, to, own: before[0].facts, their: before[1].facts }),
      ask,
    ),
    probes(
      to.node,
      targets({ transport, to: from, own: before[1].facts, their: before[0].facts }),
      ask,
    ),
  ]);
  const after = await bothFacts(asked, ask);
  const side = (end: PathEnd, at: 0 | 1, results: readonly ProbeResult[]): Side => ({
    end,
    ...{ facts: before[at].facts, silence: before[at].silence },
    after: after[at].facts,
    probes: results,
  });
  return {
    transport,
    sharedMacs: asked.sharedMacs,
    from: side(from, 0, forth),
    to: side(to, 1, back),
  };
}

interface AskedFacts {
  readonly facts: PathFacts | undefined;
  readonly silence: string;
}

function bothFacts(
  { from, to, transport }: PathAsked,
  ask: Ask,
): Promise<[AskedFacts, AskedFacts]> {
  const { port } = transport;
  return Promise.all([factsOf(from, to, port, ask), factsOf(to, from, port, ask)]);
}

async function factsOf(
  near: PathEnd,
  far: PathEnd,
  tunnelPort: number,
  ask: Ask,
): Promise<AskedFacts> {
  const value = { remote: far.address, local: near.address, machine: far.machine, tunnelPort };
  try {
    const outcome = await ask(near.node, { $case: "path", value }, FACTS_MS);
    return { facts: outcome.$case === "path" ? outcome.value : undefined, silence: "" };
  } catch (error) {
    return { facts: undefined, silence: silenceOf(error) };
  }
}

/** None when the node cannot be asked: its silence is told with the facts. */
async function probes(
  node: string,
  wanted: readonly ProbeTarget[],
  ask: Ask,
): Promise<readonly ProbeResult[]> {
  try {
    const value = { targets: [...wanted] };
    const outcome = await ask(node, { $case: "probe", value }, PROBES_MS);
    return outcome.$case === "probe" ? outcome.value.results : [];
  } catch (error) {
    silenceOf(error);
    return [];
  }
}

/** Throws NODE_UNAVAILABLE with what the node says instead of an answer. */
export function outcomeOf(node: string, { outcome }: Answer): NodeOutcome {
  if (outcome !== undefined && outcome.$case !== "refusal") return outcome;
  const why = outcome?.value ?? "its answer cannot be read by this version";
  throw new TwillError("NODE_UNAVAILABLE", `node ${node}: ${why}`);
}

function silenceOf(error: unknown): string {
  const { code, message } = TwillError.from(error);
  if (code !== "NODE_UNAVAILABLE") throw error;
  return message;
}

interface Aim {
  readonly transport: Transport;
  readonly to: PathEnd;
  readonly own: PathFacts | undefined;
  readonly their: PathFacts | undefined;
}

function targets({ transport, to, own, their }: Aim): ProbeTarget[] {
  const echo = (label: Layer, address: string, packetBytes: number): ProbeTarget => ({
    ...{ label, address, packetBytes, protocol: "icmp", count: ECHOES },
  });
  const lower = mtuOf(own, own?.underlay?.device ?? "");
  const found = [echo("underlay", to.machine, SMALL_BYTES)];
  if (lower > 0) found.push(echo("underlay-full", to.machine, lower));
  if (transport.device !== "") {
    const address = tunnelAddress(their, transport.device, to);
    const mtu = mtuOf(own, transport.device);
    found.push(echo("overlay", address, SMALL_BYTES));
    if (mtu > 0) found.push(echo("overlay-full", address, mtu));
    found.push({ ...echo("overlay-udp", address, SMALL_BYTES), protocol: "udp", count: 2 });
  }
  if (to.isContainer) found.push(echo("pod", to.address, SMALL_BYTES));
  return found;
}

function mtuOf(facts: PathFacts | undefined, device: string): number {
  return facts?.devices.find(({ name }) => name === device)?.mtuBytes ?? 0;
}

/** As its device has it, else as backends give it: the subnet's first. */
function tunnelAddress(facts: PathFacts | undefined, device: string, { subnet }: PathEnd): string {
  const isSix = subnet.includes(":");
  const found = facts?.devices
    .find(({ name }) => name === device)
    ?.addresses.find((address) => address.includes(":") === isSix && !address.startsWith("fe80"));
  return (found ?? subnet).replace(/\/\d+$/, "");
}
