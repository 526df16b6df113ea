/**
 * `twillctl pki`: a small CA for labs and small fleets. Every verb is a function of the
 * folder, the request and the time, and answers with the lines to print.
 */
import { TwillError } from "../../common/errors.ts";
import {
  formatIdentity,
  type Identity,
  isName,
  isTrustDomain,
} from "../../common/identity/identity.ts";
import { parseIp } from "../../common/net/ip.ts";
import {
  createAuthority,
  createRevocationList,
  issue,
  type KeyPair,
  readCertificate,
} from "../../common/pki/authority.ts";
import type { IssuedRecord, PkiDir } from "./pki-dir.ts";

export const CA_DAYS = 3650;
export const CERTIFICATE_DAYS = 90;
/** A revocation list is made anew at every revoke and rotate; old ones must not live for ever. */
const CRL_DAYS = 365;

export interface IssueOptions {
  readonly role: string;
  readonly name: string;
  readonly admin: boolean;
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly days: number;
  /** Folder for the files; default the CA's own. */
  readonly out: string | undefined;
  readonly nowMs: number;
}

export async function initAuthority(
  dir: PkiDir,
  options: { readonly trustDomain: string; readonly days: number; readonly nowMs: number },
): Promise<string[]> {
  if (!isTrustDomain(options.trustDomain)) {
    throw invalid(`"${options.trustDomain}" is no trust domain: lower-case letters, digits, . - _`);
  }
  const authority = await createAuthority(options.trustDomain, options);
  await dir.create(options.trustDomain, authority);
  await dir.writeRevocationList(
    await createRevocationList(authority, [], crlValidity(options.nowMs)),
  );
  return [
    `CA for spiffe://${options.trustDomain} in ${dir.path}`,
    "Give ca.crt and crl.pem to every controller, ca.crt to every node. Keep ca.key to yourself.",
  ];
}

export async function issueCertificate(dir: PkiDir, options: IssueOptions): Promise<string[]> {
  const identity = identityFor(await dir.trustDomain(), options);
  for (const ip of options.ip) {
    if (parseIp(ip) === undefined) throw invalid(`"${ip}" is no IP address`);
  }
  const pair = await issue(await dir.authority(), {
    identity,
    altNames: { dns: options.dns, ip: options.ip },
    validity: options,
  });
  const fileName = `${identity.role}-${identity.name}`;
  const out = options.out ?? dir.path;
  await dir.writeKeyPair(fileName, pair, out);
  await dir.record(recordOf(pair, identity, options));
  return [`${formatIdentity(identity)}: ${out}/${fileName}.crt and .key, ${options.days} days`];
}

/** Revokes by serial number or by identity (every certificate of it that is still valid). */
export async function revokeCertificates(
  dir: PkiDir,
  options: { readonly which: string; readonly nowMs: number },
): Promise<string[]> {
  const issued = await dir.issued();
  const chosen = issued.filter(
    (record) => record.revokedMs === 0 && isMeant(record, options.which),
  );
  if (chosen.length === 0) {
    throw invalid(`no valid certificate matches "${options.which}"; see twillctl pki list`);
  }
  const serials = new Set(chosen.map((record) => record.serial));
  const updated = issued.map((record) =>
    serials.has(record.serial) ? { ...record, revokedMs: options.nowMs } : record,
  );
  await dir.replace(updated);
  await publishRevocations(dir, updated, options.nowMs);
  return [
    ...chosen.map((record) => `revoked ${record.identity} ${record.serial}`),
    `Copy ${dir.path}/crl.pem to the controllers: they read it again by themselves.`,
  ];
}

/** Issues every valid node, controller and operator certificate again, with new keys. */
export async function rotateCertificates(
  dir: PkiDir,
  options: {
    readonly days: number;
    readonly nowMs: number;
    readonly reissue: (record: IssuedRecord) => IssueOptions;
  },
): Promise<string[]> {
  const issued = await dir.issued();
  const valid = issued.filter((r) => r.revokedMs === 0 && r.notAfterMs > options.nowMs);
  const newest = new Map(valid.map((record) => [record.identity, record]));
  const lines: string[] = [];
  for (const record of newest.values()) {
    lines.push(...(await issueCertificate(dir, options.reissue(record))));
  }
  await publishRevocations(dir, await dir.issued(), options.nowMs);
  return lines;
}

async function publishRevocations(
  dir: PkiDir,
  issued: readonly IssuedRecord[],
  nowMs: number,
): Promise<void> {
  const serials = issued
    .filter((r) => r.revokedMs > 0 && r.notAfterMs > nowMs)
    .map((r) => r.serial);
  const crl = await createRevocationList(await dir.authority(), serials, crlValidity(nowMs));
  await dir.writeRevocationList(crl);
}

function identityFor(trustDomain: string, options: IssueOptions): Identity {
  const { role, name, admin } = options;
  if (!isName(name)) throw invalid(`"${name}" is no name: letters, digits, . - _, at most 253`);
  switch (role) {
    case "node":
    case "controller":
      if (admin) throw invalid(`--admin is for operators; a ${role} certificate cannot have it`);
      return { role, trustDomain, name };
    case "operator":
      return { role, trustDomain, name, admin };
    default:
      throw invalid(`"${role}" is no role; use node, controller or operator`);
  }
}

function recordOf(pair: KeyPair, identity: Identity, options: IssueOptions): IssuedRecord {
  const facts = readCertificate(pair.certificatePem);
  return {
    serial: facts.serial,
    identity: formatIdentity(identity),
    addresses: [...options.dns, ...options.ip],
    issuedMs: options.nowMs,
    notAfterMs: facts.notAfterMs,
    revokedMs: 0,
  };
}

function isMeant(record: IssuedRecord, which: string): boolean {
  return (
    record.serial === which.toLowerCase() ||
    record.identity === which ||
    record.identity.endsWith(`/${which}`)
  );
}

function crlValidity(nowMs: number): { nowMs: number; days: number } {
  return { nowMs, days: CRL_DAYS };
}

function invalid(message: string): TwillError {
  return new TwillError("OPTION_INVALID", message);
}
