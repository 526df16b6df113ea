/** Everything that answers on the gRPC port: agents' streams, other replicas, operators, health, reflection. */

import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import type { Clock } from "../../common/async/clock.ts";
import type { TaskGroup } from "../../common/async/task-group.ts";
import type { Logger } from "../../common/log.ts";
import { formatHostPort } from "../../common/net/host-port.ts";
import { AllocatorService } from "../../proto/gen/twill/v1/fabric.ts";
import { type NodeStatus, OperatorService } from "../../proto/gen/twill/v1/operator.ts";
import { loadPackageDefinition } from "../../proto/load.ts";
import type { LeaseService } from "../lease/lease-service.ts";
import type { Registrar } from "../lease/registrar.ts";
import type { ControllerOptions } from "../options.ts";
import type { EtcdStore } from "../store/etcd-store.ts";
import type { ViewService } from "../view/view-service.ts";
import { createAllocatorService } from "./allocator-service.ts";
import type { ReplicaCredentials } from "./credentials.ts";
import { GrpcServer, PLAIN_ADMISSION, TLS_ADMISSION } from "./grpc-server.ts";
import { createOperatorService } from "./operator-service.ts";

export interface ServeParts {
  readonly options: ControllerOptions;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  readonly views: ViewService;
  readonly registrar: Registrar;
  readonly service: LeaseService;
  readonly store: EtcdStore;
  readonly credentials: ReplicaCredentials;
  readonly group: TaskGroup;
}

export interface Served {
  nodes(): readonly NodeStatus[];
  /** Whether gRPC health says SERVING. */
  setServing(isServing: boolean): void;
  close(): Promise<void>;
}

export async function serve(parts: ServeParts): Promise<Served> {
  const { options, log, views, service, store, group } = parts;
  const server = new GrpcServer({
    listen: options.listen,
    credentials: parts.credentials.server,
    admission: options.tls === undefined ? PLAIN_ADMISSION : TLS_ADMISSION,
  });
  const nodes = (): readonly NodeStatus[] => [];
  server.addService({
    definition: AllocatorService,
    implementation: createAllocatorService(service, group.signal),
  });
  const storeState = (): string =>
    store.state.status.kind === "unavailable"
      ? store.state.status.error.message
      : store.state.status.kind;
  const operator = createOperatorService(
    { self: options.address, views, nodes, store: storeState },
    group.signal,
  );
  server.addService({ definition: OperatorService, implementation: operator });
  new ReflectionService(await loadPackageDefinition()).addToServer(server.server);
  const health = new HealthImplementation({ "": "NOT_SERVING" });
  health.addToServer(server.server);
  const address = await server.start();
  log.event("server.listening", `agents and operators on ${formatHostPort(address)}`, {
    advertised: options.address,
    tls: options.tls !== undefined,
  });
  return {
    nodes,
    setServing: (isServing) => health.setStatus("", isServing ? "SERVING" : "NOT_SERVING"),
    close: () => server.close(),
  };
}
