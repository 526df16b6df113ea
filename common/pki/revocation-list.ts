/**
 * Revocation lists (RFC 5280, PEM, any number in one text), each checked against the CAs that
 * are trusted: a list that no trusted CA signed revokes nothing and is an error. Certificates are
 * named by issuer and serial number, because two CAs may have given out the same number.
 */
import { X509Certificate } from "node:crypto";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { canonicalSerial } from "./authority.ts";

export interface RevocationList {
  /** Ids as certificateId makes them. */
  readonly revoked: ReadonlySet<string>;
  /** When the first of the lists is due to be replaced; Infinity: none says. */
  readonly nextUpdateMs: number;
}

export const NOTHING_REVOKED: RevocationList = {
  revoked: new Set(),
  nextUpdateMs: Number.POSITIVE_INFINITY,
};

/** Throws RangeError when a list is not signed by one of the CAs, or is none. */
export async function readRevocationLists(
  listsPem: string,
  authoritiesPem: string,
): Promise<RevocationList> {
  const authorities = pemBlocks(authoritiesPem).map((der) => new x509.X509Certificate(der));
  const lists = pemBlocks(listsPem).map((der) => new x509.X509Crl(der));
  if (lists.length === 0) throw new RangeError("there is no PEM block in it");
  const revoked = new Set<string>();
  let nextUpdateMs = Number.POSITIVE_INFINITY;
  for (const list of lists) {
    const issuer = subjectOf(await signerOf(list, authorities));
    for (const { serialNumber } of list.entries) revoked.add(idOf(issuer, serialNumber));
    nextUpdateMs = Math.min(nextUpdateMs, list.nextUpdate?.getTime() ?? nextUpdateMs);
  }
  return { revoked, nextUpdateMs };
}

/** The name of a certificate among all that are trusted. */
export function certificateId({ issuer, serialNumber }: X509Certificate): string {
  return idOf(issuer, serialNumber);
}

async function signerOf(
  list: x509.X509Crl,
  authorities: readonly x509.X509Certificate[],
): Promise<x509.X509Certificate> {
  for (const authority of authorities) {
    if (await list.verify({ publicKey: authority }).catch(() => false)) return authority;
  }
  throw new RangeError(`the revocation list of ${list.issuer} is not signed by a trusted CA`);
}

/** As Node prints the issuer of what it signed. */
function subjectOf(authority: x509.X509Certificate): string {
  return new X509Certificate(Buffer.from(authority.rawData)).subject;
}

function idOf(issuer: string, serial: string): string {
  return `${issuer} ${canonicalSerial(serial)}`;
}

function pemBlocks(pem: string): ArrayBuffer[] {
  return x509.PemConverter.decode(pem);
}
