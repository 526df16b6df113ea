/**
 * What is remembered of a node under twill/nodes/<name>, also while it holds no lease: its
 * last subnet (so that it gets it back), and what it last advertised. Readable JSON for
 * people with etcdctl; written in the same transaction as the subnets key.
 */

import { isJsonObject } from "../../common/config/json-fields.ts";
import { isName } from "../../common/identity/identity.ts";
import type { LeaseAttrs } from "../../common/lease/lease.ts";
import { decodeLeaseValue } from "../../common/lease/lease-json.ts";
import { formatIp } from "../../common/net/ip.ts";

export interface NodeRecord {
  readonly name: string;
  /** Key of the lease it holds or held last; "" when it never had one. */
  readonly subnet: string;
  /** What it advertised at its last registration. */
  readonly attrs: LeaseAttrs;
  /** ISO 8601, UTC. */
  readonly firstSeen: string;
  readonly lastRegistered: string;
  /** When the lease was given back; "" while it was not. */
  readonly released: string;
  /** Since when an operator keeps the node from having a lease; "" while nobody does. */
  readonly drained: string;
}

/** A node of which nothing is known but that it has a record. */
export function emptyRecord(name: string): NodeRecord {
  const attrs = {
    publicIp: undefined,
    publicIpv6: undefined,
    backendType: "",
    backendData: "",
    backendV6Data: "",
  };
  return { name, subnet: "", attrs, firstSeen: "", lastRegistered: "", released: "", drained: "" };
}

export function encodeNodeRecord(record: NodeRecord): string {
  const { attrs } = record;
  return JSON.stringify({
    subnet: record.subnet,
    publicIP: attrs.publicIp === undefined ? undefined : formatIp(attrs.publicIp),
    publicIPv6: attrs.publicIpv6 === undefined ? undefined : formatIp(attrs.publicIpv6),
    backendType: attrs.backendType === "" ? undefined : attrs.backendType,
    backendData: parsed(attrs.backendData),
    backendV6Data: parsed(attrs.backendV6Data),
    firstSeen: record.firstSeen,
    lastRegistered: record.lastRegistered,
    released: record.released === "" ? undefined : record.released,
    drained: record.drained === "" ? undefined : record.drained,
  });
}

export type DecodedNodeRecord =
  | { readonly kind: "record"; readonly record: NodeRecord }
  | { readonly kind: "malformed"; readonly reason: string };

/** The attributes have flannel's names in another case, so flannel's decoder reads them too. */
export function decodeNodeRecord(name: string, text: string): DecodedNodeRecord {
  if (!isName(name)) return { kind: "malformed", reason: "key does not end in a node name" };
  const value = decodeLeaseValue(text);
  if (value.kind === "malformed") return value;
  // The decoder above has seen that it is a JSON object.
  const json: unknown = JSON.parse(text);
  const fields = new Map(Object.entries(isJsonObject(json) ? json : {}));
  const textOf = (field: string): string => {
    const found = fields.get(field);
    return typeof found === "string" ? found : "";
  };
  return {
    kind: "record",
    record: {
      name,
      subnet: textOf("subnet"),
      attrs: value.attrs,
      firstSeen: textOf("firstSeen"),
      lastRegistered: textOf("lastRegistered"),
      released: textOf("released"),
      drained: textOf("drained"),
    },
  };
}

function parsed(json: string): unknown {
  return json === "" ? undefined : JSON.parse(json);
}
