/**
 * A file that tells other programs of this node's network: written whole, only when what it
 * says has changed (container runtimes read their folder anew at every write), and tried again
 * when it could not be.
 */
import { errorFields, type Logger } from "../../common/log.ts";
import { readFileIfPresent, writeFileAtomic } from "../host/atomic-file.ts";

/** Other users' programs read it, whatever the umask is (contract 2.5). */
const MODE = 0o644;

export class HandOffFile {
  readonly path: string;
  /** "their subnet": what containers are told by it. */
  readonly #tells: string;
  readonly #log: Logger;
  #written: string | undefined;

  constructor(path: string, tells: string, log: Logger) {
    this.path = path;
    this.#tells = tells;
    this.#log = log;
  }

  /** True when the file says so now; false: it could not be written, which is logged. */
  async write(text: string): Promise<boolean> {
    if (text === this.#written) return true;
    try {
      if ((await readFileIfPresent(this.path)) !== text) await this.#replace(text);
    } catch (error) {
      this.#log.event("file.failed", `containers cannot be told ${this.#tells}: ${this.path}`, {
        key: this.path,
        ...errorFields(error),
      });
      return false;
    }
    this.#written = text;
    return true;
  }

  async #replace(text: string): Promise<void> {
    await writeFileAtomic(this.path, text, MODE);
    this.#log.event("file.written", `${this.path} tells containers ${this.#tells}`, {
      path: this.path,
    });
  }
}
