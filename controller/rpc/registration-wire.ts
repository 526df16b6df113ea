/** Registrations on the wire: an agent's Register to what is decided upon, and the answer back. */
import { isName } from "../../common/identity/identity.ts";
import { leaseToWire } from "../../common/lease/lease-wire.ts";
import { parseSubnetKey } from "../../common/lease/subnet-key.ts";
import { type Ip, isUnspecified, parseIp4, parseIp6 } from "../../common/net/ip.ts";
import type {
  ControllerMessage,
  Register,
  Refused as WireRefused,
  Registered as WireRegistered,
} from "../../proto/gen/twill/v1/fabric.ts";
import type { Refused, Registered } from "../lease/allocator.ts";
import type { RegistrationRequest } from "../lease/decide.ts";

/** flannel's largest BackendData is a WireGuard key of 44 characters; extensions write a little more. */
const MAX_DATA_BYTES = 4096;

const BACKEND_TYPE = /^[a-z0-9-]{0,32}$/;

export type DecodedRegister =
  | { readonly kind: "request"; readonly request: RegistrationRequest }
  | { readonly kind: "malformed"; readonly reason: string };

/** Checks every field; the reason names the field. */
export function decodeRegister(node: string, register: Register | undefined): DecodedRegister {
  if (!isName(node)) return malformed("the node's name is not one");
  if (register === undefined) return malformed("nothing was asked");
  const publicIp = optionalIp(register.publicIp, parseIp4);
  if (publicIp === "malformed") return malformed("public_ip is not an IPv4 address");
  const publicIpv6 = optionalIp(register.publicIpv6, parseIp6);
  if (publicIpv6 === "malformed") return malformed("public_ipv6 is not an IPv6 address");
  const { backendType } = register;
  if (!BACKEND_TYPE.test(backendType)) return malformed("backend_type is not a backend's name");
  const backendData = jsonText(register.backendData);
  if (backendData === undefined) return malformed("backend_data is not JSON of at most 4 KiB");
  const backendV6Data = jsonText(register.backendV6Data);
  if (backendV6Data === undefined) return malformed("backend_v6_data is not JSON of at most 4 KiB");
  const previous =
    register.previousSubnet === "" ? undefined : parseSubnetKey(register.previousSubnet);
  if (register.previousSubnet !== "" && previous === undefined) {
    return malformed("previous_subnet is not a subnet key");
  }
  const attrs = { publicIp, publicIpv6, backendType, backendData, backendV6Data };
  return { kind: "request", request: { node, attrs, previous } };
}

/** The answer as a message of the node's stream. */
export function answerMessage(
  request: number,
  answer: Registered | Refused,
): ControllerMessage["body"] {
  return answer.kind === "registered"
    ? { $case: "registered", value: registeredToWire(request, answer) }
    : { $case: "refused", value: refusedToWire(request, answer) };
}

export function registeredToWire(request: number, answer: Registered): WireRegistered {
  const { lease, ttlSeconds, reused } = answer;
  return { request, lease: leaseToWire(lease), ttlSeconds, reused };
}

export function refusedToWire(request: number, refused: Refused): WireRefused {
  const { code, message, retryAfterMs } = refused;
  return { request, code, message, retryAfterMs };
}

function malformed(reason: string): DecodedRegister {
  return { kind: "malformed", reason };
}

function optionalIp(
  text: string,
  parse: (text: string) => Ip | undefined,
): Ip | undefined | "malformed" {
  if (text === "") return undefined;
  const ip = parse(text);
  return ip === undefined || isUnspecified(ip) ? "malformed" : ip;
}

/**
 * The JSON as it will stand in etcd and come back from there, so that equal data is equal
 * text; empty: none, which flannel also takes null for. undefined when it is not JSON.
 */
function jsonText(text: string): string | undefined {
  if (text === "") return text;
  if (Buffer.byteLength(text) > MAX_DATA_BYTES) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return value === null ? "" : JSON.stringify(value);
  } catch {
    return undefined;
  }
}
