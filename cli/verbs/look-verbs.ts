/** The verbs that look: status, nodes, leases. */
import type { Command } from "commander";
import { systemClock } from "../../common/async/clock.ts";
import type { Status } from "../../proto/gen/twill/v1/operator.ts";
import { type ClusterView, viewCluster } from "../cluster/cluster-view.ts";
import type { Answer, Operator } from "../connection/operator-client.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import type { Terminal } from "../terminal.ts";

export interface Session {
  readonly terminal: Terminal;
  operator(): Promise<Operator>;
  exit(code: number): void;
  /** Lines for a person who waits, on stderr. */
  tell(lines: readonly string[]): void;
}

export function addLookVerbs(program: Command, session: Session): void {
  program
    .command("status")
    .description("leader, controllers, nodes and what is wrong; exit code 3 when unhealthy")
    .option(...WATCH_OPTION)
    .addHelpText("after", "\nExample:\n  twillctl status -o json")
    .action((flags: WatchFlag) =>
      repeated(session, flags, (view) => {
        printStatus(session.terminal, view);
        session.exit(view.healthy ? EXIT_CODES.done.code : EXIT_CODES.found.code);
      }),
    );
  program
    .command("nodes")
    .description("every node: subnet, address, what its kernel has applied")
    .option(...WATCH_OPTION)
    .addHelpText("after", "\nExample:\n  twillctl nodes -o wide")
    .action((flags: WatchFlag) =>
      repeated(session, flags, (view) => printNodes(session.terminal, view)),
    );
  program
    .command("leases")
    .description("every subnet of the network: who holds it and how")
    .option(...WATCH_OPTION)
    .addHelpText("after", "\nExample:\n  twillctl leases --watch")
    .action((flags: WatchFlag) =>
      repeated(session, flags, (view) => printLeases(session.terminal, view)),
    );
}

const WATCH_OPTION = ["-w, --watch", "again whenever it has changed, until interrupted"] as const;
const LOOK_MS = 1000;

interface WatchFlag {
  readonly watch?: boolean;
}

/** Once, or again and again: printed anew only when it is another. */
async function repeated(
  session: Session,
  { watch = false }: WatchFlag,
  print: (view: ClusterView) => void,
): Promise<void> {
  const operator = await session.operator();
  let shown = "";
  do {
    const view = await lookAtCluster(operator);
    const now = JSON.stringify(view);
    if (now !== shown) {
      if (watch) session.terminal.startAnew();
      print(view);
    }
    shown = now;
    if (watch) await systemClock.sleep(LOOK_MS, new AbortController().signal);
  } while (watch);
}

export async function lookAtCluster(operator: Operator): Promise<ClusterView> {
  return viewCluster(await askAll(operator));
}

/** One controller names all; each is then asked for the streams it serves. */
export async function askAll(operator: Operator): Promise<Answer<Status>[]> {
  const asked = await controllerAddresses(operator);
  return Promise.all(asked.map((address) => operator.statusOf(address)));
}

/** Every controller that takes part in the election, as the first that answers names them. */
export async function controllerAddresses(operator: Operator): Promise<readonly string[]> {
  const first = await operator.firstStatus();
  const addresses = first.controllers.map((name) => name.slice(name.indexOf("@") + 1));
  return addresses.length > 0 ? addresses : [first.controller];
}

function printStatus(terminal: Terminal, view: ClusterView): void {
  if (terminal.isForScripts) {
    terminal.value(view);
    return;
  }
  const count = (condition: string): number =>
    view.nodes.filter((node) => node.condition === condition).length;
  terminal.lines([
    `leader      ${view.leader === "" ? "nobody" : view.leader}`,
    `revision    ${view.revision}, applied everywhere up to ${view.appliedRevision}`,
    `nodes       ${count("ready")} ready, ${count("behind")} behind, ${count("failing")} failing, ${count("lost")} lost`,
    `leases      ${view.leases.length}`,
    "",
  ]);
  terminal.records(view.controllers.map((controller) => ({ ...controller })));
  const troubled = view.nodes.filter((node) => node.condition !== "ready");
  terminal.lines(troubled.map((node) => `${node.node}: ${node.condition}: ${node.reason}`));
  terminal.lines(view.warnings.map((warning) => `${warning.code}: ${warning.message}`));
  terminal.lines([view.healthy ? "healthy" : "NOT healthy"]);
}

function printNodes(terminal: Terminal, view: ClusterView): void {
  if (terminal.isForScripts) {
    terminal.value(view.nodes);
    return;
  }
  terminal.records(
    view.nodes.map((node) => ({
      node: node.node,
      condition: node.condition,
      subnet: node.subnet,
      "public ip": node.publicIp,
      backend: node.backend,
      applied: node.appliedRevision,
      behind: node.behind,
      ...(terminal.format === "wide"
        ? { version: node.version, controller: node.controller, drift: node.driftRepaired }
        : {}),
      reason: node.reason,
    })),
  );
}

function printLeases(terminal: Terminal, view: ClusterView): void {
  if (terminal.isForScripts) {
    terminal.value(view.leases);
    return;
  }
  terminal.records(
    view.leases.map((lease) => ({
      subnet: lease.lease?.key ?? "",
      node: holder(lease.lease?.node ?? "", lease.etcdLease),
      "public ip": lease.lease?.publicIp ?? "",
      backend: lease.lease?.backendType ?? "",
      "etcd lease": lease.etcdLease === "" ? "reservation" : lease.etcdLease,
      revision: lease.revision,
      ...(terminal.format === "wide" ? { data: lease.lease?.backendData ?? "" } : {}),
    })),
  );
}

function holder(node: string, etcdLease: string): string {
  if (node !== "") return node;
  return etcdLease === "" ? "(reserved)" : "(flannel)";
}
