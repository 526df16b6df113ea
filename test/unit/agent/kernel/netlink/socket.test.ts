/** Requests, answers and dumps over a socket whose other end is scripted. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Message } from "../../../../../agent/kernel/netlink/message.ts";
import {
  type Dump,
  NetlinkSocket,
  type Refusal,
  type Requests,
} from "../../../../../agent/kernel/netlink/socket.ts";
import { TwillError } from "../../../../../common/errors.ts";
import { attribute, message } from "../../../../support/netlink-bytes.ts";
import { ScriptedNetlink } from "../../../../support/scripted-netlink.ts";

const signal = new AbortController().signal;
const ERROR = 2;
const DONE = 3;
const ROW = 24;
const MULTI = 2;
const INTERRUPTED = 0x10;
const ENODEV = 19;

describe("a transaction", () => {
  it("sends at most 200 messages at a time, and asks for the last one's acknowledgement", async (t) => {
    const { socket, kernel } = open(t);
    const sizes: number[] = [];
    const served = serve(async () => {
      for (let sent = 0; sent < 450; ) {
        const messages = await kernel.request();
        sizes.push(messages.length);
        sent += messages.length;
        const asking = messages.filter(({ flags }) => (flags & 4) !== 0);
        assert.deepEqual(asking, messages.slice(-1));
        await kernel.send(ack(messages.at(-1)?.seq));
      }
    });
    assert.deepEqual(await socket.transact(requests(450), signal), []);
    await served;
    assert.deepEqual(sizes, [200, 200, 50]);
  });

  it("goes on after refusals and says which requests they were, with the kernel's sentence", async (t) => {
    const { socket, kernel } = open(t);
    const served = serve(async () => {
      const [first, , third] = await kernel.request();
      await kernel.send(refusal(first?.seq, ENODEV));
      await kernel.send(refusal(third?.seq, 17, "already there"));
    });
    const refusals = await socket.transact(requests(3), signal);
    await served;
    assert.deepEqual(refusals, [
      { index: 0, errno: "ENODEV", sentence: "" },
      { index: 2, errno: "EEXIST", sentence: "already there" },
    ] satisfies Refusal[]);
  });

  it("counts refusals across batches", async (t) => {
    const { socket, kernel } = open(t);
    const served = serve(async () => {
      const first = await kernel.request();
      await kernel.send(refusal(first[199]?.seq, ENODEV));
      const second = await kernel.request();
      await kernel.send(refusal(second[1]?.seq, ENODEV), ack(second.at(-1)?.seq));
    });
    const refusals = await socket.transact(requests(210), signal);
    await served;
    assert.deepEqual(
      refusals.map(({ index }) => index),
      [199, 201],
    );
  });

  it("takes no notice of answers to somebody else, and shows replies", async (t) => {
    const { socket, kernel } = open(t);
    const shown: number[] = [];
    const served = serve(async () => {
      const [only] = await kernel.request();
      await kernel.send(refusal((only?.seq ?? 0) + 1000, ENODEV));
      await kernel.send(message({ type: ROW, body: word(5), ...seqOf(only) }));
      await kernel.send(ack(only?.seq));
    });
    const onMessage = (reply: Message): number => shown.push(reply.u32(0));
    assert.deepEqual(await socket.transact({ ...requests(1), onMessage }, signal), []);
    await served;
    assert.deepEqual(shown, [5]);
  });

  it("lives through answers that are no netlink", async (t) => {
    const { socket, kernel } = open(t);
    const served = serve(async () => {
      const [only] = await kernel.request();
      await kernel.send(Buffer.from([1, 2, 3]));
      await kernel.send(Buffer.alloc(64));
      await kernel.send(message({ type: ERROR, ...seqOf(only) }));
    });
    assert.deepEqual(await socket.transact(requests(1), signal), []);
    await served;
  });

  it("stops between two batches when aborted", async (t) => {
    const { socket, kernel } = open(t);
    const stop = new AbortController();
    const reason = new Error("enough");
    const served = serve(async () => {
      const messages = await kernel.request();
      stop.abort(reason);
      await kernel.send(ack(messages.at(-1)?.seq));
    });
    await assert.rejects(socket.transact(requests(400), stop.signal), reason);
    await served;
  });

  it("opens a new socket after a failure, and says which failure it was", async (t) => {
    const { socket, kernel } = open(t);
    const served = serve(async () => {
      await kernel.request();
      kernel.hangUp();
    });
    await assert.rejects(socket.transact(requests(1), signal), refusedWith("ENODATA"));
    await served;
    const again = serve(async () => {
      const [only] = await kernel.request();
      await kernel.send(ack(only?.seq));
    });
    const done = socket.transact(requests(1), signal);
    // The new socket is there once the call had its turn.
    await Promise.resolve();
    await Promise.all([done, again]);
    assert.equal(kernel.opened, 2);
  });

  it("has one call at a time on the socket, in the order they were made", async (t) => {
    const { socket, kernel } = open(t);
    const order: string[] = [];
    const first = socket.transact(requests(1), signal).then(() => order.push("first"));
    const second = socket.transact(requests(1), signal).then(() => order.push("second"));
    await Promise.resolve();
    for (const name of ["first asked", "second asked"]) {
      const [only, ...more] = await kernel.request();
      assert.deepEqual(more, []);
      order.push(name);
      await kernel.send(ack(only?.seq));
    }
    await Promise.all([first, second]);
    assert.deepEqual(order, ["first asked", "first", "second asked", "second"]);
  });
});

describe("a dump", () => {
  it("gathers rows over many datagrams and leaves out those that are not wanted", async (t) => {
    const { socket, kernel } = open(t);
    const served = serve(async () => {
      const seq = seqOf((await kernel.request())[0]);
      await kernel.send(row(seq, 1), row(seq, 2));
      await kernel.send(row(seq, 0), row(seq, 3));
      await kernel.send(done(seq));
    });
    assert.deepEqual(await socket.dump(rows, signal), [1, 2, 3]);
    await served;
  });

  it("is read again when the table changed under way", async (t) => {
    const { socket, kernel } = open(t);
    const served = serve(async () => {
      const first = seqOf((await kernel.request())[0]);
      await kernel.send(row(first, 1), row(first, 2, INTERRUPTED));
      await kernel.send(row(first, 3), done(first));
      const second = seqOf((await kernel.request())[0]);
      await kernel.send(row(second, 1), row(second, 4), done(second));
    });
    assert.deepEqual(await socket.dump(rows, signal), [1, 4]);
    await served;
  });

  it("gives up on a table that never stands still", async (t) => {
    const { socket, kernel } = open(t);
    let asked = 0;
    const served = serve(async () => {
      for (; asked < 5; asked += 1) {
        const seq = seqOf((await kernel.request())[0]);
        await kernel.send(row(seq, 1), done(seq, 0, INTERRUPTED));
      }
    });
    await assert.rejects(socket.dump(rows, signal), (error) => {
      assert.match(String(error), /cannot list rows: EINTR \(it changed under way 5 times\)/);
      return refusedWith("EINTR")(error);
    });
    await served;
  });

  it("takes no notice of rows of an older dump", async (t) => {
    const { socket, kernel } = open(t);
    const served = serve(async () => {
      const seq = seqOf((await kernel.request())[0]);
      await kernel.send(row({ seq: seq.seq - 1 }, 9), done({ seq: seq.seq - 1 }));
      await kernel.send(row(seq, 1), done(seq));
    });
    assert.deepEqual(await socket.dump(rows, signal), [1]);
    await served;
  });

  it("fails with the error that ends it, also when it is in the closing message", async (t) => {
    const { socket, kernel } = open(t);
    const served = serve(async () => {
      const first = seqOf((await kernel.request())[0]);
      await kernel.send(refusal(first.seq, 22, "bad filter"));
    });
    await assert.rejects(socket.dump(rows, signal), (error) => {
      assert.match(String(error), /cannot list rows: EINVAL \(bad filter\)/);
      return refusedWith("EINVAL")(error);
    });
    await served;
    const closing = serve(async () => {
      const seq = seqOf((await kernel.request())[0]);
      await kernel.send(row(seq, 1), done(seq, 12));
    });
    const dump = socket.dump(rows, signal);
    await assert.rejects(dump, refusedWith("ENOMEM"));
    await closing;
  });

  it("is empty when its error says that there is no table", async (t) => {
    const { socket, kernel } = open(t);
    const served = serve(async () => {
      await kernel.send(refusal((await kernel.request())[0]?.seq, 2));
    });
    assert.deepEqual(await socket.dump({ ...rows, emptyWhen: "ENOENT" }, signal), []);
    await served;
  });
});

describe("a socket", () => {
  it("reports that it cannot be opened, and is opened by the next call", async (t) => {
    const { socket, kernel } = open(t);
    kernel.refuseToOpen(1);
    await assert.rejects(socket.transact(requests(1), signal), /no socket today/);
    const done = socket.transact(requests(1), signal);
    await Promise.resolve();
    const [only] = await kernel.request();
    await kernel.send(ack(only?.seq));
    assert.deepEqual(await done, []);
  });

  it("waits for what is under way before it closes", async (t) => {
    const { socket, kernel } = open(t);
    const transaction = socket.transact(requests(1), signal);
    await Promise.resolve();
    const closed = socket[Symbol.asyncDispose]();
    const [only] = await kernel.request();
    await kernel.send(ack(only?.seq));
    await Promise.all([transaction, closed]);
  });
});

function open(t: TestContext): { socket: NetlinkSocket; kernel: ScriptedNetlink } {
  const kernel = new ScriptedNetlink();
  const socket = new NetlinkSocket(kernel.open);
  t.after(async () => {
    await socket[Symbol.asyncDispose]();
    kernel[Symbol.dispose]();
  });
  return { socket, kernel };
}

/** Runs the kernel's part beside the test's; it starts when the socket has been opened. */
async function serve(part: () => Promise<void>): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await part();
}

function requests(count: number): Requests {
  return {
    count,
    encode: (writer, index, seq) => {
      writer.begin(ROW, 0, seq);
      writer.u32(index);
      writer.end();
    },
  };
}

const rows: Dump<number> = {
  what: "list rows",
  encode: (writer, seq) => {
    writer.begin(ROW, 0x300, seq);
    writer.end();
  },
  decode: (found) => found.u32(0) || undefined,
};

interface Seq {
  readonly seq: number;
}

function seqOf(request: { readonly seq: number } | undefined): Seq {
  assert.ok(request);
  return { seq: request.seq };
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function row(seq: Seq, value: number, flags = 0): Buffer {
  return message({ type: ROW, flags: MULTI | flags, body: word(value), ...seq });
}

function done(seq: Seq, errno = 0, flags = 0): Buffer {
  return message({ type: DONE, flags: MULTI | flags, body: word(-errno), ...seq });
}

function ack(seq: number | undefined): Buffer {
  return refusal(seq, 0);
}

/** With the refused request's header, as CAP_ACK gives it, and the sentence, if any. */
function refusal(seq: number | undefined, errno: number, sentence?: string): Buffer {
  const CAPPED = 0x100;
  const TLVS = 0x200;
  const parts = [word(-errno), Buffer.alloc(16)];
  if (sentence !== undefined) parts.push(attribute(1, Buffer.from(`${sentence}\0`)));
  const flags = CAPPED | (sentence === undefined ? 0 : TLVS);
  return message({ type: ERROR, flags, body: Buffer.concat(parts), seq: seq ?? 0 });
}

function refusedWith(errno: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TwillError, String(error));
    assert.equal(error.code, "KERNEL_REFUSED");
    assert.equal(error.context["errno"], errno, error.message);
    return true;
  };
}
