/** Certificates of this replica, read from files: for its server and for asking the leader. */
import { readFile } from "node:fs/promises";
import { type ChannelCredentials, credentials, ServerCredentials } from "@grpc/grpc-js";
import { TwillError } from "../../common/errors.ts";
import type { ServerTlsFiles } from "../options.ts";

export interface ReplicaCredentials {
  readonly server: ServerCredentials;
  readonly channel: ChannelCredentials;
}

/** `tls` undefined: plaintext. Throws OPTION_INVALID naming the file that cannot be used. */
export async function readCredentials(
  tls: ServerTlsFiles | undefined,
): Promise<ReplicaCredentials> {
  if (tls === undefined) {
    return { server: ServerCredentials.createInsecure(), channel: credentials.createInsecure() };
  }
  const [ca, cert, key] = await Promise.all([tls.caFile, tls.certFile, tls.keyFile].map(readPem));
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new TwillError("BUG", "three files were asked for");
  }
  try {
    const pair = [{ cert_chain: cert, private_key: key }];
    return {
      server: ServerCredentials.createSsl(ca, pair, true),
      channel: credentials.createSsl(ca, key, cert),
    };
  } catch (error) {
    const files = `${tls.caFile}, ${tls.certFile}, ${tls.keyFile}`;
    throw unusable(files, error);
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
