/**
 * This node's WireGuard key (contract 3.5): base64 in a file of mode 0400, made when there is
 * none. Below /run it is new after every reboot, as with flannel; below --state-dir it stays.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { TwillError } from "../../common/errors.ts";
import {
  parseWireguardKey,
  type WireguardKey,
  wireguardKeyBytes,
  wireguardKeyFromBytes,
} from "../../common/net/wireguard-key.ts";
import { Secret } from "../../common/text/secret.ts";
import type { WireguardIdentity } from "../plan/backend-planner.ts";
import { readFileIfPresent, writeFileAtomic } from "./atomic-file.ts";

const MODE = 0o400;

/** The beginning of an X25519 private key in PKCS #8 (RFC 8410 section 7); 32 bytes follow. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");

/** TwillError FILE_FAILED when the file cannot be read, written, or holds something else. */
export async function loadWireguardKey(path: string): Promise<WireguardIdentity> {
  const text = await readFileIfPresent(path);
  if (text === undefined) return makeKey(path);
  const privateKey = parseWireguardKey(text.trim());
  if (privateKey !== undefined) return identityOf(privateKey);
  throw new TwillError(
    "FILE_FAILED",
    `${path} holds no WireGuard key (44 characters of base64, as "wg genkey" prints them); ` +
      "put the key back, or remove the file and a new key is made",
    { context: { path } },
  );
}

async function makeKey(path: string): Promise<WireguardIdentity> {
  const { privateKey } = generateKeyPairSync("x25519");
  const key = keyText(privateKey, "d");
  await writeFileAtomic(path, `${key}\n`, MODE);
  return identityOf(key);
}

function identityOf(privateKey: WireguardKey): WireguardIdentity {
  const der = Buffer.concat([PKCS8_PREFIX, wireguardKeyBytes(privateKey)]);
  const publicKey = createPublicKey(createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
  return { privateKey: new Secret(privateKey), publicKey: keyText(publicKey, "x") };
}

/** Member `d` (private) or `x` (public) of the key as a JWK (RFC 8037). */
function keyText(key: KeyObject, member: "d" | "x"): WireguardKey {
  const text = key.export({ format: "jwk" })[member];
  const bytes = Buffer.from(text ?? "", "base64url");
  const found = wireguardKeyFromBytes(bytes);
  if (found === undefined) throw new TwillError("BUG", "an X25519 key is not 32 bytes long");
  return found;
}
