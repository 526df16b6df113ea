/** Follows a watch in the background and keeps what it says, to compare with what was written. */
import { TaskGroup } from "../../common/async/task-group.ts";
import type { Revision } from "../../common/lease/lease.ts";
import type { ChangeSet, Store } from "../../controller/store/store.ts";
import { until } from "./until.ts";

export class WatchRecorder implements AsyncDisposable {
  readonly changes: ChangeSet[] = [];
  readonly #group = new TaskGroup();

  constructor(store: Store, range: string, after: Revision) {
    this.#group.spawn(async (signal) => {
      for await (const change of store.watch(range, after, signal)) this.changes.push(change);
    });
  }

  get revisions(): readonly Revision[] {
    return this.changes.map((change) => change.revision);
  }

  get last(): Revision {
    return this.changes.at(-1)?.revision ?? 0;
  }

  /** Waits until the watch has told of this revision. */
  async reaches(revision: Revision, timeoutMs = 30_000): Promise<void> {
    await until(`the watch tells of revision ${revision}`, () => this.last >= revision, timeoutMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#group.abort();
    await this.#group.join();
  }
}
