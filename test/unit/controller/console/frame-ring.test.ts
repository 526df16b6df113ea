/** The ring forgets the oldest by count and by bytes, and never the newest. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameRing } from "../../../../controller/console/frame-ring.ts";

function frame(size: number): Uint8Array {
  return new Uint8Array(size);
}

describe("the ring of frames", () => {
  it("numbers frames from one and finds each by its number", () => {
    const ring = new FrameRing({ maxFrames: 3, maxBytes: 100 });
    assert.equal(ring.head, 0);
    assert.equal(ring.at(0), undefined);
    const frames = [frame(1), frame(2)];
    for (const one of frames) ring.push(one);
    assert.equal(ring.head, 2);
    assert.equal(ring.at(1), frames[0]);
    assert.equal(ring.at(2), frames[1]);
    assert.equal(ring.at(3), undefined);
  });

  it("forgets the oldest when there are too many", () => {
    const ring = new FrameRing({ maxFrames: 3, maxBytes: 100 });
    for (let n = 0; n < 5; n += 1) ring.push(frame(1));
    assert.equal(ring.at(2), undefined);
    assert.notEqual(ring.at(3), undefined);
    assert.equal(ring.bytes, 3);
  });

  it("forgets the oldest when they are too large, and keeps the newest however large", () => {
    const ring = new FrameRing({ maxFrames: 10, maxBytes: 100 });
    ring.push(frame(60));
    ring.push(frame(60));
    assert.equal(ring.at(1), undefined);
    assert.equal(ring.bytes, 60);
    ring.push(frame(500));
    assert.equal(ring.at(3)?.length, 500);
    assert.equal(ring.bytes, 500);
  });
});
