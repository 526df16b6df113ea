/** Which config is in force, whatever the operator writes over it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Entry } from "../../../../controller/store/store.ts";
import { ConfigFollower } from "../../../../controller/view/config-follower.ts";

function entry(value: string, modRevision: number): Entry {
  return { key: "config", value, createRevision: 2, modRevision, etcdLease: "0" };
}

const GOOD = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';

describe("following the config key", () => {
  it("accepts a valid value and keeps it while invalid ones or none stand there", () => {
    const follower = new ConfigFollower();
    assert.equal(follower.follow(undefined).kind, "missing");
    assert.match(follower.fault ?? "", /no config key/);
    assert.equal(follower.follow(entry(GOOD, 5)).kind, "accepted");
    assert.equal(follower.fault, undefined);
    const rejected = follower.follow(entry('{"Network":"10.5.0.0/99"}', 6));
    assert.ok(rejected.kind === "rejected" && rejected.problems.length > 0);
    assert.match(follower.fault ?? "", /revision 6 is invalid: \$\.Network/);
    assert.equal(follower.accepted?.json, GOOD);
    assert.equal(follower.follow(undefined).kind, "missing");
    assert.equal(follower.accepted?.json, GOOD);
  });

  it("says unchanged when the same key is seen again", () => {
    const follower = new ConfigFollower();
    follower.follow(entry(GOOD, 5));
    assert.equal(follower.follow(entry(GOOD, 5)).kind, "unchanged");
    assert.equal(follower.follow(entry("{}", 6)).kind, "rejected");
    assert.equal(follower.follow(entry(GOOD, 7)).kind, "accepted");
  });

  it("notices a config without Backend, in any case of the name", () => {
    const follower = new ConfigFollower();
    follower.follow(entry('{"Network":"10.5.0.0/16"}', 5));
    assert.equal(follower.accepted?.isBackendless, true);
    follower.follow(entry('{"Network":"10.5.0.0/16","backend":{"Type":"udp"}}', 6));
    assert.equal(follower.accepted?.isBackendless, false);
  });
});
