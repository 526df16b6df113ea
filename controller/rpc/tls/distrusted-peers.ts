/**
 * Ends the connections whose certificate does not count any more: revoked or expired since the
 * handshake. Agents are told why before the connection goes; what stands in their kernels stays.
 */
import type { Clock } from "../../../common/async/clock.ts";
import { TwillError } from "../../../common/errors.ts";
import type { Logger } from "../../../common/log.ts";
import type { Registrar } from "../../lease/registrar.ts";
import type { Fabric } from "../fabric-service.ts";
import type { GrpcServer } from "../grpc-server.ts";
import type { ReplicaCredentials } from "./replica-credentials.ts";

export interface DistrustParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly server: Pick<GrpcServer, "peers" | "cutOff">;
  readonly fabric: Pick<Fabric, "endPeer">;
  readonly credentials: Pick<ReplicaCredentials, "distrustOf">;
  readonly registrar: Pick<Registrar, "withdraw">;
  /** Whether a node whose certificate is revoked loses its lease at once. */
  readonly withdrawsLease: boolean;
  readonly spawn: (work: (signal: AbortSignal) => Promise<void>) => void;
}

/** How long the reason may take to reach the peer; then the connection is cut. */
const FAREWELL_MS = 200;

export function endDistrusted(parts: DistrustParts): void {
  const { clock, log, server, fabric, credentials, registrar, withdrawsLease, spawn } = parts;
  for (const { address, certificate } of server.peers) {
    const distrust = certificate && credentials.distrustOf(certificate);
    if (distrust === undefined) continue;
    const { kind, reason } = distrust;
    const nodes = fabric.endPeer(address, new TwillError("UNAUTHENTICATED", reason));
    log.event("peer.distrusted", `the connection from ${address} ends: ${reason}`, {
      key: address,
      address,
      nodes: nodes.join(" "),
    });
    spawn(async (signal) => {
      await clock.sleep(FAREWELL_MS, signal);
      server.cutOff(address);
    });
    if (withdrawsLease && kind === "revoked") for (const node of nodes) registrar.withdraw(node);
  }
}
