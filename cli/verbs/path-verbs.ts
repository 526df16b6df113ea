/** `explain` and `ping`: the way between two nodes, asked of their kernels and tried with packets. */
import { hostname } from "node:os";
import type { Command } from "commander";
import { TwillError } from "../../common/errors.ts";
import { askedPath } from "../../common/explain/asked-path.ts";
import { diagnose } from "../../common/explain/diagnose.ts";
import type { PathEnd } from "../../common/explain/evidence.ts";
import { type Ask, gather } from "../../common/explain/gather.ts";
import { layersOf, meaningOf } from "../../common/explain/layers.ts";
import { resolveEnd } from "../../common/explain/resolve.ts";
import type { Lease } from "../../common/lease/lease.ts";
import { containsIp, parseCidr } from "../../common/net/cidr.ts";
import { parseIp } from "../../common/net/ip.ts";
import { newestStatus } from "../cluster/cluster-view.ts";
import { type Ipam, readIpam } from "../cluster/ipam.ts";
import type { Operator } from "../connection/operator-client.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { renderPath } from "../explain/render.ts";
import { askAll, type Session } from "./look-verbs.ts";

export function addPathVerbs(program: Command, session: Session): void {
  program
    .command("explain")
    .description("why two addresses reach each other or not; exit code 3 when they do not")
    .argument("<src>", "node name, or address of a node or container")
    .argument("<dst>", "the other end, likewise")
    .addHelpText("after", "\nExample:\n  twillctl explain node1 10.244.2.7")
    .action((src: string, dst: string) => explain(session, src, dst));
  program
    .command("ping")
    .description("reach a node layer by layer, and what it means; exit code 3 when one is silent")
    .argument("<node>", "as `twillctl nodes` has it, or an address of its containers")
    .option("--from <node>", "the node that pings; default: this machine, else the first other one")
    .addHelpText("after", "\nExample:\n  twillctl ping node2 --from node1")
    .action((node: string, flags: { readonly from?: string }) => ping(session, node, flags.from));
}

async function explain(session: Session, src: string, dst: string): Promise<void> {
  const operator = await session.operator();
  const table = await look(operator);
  const leases = leasesOf(table);
  const [from, to] = [resolveEnd(src, leases), resolveEnd(dst, leases)];
  const evidence = await gather(
    askedPath({ config: table.config, leases }, from, to),
    asker(operator),
  );
  const diagnosis = diagnose(evidence);
  if (!diagnosis.works) session.exit(EXIT_CODES.found.code);
  if (session.terminal.isForScripts) session.terminal.value({ ...diagnosis, evidence });
  else session.terminal.lines(renderPath(evidence, diagnosis));
}

async function ping(session: Session, name: string, source: string | undefined): Promise<void> {
  const operator = await session.operator();
  const table = await look(operator);
  const leases = leasesOf(table);
  const to = resolveEnd(name, leases);
  const from = resolveEnd(source ?? sourceFor(to, leases), leases);
  const target = to.isContainer ? to : await withContainer(operator, to, from);
  const evidence = await gather(
    askedPath({ config: table.config, leases }, from, target),
    asker(operator),
  );
  const layers = layersOf(evidence);
  const meaning = meaningOf(layers);
  if (layers.some(({ state }) => state === "silent")) session.exit(EXIT_CODES.found.code);
  if (session.terminal.isForScripts) {
    session.terminal.value({ from: from.node, to: to.node, layers, meaning });
    return;
  }
  session.terminal.lines([`${from.node} to ${to.node}`]);
  session.terminal.records(
    layers.map(({ layer, state, rttUs, detail }) => ({
      layer,
      state,
      rtt: rttUs === 0 ? "" : `${(rttUs / 1000).toFixed(2)} ms`,
      what: detail,
    })),
  );
  session.terminal.lines([meaning]);
}

async function look(operator: Operator): Promise<Ipam> {
  const newest = newestStatus(await askAll(operator));
  if (newest === undefined) throw new TwillError("CONTROLLER_UNAVAILABLE", "no controller answers");
  return readIpam(newest);
}

function leasesOf({ leases }: Ipam): Lease[] {
  return leases.map(({ lease }) => lease);
}

function asker(operator: Operator): Ask {
  return (node, question, timeoutMs) => operator.askNode(node, question, timeoutMs);
}

/** This machine when it is a node, else the first other one. */
function sourceFor(to: PathEnd, leases: readonly Lease[]): string {
  const names = leases.map(({ node }) => node).filter((node) => node !== "" && node !== to.node);
  const own = names.find((node) => node === hostname());
  const [first] = names.toSorted();
  const chosen = own ?? first;
  if (chosen === undefined) throw new TwillError("OPTION_INVALID", "there is no other node");
  return chosen;
}

/** A container that the node has seen stands for the others. */
async function withContainer(operator: Operator, to: PathEnd, from: PathEnd): Promise<PathEnd> {
  const value = { remote: from.address, local: to.address, machine: from.machine, tunnelPort: 0 };
  try {
    const outcome = await operator.askNode(to.node, { $case: "path", value }, ASK_MS);
    const subnet = parseCidr(to.subnet);
    const seen = outcome.$case === "path" ? outcome.value.containers : [];
    const container = seen.find((address) => {
      const ip = parseIp(address);
      return ip !== undefined && subnet !== undefined && containsIp(subnet, ip);
    });
    return container === undefined ? to : { ...to, address: container, isContainer: true };
  } catch (error) {
    if (TwillError.from(error).code !== "NODE_UNAVAILABLE") throw error;
    return to;
  }
}

const ASK_MS = 5000;
