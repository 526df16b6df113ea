/** A secret is seen by nobody who does not ask for it by name. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { inspect } from "node:util";
import { Secret } from "../../../../common/text/secret.ts";

it("shows a secret's fingerprint wherever it is printed, and its text only when asked", () => {
  const secret = new Secret("swordfish");
  const shown = [String(secret), JSON.stringify({ secret }), inspect(secret, { showHidden: true })];
  assert.ok(!shown.join(" ").includes("swordfish"), shown.join(" "));
  assert.equal(secret.reveal(), "swordfish");
  assert.match(String(secret), /^secret:[0-9a-f]{8}$/);
});

it("gives equal secrets equal fingerprints and different ones different ones", () => {
  assert.equal(new Secret("a").fingerprint, new Secret("a").fingerprint);
  assert.notEqual(new Secret("a").fingerprint, new Secret("b").fingerprint);
});
