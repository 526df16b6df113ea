/** Transactions that leave together: all or nothing for the whole, and nobody pays for another. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TwillError } from "../../../../common/errors.ts";
import { fitting, unite, WriteBatch } from "../../../../controller/lease/write-batch.ts";
import type { Transaction, TransactionOutcome } from "../../../../controller/store/store.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { MemoryStore } from "../../../support/memory-store.ts";

const FENCE = "twill/election/1a";
const NEVER = new AbortController().signal;

function creation(key: string, token: number): Transaction {
  return {
    compares: [
      { key: FENCE, createRevision: token },
      { key, createRevision: 0 },
    ],
    writes: [{ op: "put", key, value: "mine", etcdLease: "0" }],
    onConflict: [FENCE, key],
  };
}

/** Holds back what is sent until the test lets go, and remembers it. */
function scene() {
  const memory = new MemoryStore(new ManualClock());
  const token = memory.put(FENCE, "me");
  const sent: Transaction[] = [];
  const held: (() => void)[] = [];
  const store = {
    fault: undefined as TwillError | undefined,
    async transact(transaction: Transaction, signal: AbortSignal): Promise<TransactionOutcome> {
      sent.push(transaction);
      await new Promise<void>((resolve) => held.push(resolve));
      if (store.fault !== undefined && transaction.writes.length > 1) throw store.fault;
      return memory.transact(transaction, signal);
    },
  };
  const batch = new WriteBatch(store, { key: FENCE, token, signal: NEVER });
  const letGo = async (): Promise<void> => {
    while (held.length > 0) {
      for (const go of held.splice(0)) go();
      await settle();
    }
  };
  const writes = (): number[] => sent.map((each) => each.writes.length);
  return { memory, token, store, batch, letGo, writes };
}

describe("a batch of writes", () => {
  it("sends the first at once and gathers the rest while two are under way", async () => {
    const { batch, token, letGo, writes } = scene();
    const answers = ["a", "b", "c", "d", "e"].map((key) => batch.transact(creation(key, token)));
    assert.deepEqual(writes(), [1, 1]);
    await letGo();
    const outcomes = await Promise.all(answers);
    assert.deepEqual(writes(), [1, 1, 3]);
    assert.deepEqual(new Set(outcomes.map(({ kind }) => kind)), new Set(["committed"]));
    const [, , ...together] = outcomes.map(({ revision }) => revision);
    assert.equal(new Set(together).size, 1);
  });

  it("tries each alone when one of them conflicts", async () => {
    const { memory, batch, token, letGo, writes } = scene();
    memory.put("d", "somebody else's");
    const answers = ["a", "b", "c", "d", "e"].map((key) => batch.transact(creation(key, token)));
    await letGo();
    const kinds = (await Promise.all(answers)).map(({ kind }) => kind);
    assert.deepEqual(kinds, ["committed", "committed", "committed", "conflict", "committed"]);
    assert.deepEqual(writes(), [1, 1, 3, 1, 1, 1]);
  });

  it("tells all of a lost leadership without trying each", async () => {
    const { memory, batch, token, letGo, writes } = scene();
    const answers = ["a", "b", "c", "d"].map((key) => batch.transact(creation(key, token)));
    memory.delete(FENCE);
    await letGo();
    const kinds = (await Promise.all(answers)).map(({ kind }) => kind);
    assert.deepEqual(kinds, ["conflict", "conflict", "conflict", "conflict"]);
    assert.deepEqual(writes(), [1, 1, 2]);
  });

  it("leaves the outcome unknown for all when the answer is lost", async () => {
    const { store, batch, token, letGo } = scene();
    store.fault = new TwillError("STORE_TIMEOUT", "no answer");
    const answers = ["a", "b", "c", "d"].map((key) => batch.transact(creation(key, token)));
    const settled = Promise.allSettled(answers);
    await letGo();
    const states = (await settled).map(({ status }) => status);
    assert.deepEqual(states, ["fulfilled", "fulfilled", "rejected", "rejected"]);
  });

  it("tries each alone when one etcd lease of theirs is gone", async () => {
    const { store, batch, token, letGo, writes } = scene();
    store.fault = new TwillError("LEASE_LOST", "etcd: requested lease not found");
    const answers = ["a", "b", "c", "d"].map((key) => batch.transact(creation(key, token)));
    await letGo();
    await Promise.all(answers);
    assert.deepEqual(writes(), [1, 1, 2, 1, 1]);
  });
});

describe("what fits into one transaction", () => {
  it("ends where etcd's limit of operations does", () => {
    const many = Array.from({ length: 300 }, (_, index) => creation(`key${index}`, 7));
    const size = fitting(many);
    const united = unite(many.slice(0, size), FENCE);
    assert.equal(united.compares.length, 128);
    assert.equal(size, 127);
  });

  it("ends before a transaction that touches a key of an earlier one", () => {
    assert.equal(fitting([creation("a", 7), creation("b", 7), creation("a", 7)]), 2);
    const reader = { ...creation("c", 7), compares: [{ key: "a", modRevision: 3 }] };
    assert.equal(fitting([creation("a", 7), reader]), 1);
  });

  it("is one at least", () => {
    const [head] = [creation("a", 7)];
    const keys = Array.from({ length: 200 }, (_, index) => `key${index}`);
    const writes = keys.map((key) => ({ op: "delete" as const, key }));
    assert.equal(fitting([{ ...head, compares: [], onConflict: [], writes }]), 1);
  });
});
