/** A config shown to operators carries no secret, and is otherwise what stands in etcd. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { redactConfig } from "../../../../common/config/redact-config.ts";

describe("a redacted config", () => {
  it("is the very text when there is nothing to hide", () => {
    const json = '{ "Network": "10.244.0.0/16",  "Backend": {"Type":"vxlan"} }';
    assert.equal(redactConfig(json), json);
  });

  it("has no pre-shared key, however the key is spelled, and everything else", () => {
    for (const key of ["PSK", "psk", "Psk"]) {
      const json = `{"Network":"10.0.0.0/8","Backend":{"Type":"wireguard","${key}":"c2VjcmV0","Mode":"auto"}}`;
      const redacted = redactConfig(json);
      assert.ok(!redacted.includes("c2VjcmV0"));
      assert.equal(redacted, json.replace("c2VjcmV0", ""));
    }
  });
});
