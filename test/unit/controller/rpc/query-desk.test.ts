/** Questions to agents: answered, late, too many, or cut off with the stream. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { QueryDesk } from "../../../../controller/rpc/query-desk.ts";
import { Subscriber } from "../../../../controller/rpc/subscriber.ts";
import type { Answer, Query } from "../../../../proto/gen/twill/v1/node.ts";
import { FakeOutlet } from "../../../support/fake-outlet.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";

const QUERY: Query = {
  number: 0,
  timeoutMs: 1000,
  question: { $case: "peers", value: { limit: 0 } },
};
const NEVER = new AbortController().signal;

function answer(number: number): Answer {
  return { number, outcome: { $case: "refusal", value: "because" } };
}

class Scene {
  readonly clock = new ManualClock();
  readonly kicked: string[] = [];
  readonly subscriber: Subscriber;
  readonly desk: QueryDesk;

  constructor(features: readonly string[] = ["query"]) {
    this.subscriber = new Subscriber({
      ...{ node: "n1", version: "1.0", process: "", address: "n1:1", outlet: new FakeOutlet() },
      ...{ features: new Set(features), place: undefined, configRevision: 0, nowMs: 0 },
    });
    this.desk = new QueryDesk({
      clock: this.clock,
      hub: {
        get: (node) => (node === "n1" ? this.subscriber : undefined),
        kick: ({ node }) => void this.kicked.push(node),
      },
    });
  }

  ask(): Promise<Answer> {
    return this.desk.ask("n1", QUERY, NEVER);
  }
}

describe("the query desk", () => {
  it("gives each question a number of its own and its answer to whom it belongs", async () => {
    const scene = new Scene();
    const [first, second] = [scene.ask(), scene.ask()];
    await settle();
    assert.deepEqual(scene.kicked, ["n1", "n1"]);
    scene.desk.answered(scene.subscriber, answer(2));
    scene.desk.answered(scene.subscriber, answer(1));
    assert.deepEqual([await first, await second], [answer(1), answer(2)]);
  });

  it("waits no longer than was asked for, and forgets who came too late", async () => {
    const scene = new Scene();
    const late = assert.rejects(scene.ask(), /node n1 did not answer within 1000 ms/);
    await scene.clock.advance(2000);
    await late;
    scene.desk.answered(scene.subscriber, answer(1));
  });

  it("says so when the stream ends meanwhile, when it is too much, and who cannot be asked", async () => {
    const scene = new Scene();
    const cut = [1, 2, 3, 4].map(() => assert.rejects(scene.ask(), /lost its stream/));
    await settle();
    await assert.rejects(scene.ask(), /is being asked 4 questions already/);
    scene.desk.streamClosed(scene.subscriber);
    await Promise.all(cut);
    await assert.rejects(new Scene([]).ask(), /agent \(1\.0\) that cannot be asked/);
    await assert.rejects(scene.desk.ask("n2", QUERY, NEVER), { code: "NODE_UNAVAILABLE" });
  });

  it("takes no answer from another stream than the one that was asked", async () => {
    const scene = new Scene();
    const asked = scene.ask();
    await settle();
    scene.desk.answered(new Scene().subscriber, answer(1));
    scene.desk.answered(scene.subscriber, answer(1));
    assert.deepEqual(await asked, answer(1));
  });
});
