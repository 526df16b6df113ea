/**
 * What containers are told of their network: subnet.env, and the CNI configuration made of the
 * same values when it is asked for. Containers are only told of a network that is programmed.
 */
import { join } from "node:path";
import { errorFields, type Logger } from "../../common/log.ts";
import { readFileIfPresent } from "../host/atomic-file.ts";
import { CNI_CONFLIST_NAME, renderCniConflist } from "../host/cni-conflist.ts";
import {
  type PreviousEnv,
  parsePreviousEnv,
  renderSubnetEnv,
  type SubnetEnv,
} from "../host/subnet-env.ts";
import { HandOffFile } from "./hand-off-file.ts";

export interface SubnetFilePaths {
  readonly subnetFile: string;
  /** undefined: no CNI configuration is written. */
  readonly cniConfDir: string | undefined;
}

export class SubnetFile {
  readonly #env: HandOffFile;
  readonly #cni: HandOffFile | undefined;
  readonly #log: Logger;

  constructor({ subnetFile, cniConfDir }: SubnetFilePaths, log: Logger) {
    this.#log = log;
    this.#env = new HandOffFile(subnetFile, "their subnet", log);
    this.#cni =
      cniConfDir === undefined
        ? undefined
        : new HandOffFile(cniConflistPath(cniConfDir), "how to join the network", log);
  }

  /** What an earlier run (ours or flannel's) was given; nothing when it cannot be read. */
  async previous(): Promise<PreviousEnv> {
    const { path } = this.#env;
    try {
      return parsePreviousEnv((await readFileIfPresent(path)) ?? "");
    } catch (error) {
      this.#log.event("state.ignored", `${path} is not used`, { key: path, ...errorFields(error) });
      return parsePreviousEnv("");
    }
  }

  /**
   * undefined when all files say so now; else the one that could not be written, which is logged.
   * The CNI list comes last: it is what makes a runtime start containers.
   */
  async write(env: SubnetEnv): Promise<string | undefined> {
    if (!(await this.#env.write(renderSubnetEnv(env)))) return this.#env.path;
    const isDone = this.#cni === undefined || (await this.#cni.write(renderCniConflist(env)));
    return isDone ? undefined : this.#cni?.path;
  }
}

export function cniConflistPath(cniConfDir: string): string {
  return join(cniConfDir, CNI_CONFLIST_NAME);
}
