/**
 * Who is who in a lab: machine names, their addresses on the underlay and the names of
 * their namespaces. One /16 for all: nodes in 10.99.0, controllers in 10.99.1, etcd
 * members in 10.99.2; the last byte is the machine's number, and IPv6 says the same.
 */
export type Role = "node" | "controller" | "etcd";

export interface MachineId {
  readonly role: Role;
  /** Counts from 1. */
  readonly index: number;
  /** "node3": host name, and name of its port on the switch. */
  readonly name: string;
  readonly ip: string;
  readonly ip6: string;
  /** MAC of its eth0. */
  readonly mac: string;
}

const THIRD_BYTE: Readonly<Record<Role, number>> = { node: 0, controller: 1, etcd: 2 };
const MAX_INDEX = 250;

export const UNDERLAY_PREFIX = 16;
export const UNDERLAY_PREFIX6 = 64;
/** The switch itself: a default route that leads nowhere, because agents look for one. */
export const GATEWAY = "10.99.255.254";
export const GATEWAY6 = "fd99::ff:fe";

export function machineId(role: Role, index: number): MachineId {
  if (!(Number.isInteger(index) && index >= 1 && index <= MAX_INDEX)) {
    throw new RangeError(`${role} numbers go from 1 to ${MAX_INDEX}, not ${index}`);
  }
  const third = THIRD_BYTE[role];
  const hex = [third, index].map((byte) => byte.toString(16).padStart(2, "0"));
  return {
    role,
    index,
    name: `${role}${index}`,
    ip: `10.99.${third}.${index}`,
    ip6:
      third === 0
        ? `fd99::${hex[1]?.replace(/^0/, "")}`
        : `fd99::${third}:${hex[1]?.replace(/^0/, "")}`,
    mac: `02:54:57:00:${hex[0]}:${hex[1]}`,
  };
}

/** undefined when the text names no machine. */
export function parseMachineName(text: string): MachineId | undefined {
  const match = /^(node|controller|etcd)([1-9][0-9]{0,2})$/.exec(text);
  const role = roleOf(match?.[1]);
  const index = Number(match?.[2]);
  return role === undefined || !(index <= MAX_INDEX) ? undefined : machineId(role, index);
}

function roleOf(text: string | undefined): Role | undefined {
  return text === "node" || text === "controller" || text === "etcd" ? text : undefined;
}

export function machineIds(role: Role, count: number): MachineId[] {
  return Array.from({ length: count }, (_, index) => machineId(role, index + 1));
}

/** Lab names are part of file and namespace names; no dash, so that no name is another's prefix. */
export function isLabName(text: string): boolean {
  return /^[a-z][a-z0-9]{0,19}$/.test(text);
}

/** Every namespace of a lab begins with this. */
export function namespacePrefix(lab: string): string {
  return `twl-${lab}-`;
}

export function switchNamespace(lab: string): string {
  return `${namespacePrefix(lab)}switch`;
}

export function machineNamespace(lab: string, machine: MachineId): string {
  return `${namespacePrefix(lab)}${machine.name}`;
}
