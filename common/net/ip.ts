/**
 * IP addresses of both families as one value type. The only address parser: text goes
 * in at the edges, arithmetic happens on bigint, and IPv6 prints as RFC 5952 says (which
 * is also how flannel's Go code prints it).
 */

export type Family = 4 | 6;

/** An address: `value` is the address as an unsigned integer of 32 or 128 bits. */
export interface Ip {
  readonly family: Family;
  readonly value: bigint;
}

/** Number of bits of an address of this family. */
export function addressBits(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** Largest address of this family. */
export function maxAddress(family: Family): bigint {
  return (1n << BigInt(addressBits(family))) - 1n;
}

export function ip4(value: bigint): Ip {
  return { family: 4, value };
}

export function ip6(value: bigint): Ip {
  return { family: 6, value };
}

/** Parses dotted IPv4 (no leading zeros, as Go) or IPv6 text; undefined when it is neither. */
export function parseIp(text: string): Ip | undefined {
  return text.includes(":") ? parseIp6(text) : parseIp4(text);
}

export function parseIp4(text: string): Ip | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part)) return undefined;
    const octet = Number(part);
    if (octet > 255) return undefined;
    value = (value << 8n) | BigInt(octet);
  }
  return ip4(value);
}

export function parseIp6(text: string): Ip | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array<number>(missing).fill(0), ...tail]) {
    value = (value << 16n) | BigInt(group);
  }
  return ip6(value);
}

/** Groups of one side of "::"; a dotted quad may stand for the last two groups. */
function parseGroups(text: string, mayEndInQuad: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (mayEndInQuad && index === parts.length - 1 && part.includes(".")) {
      const quad = parseIp4(part);
      if (quad === undefined) return undefined;
      groups.push(Number(quad.value >> 16n), Number(quad.value & 0xffffn));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

export function formatIp(ip: Ip): string {
  return ip.family === 4 ? formatIp4(ip.value) : formatIp6(ip.value);
}

function formatIp4(value: bigint): string {
  const n = Number(value);
  return `${(n >>> 24) & 255}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups as "::". */
function formatIp6(value: bigint): string {
  const groups: string[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) {
    groups.push(((value >> shift) & 0xffffn).toString(16));
  }
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let end = start;
    while (end < 8 && groups[end] === "0") end += 1;
    if (end - start > best.length) best = { start, length: end - start };
  }
  if (best.start < 0) return groups.join(":");
  const head = groups.slice(0, best.start).join(":");
  const tail = groups.slice(best.start + best.length).join(":");
  return `${head}::${tail}`;
}

/** Network byte order, 4 or 16 bytes. */
export function ipToBytes(ip: Ip): Uint8Array {
  const length = addressBits(ip.family) / 8;
  const bytes = new Uint8Array(length);
  let rest = ip.value;
  for (let index = length - 1; index >= 0; index -= 1) {
    bytes[index] = Number(rest & 255n);
    rest >>= 8n;
  }
  return bytes;
}

/** The address in 4 or 16 bytes of network byte order; throws RangeError on another length. */
export function ipFromBytes(bytes: Uint8Array): Ip {
  if (bytes.length !== 4 && bytes.length !== 16) {
    throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
  }
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

export function sameIp(a: Ip, b: Ip): boolean {
  return a.family === b.family && a.value === b.value;
}

/** All-zero address: flannel's "unset". */
export function isUnspecified(ip: Ip): boolean {
  return ip.value === 0n;
}

/** RFC 1918 and RFC 4193: addresses that mean something inside one site only. */
export function isPrivate({ family, value }: Ip): boolean {
  if (family === 6) return value >> 121n === 0xfcn >> 1n;
  return value >> 24n === 10n || value >> 20n === 0xac1n || value >> 16n === 0xc0a8n;
}
