/**
 * The text of the cached table: what the agent needs to program the kernel at boot when no
 * controller answers. A header line, then one lease a line; the digest in the header must be
 * the digest of the leases, so a torn or edited file is never believed. Pure.
 */

import type { Lease, Revision } from "../../common/lease/lease.ts";
import { digestOf, formatDigest } from "../../common/lease/lease-digest.ts";
import { leaseFromWire, leaseToWire } from "../../common/lease/lease-wire.ts";

const FORMAT = "twill-table";
const VERSION = 1;

export interface CachedTable {
  /** Whose cache it is: a node that was renamed does not start as somebody else. */
  readonly node: string;
  readonly instance: string;
  readonly revision: Revision;
  /** The network config the table belongs to, as it stands in etcd. */
  readonly configRevision: Revision;
  readonly configJson: string;
  /** Key of this node's own lease; empty: it held none. */
  readonly ownKey: string;
  readonly leases: readonly Lease[];
}

export type ParsedTable =
  | { readonly kind: "table"; readonly table: CachedTable }
  | { readonly kind: "corrupt"; readonly reason: string };

export function renderTable(table: CachedTable): string {
  const { leases, ...rest } = table;
  const digest = formatDigest(digestOf(leases));
  const header = { format: FORMAT, version: VERSION, ...rest, leases: leases.length, digest };
  const lines = leases.map((lease) => JSON.stringify(leaseToWire(lease)));
  return `${[JSON.stringify(header), ...lines].join("\n")}\n`;
}

/** Any text to a table, or to why it cannot be used. */
export function parseTable(text: string): ParsedTable {
  const lines = text.split("\n").filter((line) => line !== "");
  const header = new Fields(lines[0] ?? "");
  if (header.text("format") !== FORMAT) return corrupt("it is not a cached table");
  const version = header.number("version");
  if (version !== VERSION) return corrupt(`its version ${version} is not ${VERSION}`);
  const leases: Lease[] = [];
  for (const line of lines.slice(1)) {
    const decoded = parseLease(line);
    if (decoded === undefined) return corrupt(`line ${leases.length + 2} is not a lease`);
    leases.push(decoded);
  }
  if (header.text("digest") !== formatDigest(digestOf(leases))) {
    return corrupt("its digest is not that of its leases");
  }
  const table = {
    node: header.text("node"),
    instance: header.text("instance"),
    revision: header.number("revision"),
    configRevision: header.number("configRevision"),
    configJson: header.text("configJson"),
    ownKey: header.text("ownKey"),
    leases,
  };
  if (header.missing.length > 0) return corrupt(`its header lacks ${header.missing.join(", ")}`);
  return { kind: "table", table };
}

function corrupt(reason: string): ParsedTable {
  return { kind: "corrupt", reason };
}

function parseLease(line: string): Lease | undefined {
  const fields = new Fields(line);
  const decoded = leaseFromWire({
    key: fields.text("key"),
    publicIp: fields.text("publicIp"),
    publicIpv6: fields.text("publicIpv6"),
    backendType: fields.text("backendType"),
    backendData: fields.text("backendData"),
    backendV6Data: fields.text("backendV6Data"),
    node: fields.text("node"),
  });
  return decoded.kind === "lease" && fields.missing.length === 0 ? decoded.lease : undefined;
}

/** A JSON object's fields by type; what is not there or of another type is noted as missing. */
class Fields {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly missing: string[] = [];

  constructor(line: string) {
    this.#object = parseObject(line);
  }

  text(name: string): string {
    const value = this.#object[name];
    if (typeof value === "string") return value;
    this.missing.push(name);
    return "";
  }

  number(name: string): number {
    const value = this.#object[name];
    if (Number.isSafeInteger(value) && typeof value === "number" && value >= 0) return value;
    this.missing.push(name);
    return 0;
  }
}

function parseObject(line: string): Readonly<Record<string, unknown>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return {};
  }
  return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
}
