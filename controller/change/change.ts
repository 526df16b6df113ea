/** What administrators ask for, and what it would do; plain data. */
import type { NetworkConfig } from "../../common/config/network-config.ts";
import type { ErrorCode } from "../../common/errors.ts";
import type { Revision } from "../../common/lease/lease.ts";
import type { Ip } from "../../common/net/ip.ts";
import type { JournalAction, KeyChange } from "../journal/journal-entry.ts";
import type { Write } from "../store/store.ts";

export type ChangeRequest =
  /** A node's lease, or a free subnet for the machine with this address. */
  | { readonly kind: "reserve"; readonly what: string; readonly publicIp: Ip | undefined }
  /** A node's lease, or the lease of this key. */
  | { readonly kind: "release"; readonly what: string }
  | { readonly kind: "drain"; readonly node: string }
  | { readonly kind: "undrain"; readonly node: string }
  | { readonly kind: "remove"; readonly node: string }
  | ({ readonly kind: "config"; readonly json: string } & ConfigTerms)
  /** The config as it was; the journal is asked for it. */
  | ({ readonly kind: "config-rollback"; readonly revision: Revision } & ConfigTerms);

export interface ConfigTerms {
  /** How long a change of backend may take before it is undone. */
  readonly timeoutMs: number;
}

/** A key as the plan found it; 0: it was not there. */
export interface Basis {
  readonly key: string;
  readonly revision: Revision;
}

export interface ChangePlan {
  readonly kind: "plan";
  readonly action: JournalAction;
  /** The node, subnet or "config". */
  readonly subject: string;
  /** Sentences for the operator. */
  readonly steps: readonly string[];
  readonly warnings: readonly string[];
  /** Everything the plan stands on; compared in the transaction. */
  readonly basis: readonly Basis[];
  readonly writes: readonly Write[];
  /** For the journal. */
  readonly changes: readonly KeyChange[];
  /** The config that it would bring, for the nodes to say what they would do. */
  readonly config?: string;
}

export type Planned =
  | ChangePlan
  /** It is so already. */
  | { readonly kind: "nothing"; readonly reason: string }
  | { readonly kind: "refused"; readonly code: ErrorCode; readonly message: string };

/** What planning stands on besides the table. */
export interface ChangeContext {
  /** ISO 8601. */
  readonly now: string;
  /** When a change of backend is undone if it is not done; ISO 8601. */
  readonly deadline: string;
  readonly by: string;
  /** The config in force; undefined: none yet. */
  readonly config: NetworkConfig | undefined;
}

export function refusedChange(code: ErrorCode, message: string): Planned {
  return { kind: "refused", code, message };
}
