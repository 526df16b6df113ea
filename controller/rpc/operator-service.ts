/** What operators see of this replica; twillctl asks every replica and merges the answers. */

import { redactConfig } from "../../common/config/redact-config.ts";
import type { TwillError } from "../../common/errors.ts";
import { formatDigest } from "../../common/lease/lease-digest.ts";
import { leaseToWire } from "../../common/lease/lease-wire.ts";
import type {
  LeaseStatus,
  NodeStatus,
  OperatorServer,
  Status,
  Warning,
} from "../../proto/gen/twill/v1/operator.ts";
import { decodeCandidate } from "../candidate-value.ts";
import type { LeaseRow } from "../view/table-change.ts";
import type { ViewService } from "../view/view-service.ts";
import { answerUnary } from "./answer-unary.ts";

export interface OperatorParts {
  /** This replica's own "host:port". */
  readonly self: string;
  readonly views: ViewService;
  /** Nodes whose streams are served here. */
  readonly nodes: () => readonly NodeStatus[];
  /** Why etcd does not answer; undefined: it does. */
  readonly storeFault: () => TwillError | undefined;
}

export function createOperatorService(parts: OperatorParts, signal: AbortSignal): OperatorServer {
  return { getStatus: answerUnary(signal, { kind: "look" }, async () => describe(parts)) };
}

/** "host:port" of the leader by the election keys; empty while there is none. */
export function leaderAddress(views: ViewService): string {
  const [first] = views.view.table.candidates;
  return (first === undefined ? undefined : decodeCandidate(first.value)?.address) ?? "";
}

/** "host:port" of every replica that stands for election, the leader first. */
export function candidateAddresses(views: ViewService): readonly string[] {
  return views.view.table.candidates.flatMap(({ value }) => decodeCandidate(value)?.address ?? []);
}

function describe(parts: OperatorParts): Status {
  const { view } = parts.views;
  const { table } = view;
  const { accepted } = view.config;
  return {
    instance: view.instance,
    controller: parts.self,
    leader: leaderAddress(parts.views),
    revision: view.chain.head.revision,
    digest: formatDigest(view.published.digest),
    config:
      accepted === undefined
        ? undefined
        : {
            revision: accepted.revision,
            json: redactConfig(accepted.json),
            transition: view.rollout && { alsoJson: "", mark: view.rollout.mark },
          },
    leases: [...table.rows.values()].map(leaseStatus),
    nodes: [...parts.nodes()],
    store: parts.storeFault()?.message ?? "connected",
    warnings: warnings(parts),
    malformedKeys: table.malformed.size,
    controllers: table.candidates.flatMap(({ value }) => {
      const candidate = decodeCandidate(value);
      return candidate === undefined ? [] : [`${candidate.name}@${candidate.address}`];
    }),
  };
}

function leaseStatus(row: LeaseRow): LeaseStatus {
  return {
    lease: leaseToWire(row.lease),
    etcdLease: row.etcdLease === "0" ? "" : BigInt(row.etcdLease).toString(16),
    revision: row.modRevision,
  };
}

/** Codes are stable; docs/cli.md says what to do about each. */
function warnings({ views, storeFault }: OperatorParts): Warning[] {
  const found: Warning[] = [];
  const stale = storeFault();
  if (stale !== undefined) {
    found.push({ code: "STORE_STALE", message: `the table may be old: ${stale.message}` });
  }
  const { fault } = views.view.config;
  if (fault !== undefined) found.push({ code: "CONFIG_FAULTY", message: fault });
  const held = views.view.heldBack.size;
  if (held > 0) {
    const message = `${held} leases ended within seconds; nodes keep their routes until etcd confirms it`;
    found.push({ code: "WITHDRAWALS_HELD", message });
  }
  for (const { key, reason } of views.view.table.malformed.values()) {
    found.push({ code: "KEY_MALFORMED", message: `${key}: ${reason}` });
    if (found.length >= MAX_WARNINGS) break;
  }
  return found;
}

const MAX_WARNINGS = 50;
