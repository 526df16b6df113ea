/** The user's token: fetched once for all, renewed when refused. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EtcdAuth } from "../../../../controller/store/etcd-auth.ts";

const user = { username: "u", password: "p" };

/** "token 1", "token 2" … */
function countingTokens(): () => Promise<string> {
  let fetched = 0;
  return async () => {
    fetched += 1;
    return `token ${fetched}`;
  };
}

describe("the token of an etcd user", () => {
  it("is not asked for without a user", async () => {
    const auth = new EtcdAuth(undefined, () => assert.fail("asked"));
    assert.equal(await auth.token("a"), undefined);
    assert.equal(auth.isEnabled, false);
  });

  it("is fetched once, however many wait for it", async () => {
    const auth = new EtcdAuth(user, countingTokens());
    const tokens = await Promise.all(Array.from({ length: 50 }, () => auth.token("a")));
    assert.deepEqual(new Set(tokens), new Set(["token 1"]));
    assert.equal(await auth.token("b"), "token 1");
  });

  it("is fetched again once when many calls were refused with the old one", async () => {
    const auth = new EtcdAuth(user, countingTokens());
    await auth.token("a");
    auth.invalidate("token 1");
    assert.equal(await auth.token("a"), "token 2");
    // A slow call that still carried the first one.
    auth.invalidate("token 1");
    assert.equal(await auth.token("a"), "token 2");
  });

  it("tries again after a failure", async () => {
    let attempts = 0;
    const auth = new EtcdAuth(user, async () => {
      attempts += 1;
      if (attempts === 1) throw new Error("14 UNAVAILABLE: Connection dropped");
      return "token";
    });
    await assert.rejects(auth.token("a"), /Connection dropped/);
    assert.equal(await auth.token("b"), "token");
  });

  it("is left out when etcd has no authentication, until it has", async () => {
    let isOn = false;
    let asked = 0;
    const auth = new EtcdAuth(user, async () => {
      asked += 1;
      if (isOn) return "token";
      throw new Error("9 FAILED_PRECONDITION: etcd: authentication is not enabled");
    });
    for (let i = 0; i < 3; i += 1) assert.equal(await auth.token("a"), undefined);
    assert.equal(asked, 1);
    isOn = true;
    auth.invalidate(undefined);
    assert.equal(await auth.token("a"), "token");
  });
});
