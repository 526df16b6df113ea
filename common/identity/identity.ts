/**
 * Who a certificate speaks for: one SPIFFE-style URI SAN (SPIFFE-ID, RFC 3986 path):
 *   spiffe://<trust domain>/node/<name>              an agent; may act for that node only
 *   spiffe://<trust domain>/controller/<name>        a controller replica
 *   spiffe://<trust domain>/operator/<name>          reads everything, changes nothing
 *   spiffe://<trust domain>/operator/<name>/admin    may also change things
 * Any CA that writes such a SAN works; docs/security.md has the rules.
 */
export type Identity =
  | { readonly role: "node"; readonly trustDomain: string; readonly name: string }
  | { readonly role: "controller"; readonly trustDomain: string; readonly name: string }
  | {
      readonly role: "operator";
      readonly trustDomain: string;
      readonly name: string;
      readonly admin: boolean;
    };

export type Role = Identity["role"];

/** Node and operator names: what is safe in a path, a key and a log line. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,252}$/;
/** SPIFFE: lower-case letters, digits, dots, dashes, underscores. */
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;

export function isName(text: string): boolean {
  return NAME.test(text);
}

export function isTrustDomain(text: string): boolean {
  return TRUST_DOMAIN.test(text);
}

export function formatIdentity(identity: Identity): string {
  const base = `spiffe://${identity.trustDomain}/${identity.role}/${identity.name}`;
  return identity.role === "operator" && identity.admin ? `${base}/admin` : base;
}

/** Parses one URI; undefined when it is not an identity of ours. */
export function parseIdentity(uri: string): Identity | undefined {
  const match = /^spiffe:\/\/([^/]+)\/(node|controller|operator)\/([^/]+)(\/admin)?$/.exec(uri);
  const [, trustDomain = "", role = "", name = "", admin] = match ?? [];
  if (!isTrustDomain(trustDomain) || !isName(name)) return undefined;
  if (role === "operator") return { role, trustDomain, name, admin: admin !== undefined };
  if (admin !== undefined) return undefined;
  return role === "node" || role === "controller" ? { role, trustDomain, name } : undefined;
}

export type FoundIdentity =
  | {
      readonly kind: "identity";
      readonly identity: Identity;
      /** IP SANs: for nodes, the underlay addresses they may advertise; empty: any. */
      readonly addresses: readonly string[];
    }
  | { readonly kind: "none"; readonly reason: string };

/**
 * The identity in a certificate's subjectaltname text as Node prints it ("URI:…, DNS:…").
 * Exactly one identity URI is accepted: two would let a certificate choose who it is.
 */
export function identityOfAltNames(altNames: string | undefined): FoundIdentity {
  const uris = (altNames ?? "").split(/,\s*/).filter((name) => name.startsWith("URI:"));
  const identities = uris
    .map((uri) => parseIdentity(uri.slice(4).replaceAll('"', "")))
    .filter((identity) => identity !== undefined);
  const [identity] = identities;
  if (identity === undefined) {
    return { kind: "none", reason: "the certificate has no spiffe:// URI SAN that Twill knows" };
  }
  if (uris.length > 1) {
    return { kind: "none", reason: "the certificate has more than one URI SAN" };
  }
  return { kind: "identity", identity, addresses: addressesOf(altNames ?? "") };
}

function addressesOf(altNames: string): string[] {
  return altNames
    .split(/,\s*/)
    .filter((name) => name.startsWith("IP Address:"))
    .map((name) => name.slice("IP Address:".length));
}
