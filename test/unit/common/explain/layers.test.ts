/** What each combination of layers means. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LAYERS, type LayerState, meaningOf } from "../../../../common/explain/layers.ts";

function meaning(...states: readonly LayerState[]): string {
  return meaningOf(
    LAYERS.map((layer, at) => ({ layer, state: states[at] ?? "unknown", rttUs: 0, detail: "" })),
  );
}

const [YES, NO, UNKNOWN] = ["answers", "silent", "unknown"] as const;

describe("the meaning of the layers", () => {
  it("is that of the lowest one that is silent", () => {
    assert.match(meaning(NO, NO, NO, NO), /machines do not reach each other/);
    assert.match(meaning(NO, YES, YES, YES), /ICMP is filtered/);
    assert.match(meaning(YES, NO, NO, NO), /UDP port is dropped on the way/);
    assert.match(meaning(YES, YES, NO, NO), /way back is broken/);
    assert.match(meaning(YES, UNKNOWN, NO, NO), /twillctl explain/);
    assert.match(meaning(YES, YES, YES, NO), /container does not answer/);
    assert.equal(meaning(YES, YES, YES, YES), "Every layer answers.");
    assert.match(meaning(YES, UNKNOWN, UNKNOWN, UNKNOWN), /that could be tried/);
  });

  it("is said for every combination", () => {
    const states = [YES, NO, UNKNOWN] as const;
    for (const a of states) {
      for (const b of states) {
        for (const c of states)
          for (const d of states) assert.ok(meaning(a, b, c, d).endsWith("."));
      }
    }
  });
});
