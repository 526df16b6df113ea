/**
 * The port for machines that have no certificate yet: a server of its own, so that the one for
 * agents and operators takes nobody without. It holds one service, asks for a token there, and
 * lets each address try only so often.
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";
import type { Logger } from "../../common/log.ts";
import { formatHostPort } from "../../common/net/host-port.ts";
import { EnrolmentService } from "../../proto/gen/twill/v1/enrolment.ts";
import { EnrolmentAuthority } from "../enrolment/enrolment-authority.ts";
import { Invites } from "../enrolment/invites.ts";
import type { ControllerOptions } from "../options.ts";
import type { Store } from "../store/store.ts";
import type { ViewService } from "../view/view-service.ts";
import { createEnrolmentService, type EnrolmentParts } from "./enrolment-service.ts";
import { GrpcServer, TLS_ADMISSION } from "./grpc-server.ts";
import { hostOf } from "./hello-admission.ts";
import { sourceOf } from "./limits/source.ts";
import { TokenBuckets } from "./limits/token-buckets.ts";
import type { ReplicaCredentials } from "./tls/replica-credentials.ts";

export interface ServeEnrolmentParts {
  readonly options: ControllerOptions;
  readonly clock: Clock;
  readonly log: Logger;
  readonly store: Store;
  readonly views: ViewService;
  readonly credentials: ReplicaCredentials;
  readonly limited: (limit: string, key: string) => void;
}

/** Of one address: many machines may boot behind it, none of them guesses 256 bits. */
const TRIES = { burst: 60, perSecond: 2 } as const;

/** undefined: this replica gives out no certificates. */
export async function openEnrolment(
  parts: ServeEnrolmentParts,
): Promise<EnrolmentParts | undefined> {
  const { options, clock, store, views } = parts;
  const { enrol, tls } = options;
  if (enrol === undefined || tls === undefined) return undefined;
  const { caFile, certFile } = tls;
  const authority = await EnrolmentAuthority.open({ caFile, certFile, keyFile: enrol.caKeyFile });
  const invites = new Invites({
    ...{ store, randomBytes },
    wallMs: () => clock.wallMs(),
    leaderToken: () => views.view.table.candidates[0]?.createRevision ?? 0,
  });
  return { ...parts, authority, invites, ttlMs: enrol.ttlMs, address: enrol.address };
}

/** Listens; answers how to stop. */
export async function serveEnrolment(
  parts: ServeEnrolmentParts,
  enrolment: EnrolmentParts,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const { options, clock, log, credentials, limited } = parts;
  const tries = new TokenBuckets(TRIES);
  const server = new GrpcServer({
    listen: options.enrol?.listen ?? options.listen,
    credentials: credentials.enrolment,
    admission: TLS_ADMISSION,
    clock,
    limited,
    refusalOf: ({ address }) => {
      const source = sourceOf(hostOf(address));
      if (tries.take(source, clock.monotonicMs()) === 0) return undefined;
      limited("enrolments", source);
      return new TwillError("LIMIT_REACHED", `${source} has tried too often to enrol; it may soon`);
    },
  });
  server.addService({
    definition: EnrolmentService,
    implementation: createEnrolmentService(enrolment, signal),
  });
  const address = await server.start();
  log.event("server.listening", `machines with a token on ${formatHostPort(address)}`, {
    advertised: enrolment.address,
    tls: true,
  });
  return () => server.close();
}
