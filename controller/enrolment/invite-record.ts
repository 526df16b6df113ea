/**
 * What is stored of an invitation, below twill/invites/ on an etcd lease that ends it: for
 * whom, and only a hash of its secret. Once used it names the key that used it, so that an
 * answer that was lost can be given again, and nobody else can use it. Pure.
 */
import { isJsonObject } from "../../common/config/json-fields.ts";

export interface InviteRecord {
  readonly node: string;
  readonly addresses: readonly string[];
  readonly secretHash: string;
  /** Fingerprint of the key that enrolled; empty: not used yet. */
  readonly usedBy: string;
}

export function encodeInvite(record: InviteRecord): string {
  return JSON.stringify(record);
}

/** undefined: not readable by this version. */
export function decodeInvite(text: string): InviteRecord | undefined {
  const json = parsed(text);
  if (!isJsonObject(json)) return undefined;
  const { node, addresses, secretHash, usedBy } = json;
  if (typeof node !== "string" || typeof secretHash !== "string") return undefined;
  if (typeof usedBy !== "string" || !Array.isArray(addresses)) return undefined;
  const texts = addresses.filter((address) => typeof address === "string");
  return texts.length === addresses.length
    ? { node, addresses: texts, secretHash, usedBy }
    : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
