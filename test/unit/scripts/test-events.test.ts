/** Headings and skips among the test runner's events. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type RunnerEvent, withHeadings } from "../../../scripts/test-events.ts";

const tierOf = (file: string): string => file.split("/")[0] ?? "";

async function notes(events: readonly RunnerEvent[]): Promise<string[]> {
  const shown: string[] = [];
  async function* source(): AsyncGenerator<RunnerEvent> {
    yield* events;
  }
  for await (const { data, type } of withHeadings(source(), tierOf)) {
    shown.push(type === "test:diagnostic" ? (data.message ?? "") : (data.name ?? ""));
  }
  return shown;
}

const started = (name: string, file: string): RunnerEvent => ({
  type: "test:start",
  data: { name, file, nesting: 0 },
});

describe("the test runner's events", () => {
  it("get a heading where a tier begins", async () => {
    const events = [started("a", "unit/a"), started("b", "unit/b"), started("c", "fault/c")];
    assert.deepEqual(await notes(events), ["== unit", "a", "b", "== fault", "c"]);
  });

  it("name every skipped test and its reason just before the closing lines", async () => {
    const skip = (name: string, reason: string | boolean): RunnerEvent => ({
      type: "test:pass",
      data: { name, skip: reason },
    });
    const closing = ["tests 3", "pass 1"].map((message) => ({
      type: "test:diagnostic",
      data: { nesting: 0, message },
    }));
    const events = [skip("x", "no wireguard"), skip("y", true), skip("z", false), ...closing];
    assert.deepEqual(await notes(events), [
      ...["x", "y", "z"],
      ...["skipped: x: no wireguard", "skipped: y: no reason given"],
      ...["tests 3", "pass 1"],
    ]);
  });
});
