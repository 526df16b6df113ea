/** A dead replica's page may still read; what is remembered stays small. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ConsoleController } from "../../../../common/console/console-state.ts";
import { KnownOrigins } from "../../../../controller/console/known-origins.ts";

function replica(console: string): ConsoleController {
  return { name: "c", address: "c:1", console, fault: "", isAsked: true };
}

describe("known origins", () => {
  it("stay known when their replica is gone, and none is made of a replica without a console", () => {
    const origins = new KnownOrigins();
    origins.add([replica("https://c1:7480"), replica(""), replica("https://c2:7480")]);
    origins.add([replica("https://c2:7480")]);
    assert.deepEqual([...origins.all].sort(), ["https://c1:7480", "https://c2:7480"]);
  });

  it("are forgotten, the oldest first, when there are too many, but not those that are there", () => {
    const origins = new KnownOrigins();
    for (let n = 0; n < 100; n += 1) {
      origins.add([replica("https://stays:1"), replica(`https://c${n}:1`)]);
    }
    assert.equal(origins.all.length, 32);
    assert.ok(origins.all.includes("https://stays:1"));
    assert.ok(origins.all.includes("https://c99:1"));
    assert.ok(!origins.all.includes("https://c1:1"));
  });
});
