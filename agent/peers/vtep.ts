/** The VXLAN part of a peer: flannel's backend data `{"VNI":1,"VtepMAC":"7e:3f:…"}` (contract 1.2). */
import { isUnicastMac, type Mac, parseMac } from "../../common/net/mac.ts";
import { parseFields } from "./backend-data.ts";
import type { Peer } from "./peer.ts";

export type ReadVtep =
  | { readonly kind: "vtep"; readonly mac: Mac }
  | { readonly kind: "invalid"; readonly reason: string };

/** What this node's own VTEP is: a peer with another VNI or our MAC cannot be reached by it. */
export interface OwnVtep {
  readonly vni: number;
  readonly mac: Mac;
}

/** Reads as Go does: field names in any case, unknown ones ignored. A VNI may be absent. */
export function readVtep(peer: Peer, own: OwnVtep): ReadVtep {
  const field = peer.family === 4 ? "BackendData" : "BackendV6Data";
  if (peer.backendData === "") return invalid(`it has no ${field}`);
  const data = parseFields(peer.backendData);
  if (data === undefined) return invalid(`${field} is not a JSON object`);
  const vni = data.get("vni");
  if (vni !== undefined && vni !== own.vni) {
    return invalid(`its VNI is ${JSON.stringify(vni)}, this network's is ${own.vni}`);
  }
  const text = data.get("vtepmac");
  if (text === undefined) return invalid(`VtepMAC is missing from ${field}`);
  const mac = typeof text === "string" ? parseMac(text) : undefined;
  if (mac === undefined)
    return invalid(`VtepMAC ${JSON.stringify(text)} is not a MAC of six bytes`);
  if (!isUnicastMac(mac)) return invalid(`VtepMAC ${mac} is no unicast address`);
  if (mac === own.mac) return invalid(`VtepMAC ${mac} is this node's own`);
  return { kind: "vtep", mac };
}

function invalid(reason: string): ReadVtep {
  return { kind: "invalid", reason };
}
