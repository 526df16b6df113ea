/** Hands the TLS material in force to grpc-js's server, and what replaces it later. */
import type { experimental } from "@grpc/grpc-js";
import type { TlsMaterial } from "./tls-material.ts";

export class MaterialProvider implements experimental.CertificateProvider {
  readonly #onAuthorities = new Set<experimental.CaCertificateUpdateListener>();
  readonly #onIdentity = new Set<experimental.IdentityCertificateUpdateListener>();
  #material: TlsMaterial;

  constructor(material: TlsMaterial) {
    this.#material = material;
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  replace(material: TlsMaterial): void {
    this.#material = material;
    for (const listener of this.#onAuthorities) listener(this.#authorities());
    for (const listener of this.#onIdentity) listener(this.#identity());
  }

  // grpc-js listens before it is ready to be told: the first word comes a moment later.
  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#onAuthorities.add(listener);
    queueMicrotask(() => listener(this.#authorities()));
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#onIdentity.add(listener);
    queueMicrotask(() => listener(this.#identity()));
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#onAuthorities.delete(listener);
  }

  removeIdentityCertificateListener(
    listener: experimental.IdentityCertificateUpdateListener,
  ): void {
    this.#onIdentity.delete(listener);
  }

  #authorities(): experimental.CaCertificateUpdate {
    return { caCertificate: this.#material.ca };
  }

  #identity(): experimental.IdentityCertificateUpdate {
    return { certificate: this.#material.certificate, privateKey: this.#material.key };
  }
}
