/** What netlink messages and attributes have in common, read or written. */
import { endianness } from "node:os";

/** Headers and attributes are in the host's byte order, addresses and ports in the network's. */
export const HOST_IS_LITTLE_ENDIAN = endianness() === "LE";
export const HEADER_BYTES = 16;
export const ATTRIBUTE_HEADER_BYTES = 4;

/** Messages and attributes begin at multiples of four. */
export function alignToWord(length: number): number {
  return (length + 3) & ~3;
}
