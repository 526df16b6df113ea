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
  // The one place where a MAC is made: the text has just been checked.
  return (hex.match(/../g) ?? []).join(":") as Mac;
}

export function macToBytes(mac: Mac): Uint8Array {
  return Uint8Array.from(mac.split(":"), (byte) => Number.parseInt(byte, 16));
}

/** MAC of exactly six bytes; throws RangeError on another length. */
export function macFromBytes(bytes: Uint8Array): Mac {
  if (bytes.length !== 6) throw new RangeError(`a MAC has 6 bytes, not ${bytes.length}`);
  return macFromHex(Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""));
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
