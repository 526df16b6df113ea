/** The kernel's refusals as an operator reads them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { errnoName, refused, unsupportedLink } from "../../../../../agent/kernel/netlink/errors.ts";

describe("errno names", () => {
  it("are those of the kernel's documentation where a number has two", () => {
    assert.deepEqual([1, 11, 19, 95, 101, 105].map(errnoName), [
      "EPERM",
      "EAGAIN",
      "ENODEV",
      "EOPNOTSUPP",
      "ENETUNREACH",
      "ENOBUFS",
    ]);
  });

  it("tell the number when there is none", () => {
    assert.equal(errnoName(4000), "errno 4000");
  });
});

describe("a refusal", () => {
  it("says what was wanted, the errno, the kernel's sentence and the way out", () => {
    const error = refused("create flannel.1", "EPERM", "not you");
    assert.equal(error.code, "KERNEL_REFUSED");
    assert.equal(
      error.message,
      "cannot create flannel.1: EPERM (not you): run as root or with CAP_NET_ADMIN",
    );
    assert.deepEqual(error.context, { errno: "EPERM" });
    assert.equal(refused("list routes", "EINVAL").message, "cannot list routes: EINVAL");
  });

  it("of a link type names the module to load", () => {
    const error = unsupportedLink("flannel.1", "vxlan", "Unknown device type");
    assert.equal(error.code, "KERNEL_UNSUPPORTED");
    assert.match(error.message, /flannel\.1.*no link type "vxlan".*modprobe vxlan/);
    assert.deepEqual(error.context, { device: "flannel.1", module: "vxlan", errno: "EOPNOTSUPP" });
  });
});
