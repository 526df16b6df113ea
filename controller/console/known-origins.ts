/**
 * Origins of the replicas' consoles, also of those that are gone: the page of a controller that
 * died goes on with another one, whose view has forgotten the dead one's candidacy by then.
 */
import type { ConsoleController } from "../../common/console/console-state.ts";

/** Replicas are few; what restarts on ever new ports is forgotten, the oldest first. */
const MOST = 32;

export class KnownOrigins {
  readonly #seen = new Set<string>();

  get all(): readonly string[] {
    return [...this.#seen];
  }

  add(controllers: readonly ConsoleController[]): void {
    for (const { console: origin } of controllers) {
      if (origin === "") continue;
      this.#seen.delete(origin);
      this.#seen.add(origin);
    }
    for (const origin of this.#seen) {
      if (this.#seen.size <= MOST) break;
      this.#seen.delete(origin);
    }
  }
}
