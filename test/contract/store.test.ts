/** The Store suite against the memory store and against a real etcd. */
import { after, before, describe } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type EtcdCluster, startEtcd } from "../support/etcd-server.ts";
import { openEtcdStore } from "../support/etcd-store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryStore } from "../support/memory-store.ts";
import { type StoreUnderTest, storeContract } from "../support/store-contract.ts";

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

describe("with a real etcd", () => {
  let etcd: EtcdCluster;
  let prefixes = 0;
  before(async () => {
    etcd = await startEtcd();
  });
  after(() => etcd.close());

  const open = async (): Promise<StoreUnderTest> => {
    prefixes += 1;
    const store = await openEtcdStore(etcd.endpoints, { prefix: `/test/${prefixes}` });
    return {
      store,
      compact: async (revision) => {
        await etcd.etcdctl("compact", `${revision}`);
      },
      // The suite waits for the deletion itself.
      outlast: () => delay(0),
      [Symbol.asyncDispose]: () => store.close(),
    };
  };
  storeContract("etcd", open);
});
