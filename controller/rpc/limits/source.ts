/** Who a connection comes from, as far as its address tells. Pure. */

/**
 * An IPv4 address; of an IPv6 address the /64, because whoever has one address of it has all
 * (RFC 6177). Text as Node prints a socket's remote address.
 */
export function sourceOf(address: string): string {
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(":")) return address;
  const [head = "", tail] = (address.split("%")[0] ?? "").split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? 0 : tail.split(":").length;
  const zeros = tail === undefined ? 0 : Math.max(8 - groups.length - after, 0);
  const all = [...groups, ...Array<string>(zeros).fill("0"), ...(tail ?? "").split(":")];
  return `${all.slice(0, 4).join(":")}::/64`;
}
