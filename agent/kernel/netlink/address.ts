/** Interface addresses as rtnetlink messages (struct ifaddrmsg), both families in one path. */
import type { AddressSpec } from "../../plan/kernel-state.ts";
import type { AddressState } from "../kernel.ts";
import { AF_INET6, NLM_F_CREATE_REPLACE, NLM_F_DUMP, RTM, SCOPE } from "./constants.ts";
import { afOf } from "./families.ts";
import { Attributes, type Message } from "./message.ts";
import type { ChangeHead, MessageWriter } from "./writer.ts";

const IFADDRMSG_BYTES = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_TEMPORARY = 0x01;
const IFA_F_DEPRECATED = 0x20;
const IFA_F_PERMANENT = 0x80;

const attributes = new Attributes();

export function encodeAddress(
  writer: MessageWriter,
  { op, index, seq }: ChangeHead,
  address: AddressSpec,
): void {
  if (op === "put") writer.begin(RTM.NEWADDR, NLM_F_CREATE_REPLACE, seq);
  else writer.begin(RTM.DELADDR, 0, seq);
  writer.u8(afOf(address.ip));
  writer.u8(address.prefix);
  writer.u16(0);
  writer.u32(index);
  writer.attributeIp(IFA_LOCAL, address.ip);
  writer.attributeIp(IFA_ADDRESS, address.ip);
  writer.end();
}

export function encodeAddressDump(writer: MessageWriter, seq: number): void {
  writer.begin(RTM.GETADDR, NLM_F_DUMP, seq);
  writer.u32(0);
  writer.u32(0);
  writer.end();
}

/** undefined: malformed, or on a device that has no name (any more). */
export function decodeAddress(
  message: Message,
  nameOf: (index: number) => string | undefined,
): AddressState | undefined {
  if (message.bodyLength < IFADDRMSG_BYTES) return undefined;
  const found = message.attributes(IFADDRMSG_BYTES, attributes);
  // On a point-to-point link ADDRESS is the peer's and LOCAL our own.
  const ip = found.ip(IFA_LOCAL) ?? found.ip(IFA_ADDRESS);
  const device = nameOf(message.u32(4));
  if (ip === undefined || device === undefined) return undefined;
  const flags = found.u32(IFA_FLAGS) ?? message.u8(2);
  return {
    device,
    ip,
    prefix: message.u8(1),
    scope: scopeName(message.u8(3)),
    permanent: (flags & IFA_F_PERMANENT) !== 0,
    // IPv4 uses this bit for "secondary".
    temporary: message.u8(0) === AF_INET6 && (flags & IFA_F_TEMPORARY) !== 0,
    deprecated: (flags & IFA_F_DEPRECATED) !== 0,
  };
}

function scopeName(scope: number): AddressState["scope"] {
  if (scope === SCOPE.UNIVERSE) return "global";
  if (scope === SCOPE.LINK) return "link";
  return scope === SCOPE.HOST ? "host" : "other";
}
