/** Undoing the journal brings back what was, for any history; and what it does not know it says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { KeyState, WrittenEntry } from "../../../../controller/journal/journal-entry.ts";
import { pastAt, revisionAt } from "../../../../controller/journal/past.ts";
import type { Entry } from "../../../../controller/store/store.ts";

const KEYS = ["config", "subnets/10.5.1.0-24", "subnets/10.5.2.0-24"];

interface Told {
  readonly journal: readonly WrittenEntry[];
  /** The states after each revision; the first is before them all. */
  readonly states: readonly ReadonlyMap<string, KeyState>[];
}

/** A history of puts and deletes, one per revision from 11 on. */
function tell(steps: readonly { readonly key: string; readonly value: string }[]): Told {
  const journal: WrittenEntry[] = [];
  const states: ReadonlyMap<string, KeyState>[] = [new Map([["config", state("{}")]])];
  for (const [index, { key, value }] of steps.entries()) {
    const last = new Map(states.at(-1));
    const before = last.get(key);
    const after = value === "" ? undefined : state(value);
    if (after === undefined) last.delete(key);
    else last.set(key, after);
    states.push(last);
    const revision = 11 + index;
    const at = new Date(revision * 1000).toISOString();
    const what = { by: "node/a", action: "lease.updated", subject: "a" } as const;
    const changes = [{ key, before, after }];
    journal.push({ ...what, key: `twill/journal/${revision}`, at, revision, changes });
  }
  return { journal, states };
}

function state(value: string): KeyState {
  return { value, forever: true };
}

function entriesOf(states: ReadonlyMap<string, KeyState> | undefined): Entry[] {
  return [...(states ?? [])].map(([key, { value }]) => ({
    ...{ key, value, etcdLease: "0", createRevision: 1, modRevision: 1 },
  }));
}

const step = fc.record({ key: fc.constantFrom(...KEYS), value: fc.constantFrom("", "1", "2") });

describe("the past", () => {
  it("is at every revision what it was then", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        const { journal, states } = tell(steps);
        const entries = entriesOf(states.at(-1));
        for (const [index, expected] of states.entries()) {
          const past = pastAt({ journal, entries, revision: 99 }, 10 + index);
          assert.ok(past.kind === "past");
          const found = past.keys.map(({ key, value }) => [key, value]);
          const wanted = [...expected].map(([key, { value }]) => [key, value]);
          assert.deepEqual(found, wanted.toSorted());
        }
      }),
    );
  });

  it("names the entry that made each key what it was", () => {
    const { journal, states } = tell([
      { key: "config", value: "1" },
      { key: "config", value: "2" },
    ]);
    const past = pastAt({ journal, entries: entriesOf(states.at(-1)), revision: 12 }, 11);
    assert.ok(past.kind === "past");
    assert.equal(past.keys[0]?.changed?.revision, 11);
  });

  it("is forgotten before the first entry", () => {
    const { journal, states } = tell([{ key: "config", value: "1" }]);
    const past = pastAt({ journal, entries: entriesOf(states.at(-1)), revision: 12 }, 9);
    assert.deepEqual(past, { kind: "forgotten", since: 10 });
    const empty = pastAt({ journal: [], entries: [], revision: 12 }, 11);
    assert.deepEqual(empty, { kind: "forgotten", since: 12 });
  });

  it("has a revision for every time", () => {
    const { journal } = tell([
      { key: "config", value: "1" },
      { key: "config", value: "2" },
    ]);
    assert.equal(revisionAt(journal, "1970-01-01T00:00:11.500Z"), 11);
    assert.equal(revisionAt(journal, "1970-01-01T00:00:12.000Z"), 12);
    assert.equal(revisionAt(journal, "1970-01-01T00:00:10.000Z"), 0);
  });
});
