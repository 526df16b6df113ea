/**
 * A connection to one controller, with the settings that were measured (fanout-notes 9).
 * Certificates are read at every connection, so that a rotated one is used without a restart.
 */
import { readFile } from "node:fs/promises";
import { type ChannelCredentials, type ClientOptions, credentials } from "@grpc/grpc-js";
import { TwillError } from "../../common/errors.ts";
import { FabricClient } from "../../proto/gen/twill/v1/fabric.ts";

/** Paths of PEM files; empty: not given. Certificate and key come together or not at all. */
export interface TlsFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** A snapshot part has at most 64 KiB; what is larger than this is no message of ours. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

export const CHANNEL_OPTIONS: Partial<ClientOptions> = {
  // Detects a dead peer in 6 to 10 s and survives stalls below 6 s of either event loop.
  "grpc.keepalive_time_ms": 4000,
  "grpc.keepalive_timeout_ms": 6000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 500,
  "grpc.max_reconnect_backoff_ms": 5000,
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.enable_channelz": 0,
  "grpc.enable_retries": 0,
  // A proxy meant for the web is no way to a controller.
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  // One name may stand for several replicas: spread over its addresses as well.
  "grpc.service_config": JSON.stringify({
    loadBalancingConfig: [{ pick_first: { shuffleAddressList: true } }],
  }),
  // Each attempt is a fresh connection with fresh certificates, not a pooled one.
  "grpc.use_local_subchannel_pool": 1,
};

/** `tls` undefined: plaintext. The caller closes the client. */
export async function openChannel(
  endpoint: string,
  tls: TlsFiles | undefined,
): Promise<FabricClient> {
  return new FabricClient(`dns:${endpoint}`, await readCredentials(tls), CHANNEL_OPTIONS);
}

/** Read anew at every call. */
export async function readCredentials(tls: TlsFiles | undefined): Promise<ChannelCredentials> {
  if (tls === undefined) return credentials.createInsecure();
  const [ca, key, cert] = await Promise.all([
    readPem(tls.caFile, "--tls-ca-file"),
    readPem(tls.keyFile, "--tls-key-file"),
    readPem(tls.certFile, "--tls-cert-file"),
  ]);
  try {
    return credentials.createSsl(ca, key, cert);
  } catch (error) {
    throw unusable(`${tls.caFile} ${tls.certFile} ${tls.keyFile}`, "the TLS files", error);
  }
}

async function readPem(path: string, option: string): Promise<Buffer | null> {
  if (path === "") return null;
  try {
    return await readFile(path);
  } catch (error) {
    throw unusable(path, option, error);
  }
}

function unusable(path: string, what: string, cause: unknown): TwillError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TwillError("FILE_FAILED", `cannot use ${what} (${path.trim()}): ${reason}`, {
    cause,
    context: { path },
  });
}
