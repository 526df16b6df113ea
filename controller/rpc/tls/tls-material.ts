/**
 * What this replica's TLS files hold, read together and checked together: a certificate whose
 * key was not written yet, or a list that no CA here signed, is found before it is in force.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { TwillError } from "../../../common/errors.ts";
import {
  NOTHING_REVOKED,
  type RevocationList,
  readRevocationLists,
} from "../../../common/pki/revocation-list.ts";
import type { ServerTlsFiles } from "../../options.ts";

export interface TlsMaterial {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Bytes of the list's file; empty: no file was named. */
  readonly list: Buffer;
  readonly revocations: RevocationList;
}

/** Throws OPTION_INVALID naming the file that cannot be used, and why. */
export async function readTlsMaterial(files: ServerTlsFiles): Promise<TlsMaterial> {
  const [ca, certificate, key] = await Promise.all([
    readPem(files.caFile),
    readPem(files.certFile),
    readPem(files.keyFile),
  ]);
  const list = files.crlFile === "" ? Buffer.alloc(0) : await readPem(files.crlFile);
  using(files.caFile, () => new X509Certificate(ca));
  const own = using(files.certFile, () => new X509Certificate(certificate));
  const privateKey = using(files.keyFile, () => createPrivateKey(key));
  if (!own.checkPrivateKey(privateKey)) {
    throw unusable(files.keyFile, new RangeError(`it is not the key of ${files.certFile}`));
  }
  const revocations = await readLists(files, list, ca);
  return { ca, certificate, key, list, revocations };
}

/** The files that differ, by name. */
export function changedFiles(
  files: ServerTlsFiles,
  before: TlsMaterial,
  after: TlsMaterial,
): readonly string[] {
  const pairs = [
    { file: files.caFile, isSame: before.ca.equals(after.ca) },
    { file: files.certFile, isSame: before.certificate.equals(after.certificate) },
    { file: files.keyFile, isSame: before.key.equals(after.key) },
    { file: files.crlFile, isSame: before.list.equals(after.list) },
  ];
  return pairs.filter(({ isSame }) => !isSame).map(({ file }) => file);
}

async function readLists(files: ServerTlsFiles, list: Buffer, ca: Buffer): Promise<RevocationList> {
  if (files.crlFile === "") return NOTHING_REVOKED;
  try {
    return await readRevocationLists(list.toString("utf8"), ca.toString("utf8"));
  } catch (error) {
    throw unusable(files.crlFile, error);
  }
}

function using<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw unusable(path, error);
  }
}

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw unusable(path, error);
  }
}

function unusable(path: string, cause: unknown): TwillError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new TwillError("OPTION_INVALID", `cannot use ${path}: ${why}`, { cause });
}
