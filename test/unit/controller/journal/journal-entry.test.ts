/** Entries survive the store, in order of their changes; what cannot be read harms nobody. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  encodeJournalEntry,
  type JournalEntry,
  readJournal,
} from "../../../../controller/journal/journal-entry.ts";
import { JournalPen } from "../../../../controller/journal/journal-pen.ts";

const ENTRY: JournalEntry = {
  at: "2024-05-05T00:00:00.000Z",
  by: "node/a",
  action: "lease.allocated",
  subject: "a",
  changes: [
    { key: "subnets/10.5.1.0-24", before: undefined, after: { value: "{}", forever: false } },
  ],
};

function stored(key: string, value: string, createRevision: number) {
  return { key, value, createRevision, modRevision: createRevision, etcdLease: "0" };
}

describe("the journal's entries", () => {
  it("come back as they were written, with their key's revision", () => {
    const [read] = readJournal([stored("twill/journal/1", encodeJournalEntry(ENTRY), 7)]);
    assert.deepEqual(read, { ...ENTRY, key: "twill/journal/1", revision: 7 });
  });

  it("are in the order of what they tell, not of their writing", () => {
    const late = encodeJournalEntry({ ...ENTRY, subject: "late", revision: 3 });
    const entries = [
      stored("twill/journal/1", encodeJournalEntry(ENTRY), 7),
      stored("twill/journal/2", late, 8),
    ];
    assert.deepEqual(
      readJournal(entries).map(({ subject, revision }) => [subject, revision]),
      [
        ["late", 3],
        ["a", 7],
      ],
    );
  });

  it("that cannot be read are left out", () => {
    const values = ["", "[]", "{}", '{"at":1}', encodeJournalEntry(ENTRY).replace("lease", "x")];
    const entries = values.map((value, index) => stored(`twill/journal/${index}`, value, index));
    assert.deepEqual(readJournal(entries), []);
  });

  it("have keys that sort by leader and then by time", () => {
    const old = new JournalPen({ token: 99 }, "l");
    const young = new JournalPen({ token: 100 }, "l");
    const keys = [old, old, young].map((pen) => pen.write(ENTRY).key);
    assert.deepEqual(keys, keys.toSorted());
    assert.equal(new Set(keys).size, 3);
  });
});
