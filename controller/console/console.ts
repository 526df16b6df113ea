/** Joins the console's parts: the feed of one replica's view, its answers, and the listener. */
import type { Clock } from "../../common/async/clock.ts";
import type { TaskGroup } from "../../common/async/task-group.ts";
import type { TwillError } from "../../common/errors.ts";
import type { Logger } from "../../common/log.ts";
import { formatHostPort } from "../../common/net/host-port.ts";
import { VERSION } from "../../common/version.ts";
import type { NodeStatus } from "../../proto/gen/twill/v1/operator.ts";
import type { ControllerOptions } from "../options.ts";
import type { ReplicaCredentials } from "../rpc/tls/replica-credentials.ts";
import type { Store } from "../store/store.ts";
import type { ViewService } from "../view/view-service.ts";
import { ConsoleAnswers } from "./answers.ts";
import { ConsoleFeed } from "./console-feed.ts";
import { type ConsoleServer, startConsoleServer } from "./console-server.ts";
import { Explainer, type ExplainerParts } from "./explain.ts";
import { consoleHead } from "./head.ts";
import { KnownOrigins } from "./known-origins.ts";
import { LeaseEnds } from "./lease-ends.ts";
import { readPageFiles } from "./page-files.ts";
import { newestStreams } from "./rows.ts";

export interface ConsoleParts {
  readonly options: Pick<ControllerOptions, "console" | "address" | "leaseTtlSeconds">;
  readonly credentials: Pick<ReplicaCredentials, "material" | "distrustOf">;
  readonly views: Pick<ViewService, "view">;
  readonly store: Pick<Store, "timeToLive">;
  readonly storeFault: () => TwillError | undefined;
  /** Nodes whose streams are served here. */
  readonly nodes: () => readonly NodeStatus[];
  /** Asks a node's agent, whichever replica has its stream. Throws NODE_UNAVAILABLE. */
  readonly askNode: ExplainerParts["askNode"];
  /** What other replicas say of theirs. */
  readonly others: (isWatched: () => boolean) => OtherNodes;
  readonly clock: Clock;
  readonly log: Logger;
  readonly group: TaskGroup;
}

/** rpc/other-replicas.ts is the real one. */
export interface OtherNodes {
  readonly answers: ReadonlyMap<string, string>;
  nodes(): Iterable<readonly [controller: string, status: NodeStatus]>;
  run(signal: AbortSignal): Promise<void>;
}

/** undefined: no console was asked for. */
export async function startConsole(parts: ConsoleParts): Promise<ConsoleServer | undefined> {
  const { options, credentials, clock, log, group } = parts;
  const { console: listen } = options;
  if (listen === undefined) return undefined;
  const { view } = parts.views;
  const others = parts.others(() => answers.viewers > 0);
  const origins = new KnownOrigins();
  const feed = feedOf(parts, others, origins);
  const answers: ConsoleAnswers = new ConsoleAnswers({
    feed,
    clock,
    files: await readPageFiles(),
    explainer: new Explainer({ view, askNode: parts.askNode }),
    ends: new LeaseEnds({ ...parts, table: view.table, signal: group.signal }),
    others: () => origins.all,
  });
  const server = await startConsoleServer({
    listen,
    credentials,
    answer: (request, response, peer) => answers.answer(request, response, peer),
  });
  group.spawn((signal) => others.run(signal));
  group.spawn((signal) => feed.run(signal));
  const tls = credentials.material !== undefined;
  const scheme = !tls ? "http" : "https";
  log.event("console.listening", `console on ${scheme}://${formatHostPort(server.address)}/`, {
    tls,
  });
  return server;
}

function feedOf(parts: ConsoleParts, others: OtherNodes, origins: KnownOrigins): ConsoleFeed {
  const { views, clock, options, nodes } = parts;
  const self = options.address;
  return new ConsoleFeed({
    view: views.view,
    clock,
    head: () => {
      const head = consoleHead({
        ...{ view: views.view, self, version: VERSION },
        leaseTtlSeconds: options.leaseTtlSeconds,
        storeFault: parts.storeFault()?.message ?? "",
        answers: others.answers,
      });
      origins.add(head.controllers);
      return head;
    },
    nodes: (told) => {
      const own = nodes().map((status) => [self, status] as const);
      return newestStreams([...own, ...others.nodes()], told, clock.wallMs());
    },
  });
}
