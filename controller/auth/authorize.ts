/**
 * Who may do what, as one pure table. A caller is what its certificate says; plaintext callers
 * may do everything, because whoever runs with --insecure has decided so. Every refusal says
 * who asked what, and what would be needed.
 */
import type { FoundIdentity, Identity } from "../../common/identity/identity.ts";
import type { Ip } from "../../common/net/ip.ts";
import { formatIp, parseIp, sameIp } from "../../common/net/ip.ts";

export type Verb =
  /** Speak as this node: the stream, its lease, its reports. */
  | { readonly kind: "be-node"; readonly node: string }
  /** Ask the leader for a node's lease, on the node's behalf. */
  | { readonly kind: "allocate" }
  /** Read what operators see. */
  | { readonly kind: "look" }
  /** Change leases, nodes and config. */
  | { readonly kind: "change" }
  /** Become a node by a token: the token decides, not who asks. */
  | { readonly kind: "enrol" }
  /** Have one's own certificate made anew. */
  | { readonly kind: "renew" };

/** undefined: plaintext. */
export type Caller = FoundIdentity | undefined;

/** Why not; undefined: it may. */
export function refusalOf(caller: Caller, verb: Verb): string | undefined {
  if (caller === undefined) return undefined;
  if (caller.kind === "none") return caller.reason;
  return mayDo(caller.identity, verb) ? undefined : describe(caller.identity, verb);
}

function mayDo(identity: Identity, verb: Verb): boolean {
  switch (verb.kind) {
    case "be-node":
      return identity.role === "node" && identity.name === verb.node;
    case "allocate":
      return identity.role === "controller";
    case "look":
      return identity.role === "operator" || identity.role === "controller";
    case "change":
      return identity.role === "operator" && identity.admin;
    case "enrol":
      return true;
    case "renew":
      return identity.role === "node";
  }
}

function describe({ role, name }: Identity, verb: Verb): string {
  const who = `the certificate is that of ${role} ${name}`;
  switch (verb.kind) {
    case "be-node":
      return `${who}, so it cannot speak for node ${verb.node}`;
    case "allocate":
      return `${who}; only controllers may ask for nodes' leases`;
    case "look":
      return `${who}; operators' verbs need an operator certificate`;
    case "change":
      return `${who}; changes need an administrator's certificate (twillctl pki operator --admin)`;
    case "enrol":
      return who;
    case "renew":
      return `${who}; only nodes have theirs renewed by controllers`;
  }
}

/**
 * A node certificate with IP SANs may advertise those addresses and no others: a stolen
 * certificate cannot draw another machine's traffic. Without IP SANs any address is allowed.
 */
export function addressRefusalOf(
  caller: Caller,
  advertised: readonly (Ip | undefined)[],
): string | undefined {
  if (caller?.kind !== "identity" || caller.addresses.length === 0) return undefined;
  const allowed = caller.addresses.map(parseIp).filter((ip) => ip !== undefined);
  const foreign = advertised.find(
    (ip) => ip !== undefined && !allowed.some((one) => sameIp(one, ip)),
  );
  if (foreign === undefined) return undefined;
  const { name } = caller.identity;
  return (
    `node ${name} may not advertise ${formatIp(foreign)}: ` +
    `its certificate allows ${caller.addresses.join(", ")}`
  );
}
