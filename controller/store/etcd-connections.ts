/**
 * One etcd3 client per endpoint: etcd3 with several hosts draws one at random for every call,
 * a hung one as readily as a live one. Its own fault handling is switched off. TLS files are
 * read again when a handshake fails, so renewed certificates need no restart.
 */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext, rootCertificates } from "node:tls";
import type { ChannelOptions } from "@grpc/grpc-js";
import { noop } from "cockatiel";
import { Etcd3, type IOptions } from "etcd3";
import { TwillError } from "../../common/errors.ts";
import type { EtcdOptions, EtcdTlsFiles } from "./etcd-options.ts";

type Credentials = NonNullable<IOptions["credentials"]>;

/** A watch's catch-up and a page of keys pass grpc-js' 4 MiB easily (10.7 MB was measured). */
const MAX_RECEIVE_BYTES = 256 * 1024 * 1024;

const CHANNEL_OPTIONS: ChannelOptions = {
  // A hung member is noticed within 8 s. etcd answers pings more frequent than 5 s, or on
  // connections without calls, with GOAWAY (measured).
  "grpc.keepalive_time_ms": 6_000,
  "grpc.keepalive_timeout_ms": 2_000,
  "grpc.keepalive_permit_without_calls": 0,
  "grpc.max_receive_message_length": MAX_RECEIVE_BYTES,
  // Which endpoint to try, and when, is decided in etcd-endpoints.ts and etcd-retry.ts.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
};

export class EtcdConnections {
  readonly #tls: EtcdTlsFiles | undefined;
  readonly #clients = new Map<string, Etcd3>();
  #credentials: Credentials | undefined;
  #reloading: Promise<boolean> | undefined;
  #isClosed = false;

  private constructor(tls: EtcdTlsFiles | undefined, credentials: Credentials | undefined) {
    this.#tls = tls;
    this.#credentials = credentials;
  }

  /** Reads the TLS files; connects only when called. Throws OPTION_INVALID for unusable files. */
  static async open(options: EtcdOptions): Promise<EtcdConnections> {
    const credentials = options.tls === undefined ? undefined : await readTls(options.tls);
    return new EtcdConnections(options.tls, credentials);
  }

  client(endpoint: string): Etcd3 {
    if (this.#isClosed) throw new TwillError("SHUTTING_DOWN", "the store was closed");
    const known = this.#clients.get(endpoint);
    if (known !== undefined) return known;
    const client = new Etcd3({
      hosts: endpoint,
      ...(this.#credentials === undefined ? {} : { credentials: this.#credentials }),
      grpcOptions: CHANNEL_OPTIONS,
      faultHandling: { host: () => noop, global: noop },
    });
    this.#clients.set(endpoint, client);
    return client;
  }

  /** Reads the TLS files again; true when they have changed and the next call uses them. */
  reloadTls(): Promise<boolean> {
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = undefined;
    });
    return this.#reloading;
  }

  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  /** Closes the channels; calls under way may end, new ones make new clients. */
  #drop(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  async #reload(): Promise<boolean> {
    if (this.#tls === undefined) return false;
    // Half-written files are read again at the next failure.
    const fresh = await readTls(this.#tls).catch(() => undefined);
    if (fresh === undefined || sameCredentials(fresh, this.#credentials)) return false;
    this.#credentials = fresh;
    this.#drop();
    return true;
  }
}

async function readTls(files: EtcdTlsFiles): Promise<Credentials> {
  const { caFile, identity } = files;
  const ca = caFile === undefined ? undefined : await readOption("--etcd-cafile", caFile);
  const pair =
    identity === undefined
      ? {}
      : {
          certChain: await readOption("--etcd-certfile", identity.certFile),
          privateKey: await readOption("--etcd-keyfile", identity.keyFile),
        };
  checkTls(files, { ca, cert: pair.certChain, key: pair.privateKey });
  return { rootCertificate: ca ?? Buffer.from(rootCertificates.join("\n")), ...pair };
}

async function readOption(option: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TwillError("OPTION_INVALID", `${option}: ${why}`, { cause: error });
  }
}

interface TlsTexts {
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
}

/** Fails now and by name for what would else be a handshake error later. */
function checkTls(files: EtcdTlsFiles, { ca, cert, key }: TlsTexts): void {
  try {
    // createSecureContext takes any text for a CA and then trusts nobody.
    if (ca !== undefined) new X509Certificate(ca);
    createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const names = [files.caFile, files.identity?.certFile, files.identity?.keyFile]
      .filter((name) => name !== undefined)
      .join(", ");
    throw new TwillError("OPTION_INVALID", `etcd TLS files (${names}): ${why}`, { cause: error });
  }
}

function sameCredentials(a: Credentials, b: Credentials | undefined): boolean {
  const same = (x: Buffer | undefined, y: Buffer | undefined): boolean =>
    x === undefined || y === undefined ? x === y : x.equals(y);
  return (
    b !== undefined &&
    same(a.rootCertificate, b.rootCertificate) &&
    same(a.privateKey, b.privateKey) &&
    same(a.certChain, b.certChain)
  );
}
