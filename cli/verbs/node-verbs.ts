/** `node show`: one node in full. */
import type { Command } from "commander";
import { TwillError } from "../../common/errors.ts";
import { nearest } from "../../common/text/nearest.ts";
import type { PeerState } from "../../proto/gen/twill/v1/node.ts";
import type { Operator } from "../connection/operator-client.ts";
import type { Terminal } from "../terminal.ts";
import { addNodeChangeVerbs } from "./change-verbs.ts";
import { addInviteVerb } from "./invite-verb.ts";
import { lookAtCluster, type Session } from "./look-verbs.ts";

export function addNodeVerbs(program: Command, session: Session): void {
  const one = program.command("node").description("one node");
  addNodeChangeVerbs(one, session);
  addInviteVerb(one, session);
  one
    .command("show")
    .description("lease, addresses, applied revision, what is wrong, and each of its peers")
    .argument("<name>", "as `twillctl nodes` has it")
    .addHelpText("after", "\nExample:\n  twillctl node show node1")
    .action(async (name: string) => {
      const operator = await session.operator();
      const view = await lookAtCluster(operator);
      const node = view.nodes.find((known) => known.node === name);
      if (node === undefined) {
        throw unknownNode(
          name,
          view.nodes.map((known) => known.node),
        );
      }
      const held = view.leases.find(({ lease }) => lease?.node === name);
      const shown = {
        ...node,
        etcdLease: held?.etcdLease ?? "",
        leaseRevision: held?.revision ?? 0,
        publicIpv6: held?.lease?.publicIpv6 ?? "",
        backendData: held?.lease?.backendData ?? "",
        backendV6Data: held?.lease?.backendV6Data ?? "",
      };
      const peers = await peersOf(operator, name);
      if (session.terminal.isForScripts) session.terminal.value({ ...shown, ...peers });
      else {
        session.terminal.lines(
          Object.entries(shown).map(([field, value]) => `${field.padEnd(16)}${value}`.trimEnd()),
        );
        printPeers(session.terminal, peers);
      }
    });
}

interface AskedPeers {
  readonly peers: readonly PeerState[];
  /** All there are, also those not listed. */
  readonly peersTotal: number;
  /** Why the node's agent could not be asked; empty: it was. */
  readonly peersUnknown: string;
}

const ASK_MS = 5000;

/** A node that cannot be asked is shown without its peers. */
async function peersOf(operator: Operator, node: string): Promise<AskedPeers> {
  const question = { $case: "peers", value: { limit: 0 } } as const;
  try {
    const outcome = await operator.askNode(node, question, ASK_MS);
    const { peers, total } = outcome.$case === "peers" ? outcome.value : { peers: [], total: 0 };
    return { peers, peersTotal: total, peersUnknown: "" };
  } catch (error) {
    const { code, message } = TwillError.from(error);
    if (code !== "NODE_UNAVAILABLE") throw error;
    return { peers: [], peersTotal: 0, peersUnknown: message };
  }
}

function printPeers(terminal: Terminal, { peers, peersTotal, peersUnknown }: AskedPeers): void {
  if (peersUnknown !== "") {
    terminal.lines(["", `peers unknown: ${peersUnknown}`]);
    return;
  }
  terminal.lines([""]);
  terminal.records(
    peers.map(({ node, subnet, machine, state, transport, rttUs, probedSecondsAgo, reason }) => ({
      peer: node === "" ? "(flannel)" : node,
      ...{ subnet, machine, state, transport },
      "last probe": lastProbe(rttUs, probedSecondsAgo),
      reason,
    })),
  );
  const hidden = peersTotal - peers.length;
  if (hidden > 0) terminal.lines([`and ${hidden} more`]);
}

function lastProbe(rttUs: number, secondsAgo: number): string {
  if (rttUs === 0 && secondsAgo === 0) return "none";
  const result = rttUs === 0 ? "no answer" : `${(rttUs / 1000).toFixed(2)} ms`;
  return `${result}, ${secondsAgo} s ago`;
}

function unknownNode(name: string, known: readonly string[]): TwillError {
  const meant = nearest(name, known);
  const hint = meant === undefined ? "twillctl nodes lists them" : `did you mean ${meant}?`;
  return new TwillError("OPTION_INVALID", `no node "${name}"; ${hint}`);
}
