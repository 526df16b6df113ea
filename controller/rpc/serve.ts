/** Everything that answers on the gRPC port: agents' streams, other replicas, operators, health, reflection. */

import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import type { Clock } from "../../common/async/clock.ts";
import type { TaskGroup } from "../../common/async/task-group.ts";
import { TwillError } from "../../common/errors.ts";
import type { Logger } from "../../common/log.ts";
import type { Metrics } from "../../common/metrics.ts";
import { formatHostPort } from "../../common/net/host-port.ts";
import { VERSION } from "../../common/version.ts";
import { ChangeService, LeaderChangeService } from "../../proto/gen/twill/v1/change.ts";
import { MembershipService } from "../../proto/gen/twill/v1/enrolment.ts";
import { AllocatorService } from "../../proto/gen/twill/v1/fabric.ts";
import { HistoryService } from "../../proto/gen/twill/v1/history.ts";
import { type AskNodeRequest, InspectService } from "../../proto/gen/twill/v1/inspect.ts";
import type { Answer, ConfigState } from "../../proto/gen/twill/v1/node.ts";
import { type NodeStatus, OperatorService } from "../../proto/gen/twill/v1/operator.ts";
import { loadPackageDefinition } from "../../proto/load.ts";
import type { ChangeDesk } from "../change/change-desk.ts";
import type { LeaseService } from "../lease/lease-service.ts";
import type { Registrar } from "../lease/registrar.ts";
import type { ControllerOptions } from "../options.ts";
import type { Store } from "../store/store.ts";
import type { ViewService } from "../view/view-service.ts";
import { WatchFeed } from "../watch/watch-feed.ts";
import { createAllocatorService } from "./allocator-service.ts";
import { askConfigState, planNodes } from "./ask-config.ts";
import { askLeader } from "./ask-leader.ts";
import { createChangeService, createLeaderChangeService } from "./change-service.ts";
import { createMembershipService } from "./enrolment-service.ts";
import { createFabricService, FABRIC_DEFINITION, type Fabric } from "./fabric-service.ts";
import { GrpcServer, PLAIN_ADMISSION, TLS_ADMISSION } from "./grpc-server.ts";
import { createHistoryService } from "./history-service.ts";
import { Hub } from "./hub.ts";
import { askNode, createInspectService, type InspectParts } from "./inspect-service.ts";
import { nodeStatuses } from "./node-status.ts";
import { candidateAddresses, createOperatorService, leaderAddress } from "./operator-service.ts";
import { identityOf } from "./peer-identity.ts";
import { QueryDesk } from "./query-desk.ts";
import { openEnrolment, serveEnrolment } from "./serve-enrolment.ts";
import { sendAwayWhileStale } from "./stale-replica.ts";
import { endDistrusted } from "./tls/distrusted-peers.ts";
import type { ReplicaCredentials } from "./tls/replica-credentials.ts";

export interface ServeParts {
  readonly options: ControllerOptions;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: () => number;
  readonly store: Store;
  readonly views: ViewService;
  readonly registrar: Registrar;
  readonly service: LeaseService;
  readonly desk: ChangeDesk;
  readonly storeFault: () => TwillError | undefined;
  readonly credentials: ReplicaCredentials;
  readonly group: TaskGroup;
}

/** How long ended streams may take to tell their agents so. */
const FAREWELL_MS = 200;

export interface Served {
  readonly hub: Hub;
  nodes(): readonly NodeStatus[];
  /** Which config a node's kernel equals, wherever its stream is. */
  askConfig(node: string, signal: AbortSignal): Promise<ConfigState>;
  /** Asks a node's agent, by whichever replica has its stream. Throws NODE_UNAVAILABLE. */
  askNode(request: AskNodeRequest): Promise<Answer>;
  /** Whether gRPC health says SERVING. */
  setServing(isServing: boolean): void;
  close(): Promise<void>;
}

export async function serve(parts: ServeParts): Promise<Served> {
  const { options, log, clock, views, service, storeFault, group } = parts;
  const limited = (limit: string, key: string): void => {
    parts.metrics.add("twill_limited_total", { limit });
    log.event("peer.limited", `${key} is held back: ${limit}`, { key: `${limit} ${key}`, limit });
  };
  const server = new GrpcServer({
    listen: options.listen,
    credentials: parts.credentials.server,
    admission: options.tls === undefined ? PLAIN_ADMISSION : TLS_ADMISSION,
    clock,
    limited,
    refusalOf: ({ certificate }) => {
      const distrust = certificate && parts.credentials.distrustOf(certificate);
      return distrust && new TwillError("UNAUTHENTICATED", distrust.reason);
    },
  });
  const { hub, fabric, queries, watch } = addFabric(server, { ...parts, limited });
  const doubts = { ...parts, server, fabric, withdrawsLease: options.revokeWithdrawsLease };
  group.spawn((signal) =>
    parts.credentials.run(() => endDistrusted({ ...doubts, spawn: (w) => group.spawn(w) }), signal),
  );
  const nodes = (): readonly NodeStatus[] => nodeStatuses(hub, clock.monotonicMs());
  server.addService({
    definition: AllocatorService,
    implementation: createAllocatorService(service, group.signal),
  });
  const operator = createOperatorService(
    { self: options.address, views, nodes, storeFault },
    group.signal,
  );
  server.addService({ definition: OperatorService, implementation: operator });
  const enrolment = await openEnrolment({ ...parts, limited });
  const membership = createMembershipService(enrolment, group.signal);
  server.addService({ definition: MembershipService, implementation: membership });
  const closeEnrolment =
    enrolment && (await serveEnrolment({ ...parts, limited }, enrolment, group.signal));
  const history = createHistoryService(parts, group.signal);
  server.addService({ definition: HistoryService, implementation: history });
  const inspecting = addInspect(server, parts, { queries, watch });
  addChanges(server, parts, inspecting);
  new ReflectionService(await loadPackageDefinition()).addToServer(server.server);
  const health = new HealthImplementation({ "": "NOT_SERVING" });
  health.addToServer(server.server);
  const address = await server.start();
  log.event("server.listening", `agents and operators on ${formatHostPort(address)}`, {
    advertised: options.address,
    tls: options.tls !== undefined,
  });
  return {
    hub,
    nodes,
    askConfig: (node, signal) => askConfigState(inspecting, node, signal),
    askNode: (request) => askNode(inspecting, request, group.signal),
    setServing: (isServing) => health.setStatus("", isServing ? "SERVING" : "NOT_SERVING"),
    async close() {
      // The streams were ended when the group was; their agents may still have to hear it.
      await clock.sleep(FAREWELL_MS, new AbortController().signal);
      await server.close();
      await closeEnrolment?.();
    },
  };
}

function addInspect(
  server: GrpcServer,
  parts: ServeParts,
  { queries, watch }: Pick<StreamSide, "queries" | "watch">,
): InspectParts {
  const { options, views, clock, credentials, group } = parts;
  const inspecting: InspectParts = {
    desk: queries,
    watch: { ring: watch.ring, clock, spawn: (work) => group.spawn(work) },
    others: () => candidateAddresses(views).filter((address) => address !== options.address),
    credentials: () => credentials.channel,
    wallMs: () => clock.wallMs(),
  };
  const inspect = createInspectService(inspecting, group.signal);
  server.addService({ definition: InspectService, implementation: inspect });
  return inspecting;
}

interface StreamSide {
  readonly hub: Hub;
  readonly fabric: Fabric;
  readonly queries: QueryDesk;
  readonly watch: WatchFeed;
}

/** Administrators' changes, and the leader's end of them. */
function addChanges(
  server: GrpcServer,
  { options, views, group, desk, ...parts }: ServeParts,
  inspecting: InspectParts,
): void {
  const leading = {
    ...{ self: options.address, desk, leader: () => leaderAddress(views) },
    credentials: () => parts.credentials.channel,
    wallMs: () => parts.clock.wallMs(),
  };
  const change = createChangeService(
    {
      desk,
      planNodes: (config, signal) => planNodes({ inspecting, views, config }, signal),
      askLeader: (request, signal) => askLeader(leading, request, signal),
    },
    group.signal,
  );
  const forOthers = createLeaderChangeService({ desk }, group.signal);
  server.addService({ definition: ChangeService, implementation: change });
  server.addService({ definition: LeaderChangeService, implementation: forOthers });
}

/** Agents' streams, the hub that feeds them, the desk that asks them, and who tells of them. */
function addFabric(
  server: GrpcServer,
  parts: ServeParts & { readonly limited: (limit: string, key: string) => void },
): StreamSide {
  const { options, views, group } = parts;
  const leader = (): string => leaderAddress(views);
  const yieldTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const hub = new Hub({ ...parts, view: views.view, leader, yieldTurn });
  const queries = new QueryDesk({ clock: parts.clock, hub });
  const watch = new WatchFeed({ view: views.view, clock: parts.clock, leader });
  group.signal.addEventListener("abort", watch.follow(), { once: true });
  const fabric = createFabricService({
    ...parts,
    hub,
    queries,
    watch,
    leader,
    identityOf,
    controller: options.address,
    version: VERSION,
    spawn: (work) => group.spawn(work),
    cut: (peer) => server.cutOff(peer),
  });
  const { implementation } = fabric;
  server.addService({ definition: FABRIC_DEFINITION, implementation });
  const goodbye = new TwillError("SHUTTING_DOWN", "this controller stops; another one serves");
  group.signal.addEventListener("abort", () => fabric.endAll(goodbye), { once: true });
  group.spawn((signal) => hub.run(signal));
  const isStale = (): boolean => parts.storeFault() !== undefined;
  group.spawn((signal) => sendAwayWhileStale({ ...parts, ...fabric, isStale }, signal));
  return { hub, fabric, queries, watch };
}
