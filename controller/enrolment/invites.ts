/**
 * Invitations in the store: made by an administrator, used by one key, gone by themselves. Any
 * replica may do both: a transaction that names the invitation's own revision lets exactly one
 * key use it, whoever asks whom at the same time.
 */

import {
  formatJoinToken,
  isSecret,
  type JoinToken,
  secretHash,
} from "../../common/enrolment/join-token.ts";
import { TwillError } from "../../common/errors.ts";
import type { JournalAction } from "../journal/journal-entry.ts";
import { JournalPen } from "../journal/journal-pen.ts";
import type { Entry, Store, Write } from "../store/store.ts";
import { INVITES } from "../view/keys.ts";
import { decodeInvite, encodeInvite, type InviteRecord } from "./invite-record.ts";

export interface InvitesParts {
  readonly store: Pick<Store, "list" | "transact" | "grantLease">;
  readonly wallMs: () => number;
  readonly randomBytes: (length: number) => Buffer;
  /** Fencing token of who leads, as it is known here: the journal sorts by it. */
  readonly leaderToken: () => number;
}

export interface InviteWish {
  readonly node: string;
  readonly addresses: readonly string[];
  readonly ttlSeconds: number;
  /** Who asked, for the journal: "operator/alice". */
  readonly by: string;
  /** What the token says of this cluster. */
  readonly authority: string;
  readonly address: string;
}

export class Invites {
  readonly #parts: InvitesParts;

  constructor(parts: InvitesParts) {
    this.#parts = parts;
  }

  async create(wish: InviteWish, signal: AbortSignal): Promise<{ token: string; expires: string }> {
    const { store, wallMs, randomBytes } = this.#parts;
    const { node, addresses, ttlSeconds, by, authority, address } = wish;
    const invite = randomBytes(8).toString("hex");
    const secret = randomBytes(32).toString("base64url");
    const etcdLease = await store.grantLease(ttlSeconds, signal);
    const key = `${INVITES}${invite}`;
    const record = { node, addresses, secretHash: secretHash(secret), usedBy: "" };
    const put: Write = { op: "put", key, value: encodeInvite(record), etcdLease };
    const expires = new Date(wallMs() + ttlSeconds * 1000).toISOString();
    const entry = this.#journal("node.invited", { by, subject: node }, invite);
    const compares = [{ key, createRevision: 0 }];
    const writes = [put, entry];
    await store.transact({ compares, writes, onConflict: [] }, signal);
    return { token: formatJoinToken({ invite, secret, authority, address }), expires };
  }

  /** What the token allows; `keyFingerprint` is the only key that may use it from now on. */
  async use(token: JoinToken, keyFingerprint: string, signal: AbortSignal): Promise<InviteRecord> {
    const { store } = this.#parts;
    const key = `${INVITES}${token.invite}`;
    const { entries } = await store.list(key, { signal });
    const entry = entries.find((one) => one.key === key);
    const record = entry && decodeInvite(entry.value);
    // One answer for all that is wrong with a token: nobody learns which invitations exist.
    if (entry === undefined || record === undefined || !isSecret(token.secret, record.secretHash)) {
      throw refusedToken("is not known here: it has expired, or it is of another cluster");
    }
    if (record.usedBy === keyFingerprint) return record;
    if (record.usedBy !== "") throw refusedToken("was used already, by another key");
    return this.#consume(entry, { ...record, usedBy: keyFingerprint }, signal);
  }

  async #consume(entry: Entry, used: InviteRecord, signal: AbortSignal): Promise<InviteRecord> {
    const { key, modRevision, etcdLease } = entry;
    const put: Write = { op: "put", key, value: encodeInvite(used), etcdLease };
    const by = `node/${used.node}`;
    const invite = key.slice(INVITES.length);
    const told = this.#journal("node.enrolled", { by, subject: used.node }, `${invite}e`);
    const { kind } = await this.#parts.store.transact(
      { compares: [{ key, modRevision }], writes: [put, told], onConflict: [] },
      signal,
    );
    if (kind === "conflict") throw refusedToken("is being used by another key at this moment");
    return used;
  }

  #journal(
    action: JournalAction,
    { by, subject }: { readonly by: string; readonly subject: string },
    author: string,
  ): Write {
    const { leaderToken, wallMs } = this.#parts;
    const pen = new JournalPen({ token: leaderToken() }, author);
    const at = new Date(wallMs()).toISOString();
    return pen.write({ at, by, action, subject, changes: [] });
  }
}

function refusedToken(why: string): TwillError {
  const wayOut = "twillctl node invite makes another one";
  return new TwillError("UNAUTHENTICATED", `the token ${why}; ${wayOut}`);
}
