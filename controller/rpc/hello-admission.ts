/**
 * Whether an agent that says Hello may have a stream here. A name belongs to one machine: the
 * same machine may come again, another may not while the first is alive. Nobody may come all
 * the time: an agent that crashes over and over would cost a handshake and a snapshot each.
 */
import type { Clock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";
import type { FoundIdentity } from "../../common/identity/identity.ts";
import { refusalOf } from "../auth/authorize.ts";
import type { ViewService } from "../view/view-service.ts";
import type { Hub } from "./hub.ts";
import type { TokenBuckets } from "./limits/token-buckets.ts";

/** The other end of a stream. */
export interface Peer {
  /** "address:port" */
  readonly address: string;
  /** By its certificate; undefined: the stream is plaintext. */
  readonly identity: FoundIdentity | undefined;
}

export interface AdmissionParts {
  readonly views: ViewService;
  readonly hub: Hub;
  /** By node name. */
  readonly hellos: TokenBuckets;
  readonly clock: Pick<Clock, "monotonicMs">;
}

export const HELLOS = { burst: 30, perSecond: 0.5 } as const;

/** Why not; undefined: it may. */
export function admissionRefusal(
  { node, process }: { readonly node: string; readonly process: string },
  { address, identity }: Peer,
  { views, hub, hellos, clock }: AdmissionParts,
): TwillError | undefined {
  const refusal = refusalOf(identity, { kind: "be-node", node });
  if (refusal !== undefined) return new TwillError("IDENTITY_REFUSED", refusal);
  if (hellos.take(node, clock.monotonicMs()) > 0) {
    const often = `node ${node} has begun more than ${HELLOS.burst} streams within a minute`;
    return new TwillError("LIMIT_REACHED", `${often}; look into its agent's log`);
  }
  if (!views.isReady) {
    const why = views.fault?.message ?? "it has just started";
    return new TwillError("STORE_UNAVAILABLE", `this controller does not know etcd yet: ${why}`);
  }
  const other = hub.get(node);
  if (other === undefined || hub.isDead(other) || isSameHost(other.address, address)) {
    return undefined;
  }
  // The same process at another address: its machine's address has changed.
  if (process !== "" && other.process === process) return undefined;
  return new TwillError(
    "IDENTITY_REFUSED",
    `node ${node} is connected from ${other.address} already, so ${address} cannot be it: ` +
      "give one of them another --node-name",
  );
}

function isSameHost(a: string, b: string): boolean {
  return hostOf(a) === hostOf(b);
}

/** Without the port. */
export function hostOf(address: string): string {
  return address.replace(/:\d+$/, "");
}
