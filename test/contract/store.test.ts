/** The Store suite against the memory store. */
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryStore } from "../support/memory-store.ts";
import { storeContract } from "../support/store-contract.ts";

storeContract("the memory store", async () => {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  return {
    store,
    compact: async (revision) => store.compact(revision),
    outlast: (seconds) => clock.advance(seconds * 1000),
    [Symbol.asyncDispose]: () => store.close(),
  };
});
