/**
 * A text that must not be seen: it is printed, logged and serialised as its fingerprint. Whoever
 * needs it asks for it by name (`reveal`), so that every such place can be found.
 */
import { createHash } from "node:crypto";

/** 32 bits of a digest tell two keys of 256 random bits apart and give nothing away. */
const FINGERPRINT_DIGITS = 8;

export class Secret {
  /** Equal for equal texts; short enough to be of no use to anybody. */
  readonly fingerprint: string;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    this.fingerprint = createHash("sha256").update(text).digest("hex").slice(0, FINGERPRINT_DIGITS);
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return `secret:${this.fingerprint}`;
  }

  toJSON(): string {
    return this.toString();
  }
}
