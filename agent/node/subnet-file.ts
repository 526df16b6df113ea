/**
 * subnet.env on disk: written when what it says has changed, atomically, and tried again when
 * it could not be. Containers are only told of a network that is programmed.
 */
import { errorFields, type Logger } from "../../common/log.ts";
import { readFileIfPresent, writeFileAtomic } from "../host/atomic-file.ts";
import {
  type PreviousEnv,
  parsePreviousEnv,
  renderSubnetEnv,
  type SubnetEnv,
} from "../host/subnet-env.ts";

/** Other users' programs read it, whatever the umask is (contract 2.5). */
const MODE = 0o644;

export class SubnetFile {
  readonly #path: string;
  readonly #log: Logger;
  #written: string | undefined;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** What an earlier run (ours or flannel's) was given; nothing when it cannot be read. */
  async previous(): Promise<PreviousEnv> {
    try {
      return parsePreviousEnv((await readFileIfPresent(this.#path)) ?? "");
    } catch (error) {
      this.#log.event("state.ignored", `${this.#path} is not used`, {
        key: this.#path,
        ...errorFields(error),
      });
      return parsePreviousEnv("");
    }
  }

  /** True when the file says so now; false: it could not be written, which is logged. */
  async write(env: SubnetEnv): Promise<boolean> {
    const text = renderSubnetEnv(env);
    if (text === this.#written) return true;
    try {
      await writeFileAtomic(this.#path, text, MODE);
    } catch (error) {
      this.#log.event("file.failed", `containers cannot be told their subnet: ${this.#path}`, {
        key: this.#path,
        ...errorFields(error),
      });
      return false;
    }
    this.#written = text;
    this.#log.event("file.written", `${this.#path} tells containers their subnet`, {
      path: this.#path,
    });
    return true;
  }
}
