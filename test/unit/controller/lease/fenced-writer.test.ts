/** A write whose answer was lost: what was sent may still arrive, at the worst moment. */
import assert from "node:assert/strict";
import { setMaxListeners } from "node:events";
import { describe, it } from "node:test";
import { TwillError } from "../../../../common/errors.ts";
import { FencedWriter } from "../../../../controller/lease/fenced-writer.ts";
import { Ledger } from "../../../../controller/lease/ledger.ts";
import { planRegistration } from "../../../../controller/lease/transaction.ts";
import type { Transaction, TransactionOutcome } from "../../../../controller/store/store.ts";
import { LeaseTable } from "../../../../controller/view/lease-table.ts";
import { FaultyStore } from "../../../support/faulty-store.ts";
import { subnetsOf, vxlanAttrs } from "../../../support/lease-texts.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { MemoryStore } from "../../../support/memory-store.ts";

const KEY = "10.5.1.0-24";
const FENCE = "twill/election/1a";
const TIMEOUT = new TwillError("STORE_TIMEOUT", "no answer");
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

/** The first transaction gets no answer and arrives when the test says so. */
class LateStore extends FaultyStore {
  late: Transaction | undefined;

  override async transact(
    transaction: Transaction,
    signal: AbortSignal,
  ): Promise<TransactionOutcome> {
    if (this.late !== undefined) return super.transact(transaction, signal);
    this.late = transaction;
    throw TIMEOUT;
  }
}

async function scene() {
  const clock = new ManualClock();
  const memory = new MemoryStore(clock);
  const store = new LateStore(memory);
  const token = memory.put(FENCE, "me");
  const leadership = { key: FENCE, token, signal: NEVER };
  const ledger = new Ledger(new LeaseTable(), undefined);
  const writer = new FencedWriter({ store, clock, random: () => 0.5, ledger, leadership });
  const granted = await memory.grantLease(60, NEVER);
  const attrs = vxlanAttrs("10.99.0.1");
  const decision = {
    ...({ kind: "allocate", hinted: false, instead: undefined } as const),
    ...{ subnets: subnetsOf(KEY), attrs },
  };
  const registration = { node: "node-1", decision, stored: undefined, now: "2024" };
  const planned = planRegistration(registration, leadership, granted);
  const arrive = async (): Promise<void> => {
    assert.ok(store.late);
    await memory.transact(store.late, NEVER);
  };
  return { clock, memory, store, writer, planned, granted, arrive };
}

describe("a fenced write without an answer", () => {
  it("is done when it is found", async () => {
    const { clock, memory, store, writer, planned, granted, arrive } = await scene();
    store.refusing.set("list", TIMEOUT);
    const writing = writer.write("node-1", planned, granted);
    await settle();
    await arrive();
    store.refusing.clear();
    await clock.advance(5000);
    assert.equal((await writing).kind, "committed");
    await memory.close();
  });

  it("is undone for good once a revocation was sent, even if it arrives before that", async () => {
    const { clock, memory, store, writer, planned, granted, arrive } = await scene();
    // Sent, but unanswered: nobody knows when it arrives.
    store.refusing.set("revokeLease", TIMEOUT);
    const writing = writer.write("node-1", planned, granted);
    await settle();
    await arrive();
    assert.ok(memory.get(`subnets/${KEY}`));
    await clock.advance(1000);
    store.refusing.clear();
    await clock.advance(5000);
    assert.equal((await writing).kind, "undone");
    assert.equal(memory.get(`subnets/${KEY}`), undefined);
    await memory.close();
  });

  it("fails should it arrive after it was undone", async () => {
    const { memory, writer, planned, granted, arrive } = await scene();
    assert.equal((await writer.write("node-1", planned, granted)).kind, "undone");
    await assert.rejects(arrive(), { code: "LEASE_LOST" });
    assert.equal(memory.get(`subnets/${KEY}`), undefined);
    await memory.close();
  });
});
