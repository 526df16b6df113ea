/**
 * The way between two nodes for the console: asked of both kernels and tried with a few packets,
 * as `twillctl explain` does. It costs the nodes a few seconds, so few run at once.
 */
import type { ConsolePath } from "../../common/console/console-path.ts";
import { TwillError } from "../../common/errors.ts";
import { askedPath } from "../../common/explain/asked-path.ts";
import { diagnose } from "../../common/explain/diagnose.ts";
import { gather, outcomeOf } from "../../common/explain/gather.ts";
import { resolveEnd } from "../../common/explain/resolve.ts";
import type { AskNodeRequest } from "../../proto/gen/twill/v1/inspect.ts";
import type { Answer } from "../../proto/gen/twill/v1/node.ts";
import type { LeaseView } from "../view/lease-view.ts";
import { consolePath } from "./hops.ts";

export interface ExplainerParts {
  readonly view: LeaseView;
  /** Throws NODE_UNAVAILABLE. */
  readonly askNode: (request: AskNodeRequest) => Promise<Answer>;
}

const AT_ONCE = 2;

export class Explainer {
  readonly #parts: ExplainerParts;
  #underWay = 0;

  constructor(parts: ExplainerParts) {
    this.#parts = parts;
  }

  /** Ends as `twillctl explain` takes them. Throws what keeps it from being asked. */
  async explain(src: string, dst: string): Promise<ConsolePath> {
    if (this.#underWay >= AT_ONCE) {
      throw new TwillError("NODE_UNAVAILABLE", "other paths are being explained; try again soon");
    }
    this.#underWay += 1;
    try {
      return await this.#explain(src, dst);
    } finally {
      this.#underWay -= 1;
    }
  }

  async #explain(src: string, dst: string): Promise<ConsolePath> {
    const { view, askNode } = this.#parts;
    const config = view.config.accepted?.config;
    if (config === undefined) throw new TwillError("CONFIG_MISSING", "no config is in force");
    const leases = [...view.table.rows.values()].map(({ lease }) => lease);
    const asked = askedPath({ config, leases }, resolveEnd(src, leases), resolveEnd(dst, leases));
    const evidence = await gather(asked, async (node, question, timeoutMs) => {
      const query = { number: 0, timeoutMs, question };
      return outcomeOf(node, await askNode({ node, query, forwarded: false }));
    });
    return consolePath(evidence, diagnose(evidence));
  }
}
