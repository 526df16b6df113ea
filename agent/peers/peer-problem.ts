/** Why a lease (or one family of it) cannot be used as a peer; told to operators, harms nobody else. */
import type { Family } from "../../common/net/ip.ts";

export interface PeerProblem {
  /** Lease key. */
  readonly key: string;
  /** Twill node name, empty for a foreign lease. */
  readonly node: string;
  readonly family: Family;
  /** A sentence part that names the field and the value: "VtepMAC is missing from BackendData". */
  readonly reason: string;
}
