/**
 * Turns entries into writes that ride in the transaction they tell of, so that nothing is
 * written without being told and nothing told that was not written. Keys sort in the order of
 * writing: the fencing token grows from leader to leader, the count within one.
 */
import { NO_ETCD_LEASE } from "../../common/lease/lease.ts";
import type { Leadership, Write } from "../store/store.ts";
import { JOURNAL } from "../view/keys.ts";
import { encodeJournalEntry, type JournalEntry } from "./journal-entry.ts";

/** Wide enough for every revision that a number can hold exactly. */
const TOKEN_DIGITS = 16;
const COUNT_DIGITS = 9;

export class JournalPen {
  readonly #start: string;
  #count = 0;

  /** `author` tells several pens of one leadership apart: one letter each. */
  constructor({ token }: Pick<Leadership, "token">, author: string) {
    this.#start = `${JOURNAL}${String(token).padStart(TOKEN_DIGITS, "0")}-${author}`;
  }

  write(entry: JournalEntry): Write {
    this.#count += 1;
    const key = this.#start + String(this.#count).padStart(COUNT_DIGITS, "0");
    return { op: "put", key, value: encodeJournalEntry(entry), etcdLease: NO_ETCD_LEASE };
  }
}
