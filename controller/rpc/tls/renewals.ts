/**
 * Who has shown a newer certificate with the same names from the same host: the connections that
 * began with the older one count until the newer one ends, so that renewing drops no stream. Pure
 * bookkeeping.
 */
import { hostOf } from "../hello-admission.ts";
import type { PeerCertificate } from "./peer-certificate.ts";

interface Peer {
  readonly address: string;
  readonly certificate: PeerCertificate | undefined;
}

export class Renewals {
  /** Of every holder: the end of its newest certificate, and its open connections. */
  readonly #holders = new Map<string, { notAfterMs: number; readonly open: Set<string> }>();
  readonly #holderOf = new Map<string, string>();

  /** The first call of a connection was admitted. */
  shown({ address, certificate }: Peer): void {
    if (certificate === undefined) return;
    const key = `${hostOf(address)} ${certificate.names}`;
    const holder = this.#holders.get(key) ?? { notAfterMs: 0, open: new Set() };
    holder.notAfterMs = Math.max(holder.notAfterMs, certificate.notAfterMs);
    holder.open.add(address);
    this.#holders.set(key, holder);
    this.#holderOf.set(address, key);
  }

  closed(address: string): void {
    const key = this.#holderOf.get(address);
    if (key === undefined) return;
    this.#holderOf.delete(address);
    const holder = this.#holders.get(key);
    holder?.open.delete(address);
    if (holder?.open.size === 0) this.#holders.delete(key);
  }

  asRenewed<P extends Peer>(peer: P): P {
    const { address, certificate } = peer;
    const key = this.#holderOf.get(address);
    const newest = key === undefined ? undefined : this.#holders.get(key)?.notAfterMs;
    if (certificate === undefined || newest === undefined || newest <= certificate.notAfterMs) {
      return peer;
    }
    return { ...peer, certificate: { ...certificate, notAfterMs: newest } };
  }
}
