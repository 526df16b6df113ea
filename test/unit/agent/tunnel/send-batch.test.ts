/** Which datagrams share a message, read back from the structures the kernel would read. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Arena } from "../../../../agent/tunnel/arena.ts";
import { SendBatch } from "../../../../agent/tunnel/send-batch.ts";

const CAPACITY = { messages: 8, iovecs: 80 };

interface Message {
  readonly to: string;
  readonly lengths: readonly number[];
  /** UDP_SEGMENT's size; 0: the message has no control data. */
  readonly segmentSize: number;
}

function newBatch(isSegmenting = true): { arena: Arena; batch: SendBatch } {
  const arena = new Arena(16_384);
  return { arena, batch: new SendBatch(arena, CAPACITY, isSegmenting) };
}

/** Decodes struct mmsghdr at an address the batch gave. */
function decode(arena: Arena, address: number): Message {
  const { view } = arena;
  const at = address - arena.address;
  const name = arena.readPointer(at);
  const iovec = arena.readPointer(at + 16);
  const count = view.getUint32(at + 24, true);
  const control = arena.readPointer(at + 32);
  const isSegmented = view.getUint32(at + 40, true) !== 0;
  assert.equal(view.getUint32(at + 8, true), 16);
  assert.equal(view.getUint16(name, true), 2);
  if (isSegmented) {
    assert.deepEqual(
      [view.getUint32(control, true), view.getInt32(control + 8, true)],
      [18, 17],
      "cmsg_len, SOL_UDP",
    );
    assert.equal(view.getInt32(control + 12, true), 103, "UDP_SEGMENT");
  }
  return {
    to: `${view.getUint32(name + 4)}:${view.getUint16(name + 2)}`,
    lengths: Array.from({ length: count }, (_, index) =>
      view.getUint32(iovec + index * 16 + 8, true),
    ),
    segmentSize: isSegmented ? view.getUint16(control + 16, true) : 0,
  };
}

const messages = (arena: Arena, batch: SendBatch): Message[] =>
  Array.from({ length: batch.count }, (_, index) => decode(arena, batch.address(index)));

function send(batch: SendBatch, remote: number, length: number): void {
  batch.datagram(remote, 8285, length);
  batch.piece(0, length);
}

describe("a batch of datagrams", () => {
  it("joins equal sizes to one peer, and lets a shorter one end the message", () => {
    const { arena, batch } = newBatch();
    for (const length of [100, 100, 40, 100]) send(batch, 1, length);
    assert.deepEqual(messages(arena, batch), [
      { to: "1:8285", lengths: [100, 100, 40], segmentSize: 100 },
      { to: "1:8285", lengths: [100], segmentSize: 0 },
    ]);
  });

  it("begins a message for another peer and for a longer datagram", () => {
    const { arena, batch } = newBatch();
    send(batch, 1, 100);
    send(batch, 2, 100);
    send(batch, 2, 101);
    assert.deepEqual(
      messages(arena, batch).map(({ to, lengths }) => [to, lengths]),
      [
        ["1:8285", [100]],
        ["2:8285", [100]],
        ["2:8285", [101]],
      ],
    );
  });

  it("keeps within 64 segments and within the largest UDP payload", () => {
    const small = newBatch();
    for (let index = 0; index < 70; index += 1) send(small.batch, 1, 10);
    assert.deepEqual(
      messages(small.arena, small.batch).map(({ lengths }) => lengths.length),
      [64, 6],
    );
    const large = newBatch();
    for (let index = 0; index < 46; index += 1) send(large.batch, 1, 1472);
    assert.deepEqual(
      messages(large.arena, large.batch).map(({ lengths }) => lengths.length),
      [44, 2],
    );
  });

  it("sends each by itself when it must not segment", () => {
    const { arena, batch } = newBatch(false);
    for (const length of [100, 100]) send(batch, 1, length);
    assert.deepEqual(
      messages(arena, batch).map(({ segmentSize }) => segmentSize),
      [0, 0],
    );
  });

  it("begins anew after it was cleared, also for the same peer and size", () => {
    const { arena, batch } = newBatch();
    send(batch, 1, 100);
    batch.clear();
    send(batch, 1, 100);
    assert.deepEqual(messages(arena, batch), [{ to: "1:8285", lengths: [100], segmentSize: 0 }]);
  });

  it("is full before a datagram of two pieces would not fit", () => {
    const { batch } = newBatch();
    let added = 0;
    for (; !batch.isFull; added += 1) {
      batch.datagram(1, 8285, 100);
      batch.piece(0, 52);
      batch.piece(64, 48);
    }
    assert.equal(added, 40);
  });

  it("takes a refused message apart into its datagrams, whatever their pieces", () => {
    const pieces = fc.array(fc.boolean(), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: 100 }), (split, last) => {
        const { arena, batch } = newBatch();
        const lengths = split.map((_, index) => (index === split.length - 1 ? last : 100));
        for (const [index, length] of lengths.entries()) {
          batch.datagram(1, 8285, length);
          if (split[index] === true && length > 1) {
            batch.piece(0, 1);
            batch.piece(64, length - 1);
          } else {
            batch.piece(0, length);
          }
        }
        const sent: number[] = [];
        batch.isolate(0, (address) => {
          const message = decode(arena, address);
          assert.equal(message.to, "1:8285");
          assert.equal(message.segmentSize, 0);
          sent.push(message.lengths.reduce((a, b) => a + b, 0));
        });
        assert.deepEqual(sent, lengths);
        assert.equal(batch.segmentsOf(0), lengths.length);
      }),
    );
  });
});
