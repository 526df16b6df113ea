/** What stands above all lists of the console: who leads, the revision, the network, what is wrong. */
import type {
  ConsoleController,
  ConsoleHead,
  ConsoleRange,
} from "../../common/console/console-state.ts";
import { formatDigest } from "../../common/lease/lease-digest.ts";
import { formatCidr } from "../../common/net/cidr.ts";
import { formatIp } from "../../common/net/ip.ts";
import { decodeCandidate } from "../candidate-value.ts";
import type { LeaseView } from "../view/lease-view.ts";

export interface HeadParts {
  readonly view: LeaseView;
  /** This replica's own "host:port". */
  readonly self: string;
  readonly version: string;
  readonly leaseTtlSeconds: number;
  /** Why the table may be old; "": it is not. */
  readonly storeFault: string;
  /** Why another replica does not answer ("" when it does), by address; absent: not asked. */
  readonly answers: ReadonlyMap<string, string>;
}

const MAX_WARNINGS = 50;

export function consoleHead(parts: HeadParts): ConsoleHead {
  const { view, self, version, leaseTtlSeconds, storeFault } = parts;
  const { accepted } = view.config;
  const controllers = controllersOf(parts);
  const ranges = [accepted?.config.v4, accepted?.config.v6].filter((range) => range !== undefined);
  return {
    instance: view.instance,
    version,
    controller: self,
    leader: controllers.at(0)?.address ?? "",
    controllers,
    revision: view.chain.head.revision,
    digest: formatDigest(view.table.digest),
    storeFault,
    backend: accepted?.config.backend.type ?? "",
    configRevision: accepted?.revision ?? 0,
    ranges: ranges.map(
      (range): ConsoleRange => ({
        network: formatCidr(range.network),
        subnetLen: range.subnetLen,
        subnetMin: formatIp(range.subnetMin),
        subnetMax: formatIp(range.subnetMax),
      }),
    ),
    leaseTtlSeconds,
    warnings: warningsOf(parts),
  };
}

function controllersOf({ view, self, answers }: HeadParts): readonly ConsoleController[] {
  return view.table.candidates.flatMap(({ value }) => {
    const candidate = decodeCandidate(value);
    if (candidate === undefined) return [];
    const { name, address, console = "" } = candidate;
    const fault = address === self ? "" : answers.get(address);
    return [{ name, address, console, fault: fault ?? "", isAsked: fault !== undefined }];
  });
}

/** The codes are those of `twillctl status`; docs/cli.md says what to do about each. */
function warningsOf({ view, storeFault, answers }: HeadParts): ConsoleHead["warnings"] {
  const found: { code: string; message: string }[] = [];
  if (storeFault !== "") {
    found.push({ code: "STORE_STALE", message: `the table may be old: ${storeFault}` });
  }
  if (view.config.fault !== undefined) {
    found.push({ code: "CONFIG_FAULTY", message: view.config.fault });
  }
  if (view.table.candidates.length === 0) {
    const message = "nobody leads: running nodes go on, new ones wait; is etcd healthy?";
    found.push({ code: "NO_LEADER", message });
  }
  for (const [address, fault] of answers) {
    if (fault !== "") found.push({ code: "CONTROLLER_SILENT", message: `${address}: ${fault}` });
  }
  for (const { key, reason } of view.table.malformed.values()) {
    found.push({ code: "KEY_MALFORMED", message: `${key}: ${reason}` });
    if (found.length >= MAX_WARNINGS) break;
  }
  return found.slice(0, MAX_WARNINGS);
}
