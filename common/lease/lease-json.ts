/** flannel's lease value, byte for byte as Go's encoder writes it (contract 1.2). */
import { formatIp, type Ip, isUnspecified, parseIp, parseIp4 } from "../net/ip.ts";
import type { LeaseAttrs } from "./lease.ts";

/** Encodes with flannel's field order and Go's escapes; `PublicIP` and `PublicIPv6` always present. */
export function encodeLeaseValue(attrs: LeaseAttrs): string {
  const ip = attrs.publicIp === undefined ? "0.0.0.0" : formatIp(attrs.publicIp);
  const ip6 = attrs.publicIpv6 === undefined ? "null" : `"${formatIp(attrs.publicIpv6)}"`;
  const fields = [`"PublicIP":"${ip}"`, `"PublicIPv6":${ip6}`];
  if (attrs.backendType !== "") fields.push(`"BackendType":${goString(attrs.backendType)}`);
  if (attrs.backendData !== "") fields.push(`"BackendData":${goEscape(attrs.backendData)}`);
  if (attrs.backendV6Data !== "") fields.push(`"BackendV6Data":${goEscape(attrs.backendV6Data)}`);
  return `{${fields.join(",")}}`;
}

function goString(text: string): string {
  return goEscape(JSON.stringify(text));
}

/** Go's encoder writes these five as \u escapes inside strings (they occur nowhere else in JSON). */
function goEscape(json: string): string {
  return json.replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Real values have a few hundred characters; a snapshot part on the stream has 64 KiB. */
export const MAX_LEASE_VALUE_LENGTH = 32_768;

/**
 * The text as Go's encoder would compact it; undefined when it is not JSON, or nested too
 * deeply to be written again. For backend data that comes from outside.
 */
export function compactJson(text: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export type DecodedLeaseValue =
  | { readonly kind: "lease"; readonly attrs: LeaseAttrs }
  | { readonly kind: "malformed"; readonly reason: string };

/**
 * Decodes as real flanneld does: names case-insensitive, unknown ones ignored, a missing
 * PublicIP is 0.0.0.0, a wrong one rejects the whole lease. The reason names the field.
 */
export function decodeLeaseValue(text: string): DecodedLeaseValue {
  if (text.length > MAX_LEASE_VALUE_LENGTH) {
    return malformed(`value is longer than ${MAX_LEASE_VALUE_LENGTH} characters`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return malformed("value is not JSON");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    return malformed("value is not a JSON object");
  }
  const fields = new Map(
    Object.entries(parsed).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const publicIp = decodePublicIp(fields.get("publicip"));
  if (publicIp === "malformed") return malformed("PublicIP is not an IPv4 address in quotes");
  const publicIpv6 = decodePublicIpv6(fields.get("publicipv6"));
  if (publicIpv6 === "malformed") return malformed("PublicIPv6 is not an IP address in quotes");
  const backendType: unknown = fields.get("backendtype") ?? "";
  if (typeof backendType !== "string") return malformed("BackendType is not a string");
  const backendData = rawJson(fields.get("backenddata"));
  const backendV6Data = rawJson(fields.get("backendv6data"));
  if (backendData === "malformed" || backendV6Data === "malformed") {
    return malformed("backend data is nested too deeply");
  }
  const attrs = { publicIp, publicIpv6, backendType, backendData, backendV6Data };
  return { kind: "lease", attrs };
}

function malformed(reason: string): DecodedLeaseValue {
  return { kind: "malformed", reason };
}

function decodePublicIp(value: unknown): Ip | undefined | "malformed" {
  if (value === undefined) return undefined;
  const ip = typeof value === "string" ? parseIp4(value) : undefined;
  if (ip === undefined) return "malformed";
  return isUnspecified(ip) ? undefined : ip;
}

/** An IPv4 literal is accepted and stored as mapped (contract 1.2). */
function decodePublicIpv6(value: unknown): Ip | undefined | "malformed" {
  if (value === undefined || value === null) return undefined;
  const ip = typeof value === "string" ? parseIp(value) : undefined;
  if (ip === undefined) return "malformed";
  return ip.family === 4 ? { family: 6, value: 0xffff_0000_0000n | ip.value } : ip;
}

function rawJson(value: unknown): string | "malformed" {
  if (value === undefined || value === null) return "";
  try {
    return JSON.stringify(value);
  } catch {
    // V8 writes JSON recursively (but reads it without recursion): a RangeError.
    return "malformed";
  }
}
