/** An invitation is used by one key, until it expires, and its secret is nowhere in the store. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type JoinToken, parseJoinToken } from "../../../../common/enrolment/join-token.ts";
import type { TwillError } from "../../../../common/errors.ts";
import { Invites, type InviteWish } from "../../../../controller/enrolment/invites.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { MemoryStore } from "../../../support/memory-store.ts";

const WISH: InviteWish = {
  ...{ node: "n1", addresses: ["10.99.0.1"], ttlSeconds: 60, by: "operator/alice" },
  ...{ authority: "a".repeat(43), address: "c1:7475" },
};
const signal = new AbortController().signal;

class Scene {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore(this.clock);
  #random = 0;
  readonly invites = new Invites({
    store: this.store,
    wallMs: () => this.clock.wallMs(),
    leaderToken: () => 7,
    randomBytes: (length) => {
      this.#random += 1;
      return Buffer.alloc(length, this.#random);
    },
  });

  async token(): Promise<JoinToken> {
    const { token } = await this.invites.create(WISH, signal);
    const parsed = parseJoinToken(token);
    assert.ok(parsed);
    return parsed;
  }

  async texts(): Promise<string> {
    const { entries } = await this.store.list("", { signal });
    return entries.map(({ key, value }) => `${key} ${value}`).join("\n");
  }
}

function refused(why: RegExp): (error: TwillError) => boolean {
  return ({ code, message }) => code === "UNAUTHENTICATED" && why.test(message);
}

describe("an invitation", () => {
  it("lets its key in, with the node and addresses it was made for", async () => {
    const scene = new Scene();
    const used = await scene.invites.use(await scene.token(), "key-1", signal);
    assert.equal(used.node, "n1");
    assert.deepEqual(used.addresses, ["10.99.0.1"]);
  });

  it("is refused to another key once it was used, and given again to its own", async () => {
    const scene = new Scene();
    const token = await scene.token();
    await scene.invites.use(token, "key-1", signal);
    await assert.rejects(scene.invites.use(token, "key-2", signal), refused(/used already/));
    assert.equal((await scene.invites.use(token, "key-1", signal)).node, "n1");
  });

  it("is used by one of two keys that come at the same time", async () => {
    const scene = new Scene();
    const token = await scene.token();
    const both = await Promise.allSettled(
      ["key-1", "key-2"].map((key) => scene.invites.use(token, key, signal)),
    );
    assert.deepEqual(both.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
  });

  it("is unknown after its time, and with a wrong secret, in the same words", async () => {
    const scene = new Scene();
    const token = await scene.token();
    const forged = { ...token, secret: "x".repeat(43) };
    await assert.rejects(scene.invites.use(forged, "key-1", signal), refused(/not known here/));
    await scene.clock.advance(61_000);
    await assert.rejects(scene.invites.use(token, "key-1", signal), refused(/not known here/));
  });

  it("leaves no secret in the store, and tells the journal who invited and who came", async () => {
    const scene = new Scene();
    const token = await scene.token();
    await scene.invites.use(token, "key-1", signal);
    const texts = await scene.texts();
    assert.ok(!texts.includes(token.secret));
    assert.match(texts, /"by":"operator\/alice","action":"node.invited","subject":"n1"/);
    assert.match(texts, /"by":"node\/n1","action":"node.enrolled","subject":"n1"/);
  });
});
