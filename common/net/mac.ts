/** Ethernet addresses as canonical text: lower case, colon separated, six bytes. */

declare const macBrand: unique symbol;
/** Canonical MAC text, for example "7e:3f:9b:d9:8f:b6". */
export type Mac = string & { readonly [macBrand]: true };

/** Accepts the forms Go's parser accepts for six bytes: colons, dashes, Cisco dots. */
export function parseMac(text: string): Mac | undefined {
  const hex = /^([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}$/.test(text)
    ? text.replaceAll(".", "")
    : /^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$|^([0-9a-fA-F]{2}-){5}[0-9a-fA-F]{2}$/.test(text)
      ? text.replaceAll(/[:-]/g, "")
      : undefined;
  return hex === undefined ? undefined : macFromHex(hex.toLowerCase());
}

function macFromHex(hex: string): Mac {
  // One of two places where a MAC is made: the text has just been checked.
  return (hex.match(/../g) ?? []).join(":") as Mac;
}

export function macToBytes(mac: Mac): Uint8Array {
  const bytes = new Uint8Array(6);
  writeMac(mac, bytes, 0);
  return bytes;
}

/** Writes the six bytes at `offset`. Called per peer and change, so without garbage. */
export function writeMac(mac: Mac, into: Uint8Array, offset: number): void {
  for (let index = 0; index < 6; index += 1) {
    const high = hexDigit(mac.charCodeAt(3 * index));
    into[offset + index] = (high << 4) | hexDigit(mac.charCodeAt(3 * index + 1));
  }
}

/** Value of a lower-case hexadecimal digit by its character code. */
function hexDigit(code: number): number {
  return code >= 0x61 ? code - 0x61 + 10 : code - 0x30;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** MAC of exactly six bytes; throws RangeError on another length. */
export function macFromBytes(bytes: Uint8Array): Mac {
  if (bytes.length !== 6) throw new RangeError(`a MAC has 6 bytes, not ${bytes.length}`);
  const hex = (index: number): string | undefined => HEX[bytes[index] ?? 0];
  // The other place where a MAC is made: two digits a byte by construction.
  return `${hex(0)}:${hex(1)}:${hex(2)}:${hex(3)}:${hex(4)}:${hex(5)}` as Mac;
}

/** Makes a locally administered unicast address of six random bytes (as flannel's). */
export function localMac(random: Uint8Array): Mac {
  const bytes = Uint8Array.from(random.subarray(0, 6));
  bytes[0] = ((bytes[0] ?? 0) & 0xfe) | 0x02;
  return macFromBytes(bytes);
}

/** A VTEP must be reachable by unicast: neither all zeros nor a group address. */
export function isUnicastMac(mac: Mac): boolean {
  const bytes = macToBytes(mac);
  return ((bytes[0] ?? 1) & 1) === 0 && bytes.some((byte) => byte !== 0);
}
