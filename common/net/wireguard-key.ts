/** Keys of WireGuard (Curve25519, or preshared): 32 bytes, written as base64 of 44 characters. */

export type WireguardKey = string & { readonly __brand: "WireguardKey" };

export const WIREGUARD_KEY_BYTES = 32;

/** 43 digits of 6 bits and one "=": exactly 32 bytes; the last digit carries 4 bits. */
const CANONICAL = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** undefined: not the canonical text of 32 bytes. */
export function parseWireguardKey(text: string): WireguardKey | undefined {
  return isWireguardKey(text) ? text : undefined;
}

function isWireguardKey(text: string): text is WireguardKey {
  return CANONICAL.test(text);
}

export function wireguardKeyFromBytes(bytes: Uint8Array): WireguardKey | undefined {
  if (bytes.length !== WIREGUARD_KEY_BYTES) return undefined;
  return parseWireguardKey(Buffer.from(bytes).toString("base64"));
}

export function wireguardKeyBytes(key: WireguardKey): Uint8Array {
  return Buffer.from(key, "base64");
}

/** What stands for "no key" in the kernel's interface. */
export const NO_KEY_BYTES: Uint8Array = new Uint8Array(WIREGUARD_KEY_BYTES);

const NO_KEY = wireguardKeyFromBytes(NO_KEY_BYTES);

export function isZeroKey(key: WireguardKey): boolean {
  return key === NO_KEY;
}
