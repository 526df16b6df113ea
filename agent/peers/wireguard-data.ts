/** The WireGuard part of a peer: flannel's backend data `{"PublicKey":"…","Port":51820}` (contract 1.2). */
import { isZeroKey, parseWireguardKey, type WireguardKey } from "../../common/net/wireguard-key.ts";
import { parseFields } from "./backend-data.ts";

export type ReadWireguard =
  | { readonly kind: "key"; readonly publicKey: WireguardKey; readonly port: number }
  | { readonly kind: "invalid"; readonly reason: string };

export interface OwnWireguard {
  readonly publicKey: WireguardKey;
  /** What a peer without a Port listens on: flannel before v0.26.6 says none. */
  readonly listenPort: number;
}

const MAX_PORT = 65_535;

/** Reads as Go does: field names in any case, unknown ones ignored. `field` names the lease's field. */
export function readWireguard(text: string, field: string, own: OwnWireguard): ReadWireguard {
  if (text === "") return invalid(`it has no ${field}`);
  const data = parseFields(text);
  if (data === undefined) return invalid(`${field} is not a JSON object`);
  const keyText = data.get("publickey");
  if (keyText === undefined) return invalid(`PublicKey is missing from ${field}`);
  const publicKey = typeof keyText === "string" ? parseWireguardKey(keyText) : undefined;
  if (publicKey === undefined || isZeroKey(publicKey)) {
    return invalid(`PublicKey ${JSON.stringify(keyText)} is not the base64 text of a key`);
  }
  if (publicKey === own.publicKey) return invalid(`PublicKey ${publicKey} is this node's own`);
  const port = data.get("port") ?? 0;
  if (typeof port !== "number" || !Number.isInteger(port) || port < 0 || port > MAX_PORT) {
    return invalid(`Port ${JSON.stringify(port)} is no port`);
  }
  return { kind: "key", publicKey, port: port === 0 ? own.listenPort : port };
}

function invalid(reason: string): ReadWireguard {
  return { kind: "invalid", reason };
}
