/** Identities in certificates: one URI SAN, parsed strictly. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  formatIdentity,
  type Identity,
  identityOfAltNames,
  parseIdentity,
} from "../../../../common/identity/identity.ts";

const name = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,30}$/);
const trustDomain = fc.stringMatching(/^[a-z0-9._-]{1,20}$/);
const identity: fc.Arbitrary<Identity> = fc.oneof(
  fc.record({ role: fc.constant("node" as const), trustDomain, name }),
  fc.record({ role: fc.constant("controller" as const), trustDomain, name }),
  fc.record({ role: fc.constant("operator" as const), trustDomain, name, admin: fc.boolean() }),
);

describe("identity", () => {
  it("parses what it formats", () => {
    fc.assert(
      fc.property(identity, (id) => assert.deepEqual(parseIdentity(formatIdentity(id)), { ...id })),
    );
  });

  it("refuses other schemes, roles, empty and path-like names, and admin nodes", () => {
    const bad = [
      "https://twill/node/n1",
      "spiffe://twill/root/n1",
      "spiffe://twill/node/",
      "spiffe://twill/node/../n2",
      "spiffe://twill/node/a/b",
      "spiffe://twill/node/n1/admin",
      "spiffe://TWILL/node/n1",
      "spiffe:///node/n1",
      "spiffe://twill/node/n1?x",
    ];
    assert.deepEqual(
      bad.map(parseIdentity),
      bad.map(() => undefined),
    );
  });

  it("finds the identity among other alternative names", () => {
    const found = identityOfAltNames(
      "DNS:n1.rack, URI:spiffe://twill/node/n1, IP Address:10.0.0.1",
    );
    assert.deepEqual(found, {
      kind: "identity",
      identity: { role: "node", trustDomain: "twill", name: "n1" },
      addresses: ["10.0.0.1"],
    });
  });

  it("refuses a certificate that could choose between two identities", () => {
    const found = identityOfAltNames("URI:spiffe://twill/node/n1, URI:spiffe://twill/node/n2");
    assert.equal(found.kind, "none");
  });

  it("says so when there is no identity at all", () => {
    assert.equal(identityOfAltNames(undefined).kind, "none");
    assert.equal(identityOfAltNames("DNS:n1").kind, "none");
  });
});
