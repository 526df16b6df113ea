/** The Kernel suite against the small Linux in memory and against the real one. */
import { describe } from "node:test";
import { NetlinkKernel } from "../../agent/kernel/netlink-kernel.ts";
import { FakeKernel } from "../support/fake-kernel.ts";
import { kernelContract } from "../support/kernel-contract.ts";
import { namespaceFor } from "../support/netns.ts";

kernelContract("the fake kernel", async () => {
  const kernel = new FakeKernel();
  return {
    kernel,
    addCard: async (name, ...addresses) => kernel.addCard(name, ...addresses),
    [Symbol.asyncDispose]: async () => kernel.assertConsumed(),
  };
});

const withoutRoot = process.getuid?.() === 0 ? {} : { skip: "needs root" };

describe("with a real kernel", withoutRoot, () => {
  kernelContract("Linux", async (t) => {
    const namespace = await namespaceFor(t);
    const kernel = new NetlinkKernel({ netns: namespace.path });
    return {
      kernel,
      addCard: (name, ...addresses) => namespace.addCard(name, ...addresses),
      [Symbol.asyncDispose]: () => kernel[Symbol.asyncDispose](),
    };
  });
});
