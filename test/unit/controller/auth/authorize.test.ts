/** Who may do what: the whole table, and the addresses a node certificate binds. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Identity, parseIdentity } from "../../../../common/identity/identity.ts";
import { parseIp } from "../../../../common/net/ip.ts";
import {
  addressRefusalOf,
  type Caller,
  refusalOf,
  type Verb,
} from "../../../../controller/auth/authorize.ts";

const caller = (path: string, addresses: readonly string[] = []): Caller => {
  const identity: Identity | undefined = parseIdentity(`spiffe://twill/${path}`);
  assert.ok(identity !== undefined);
  return { kind: "identity", identity, addresses };
};

const VERBS: Record<string, Verb> = {
  "be n1": { kind: "be-node", node: "n1" },
  allocate: { kind: "allocate" },
  look: { kind: "look" },
};

describe("authorisation", () => {
  it("lets each role do what is its own and nothing else", () => {
    const table = ["node/n1", "node/n2", "controller/n1", "operator/n1", "operator/n1/admin"].map(
      (path) => [
        path,
        ...Object.keys(VERBS).filter((name) => {
          const verb = VERBS[name];
          return verb !== undefined && refusalOf(caller(path), verb) === undefined;
        }),
      ],
    );
    assert.deepEqual(table, [
      ["node/n1", "be n1"],
      ["node/n2"],
      ["controller/n1", "allocate", "look"],
      ["operator/n1", "look"],
      ["operator/n1/admin", "look"],
    ]);
  });

  it("says who asked and for what", () => {
    assert.equal(
      refusalOf(caller("node/n2"), { kind: "be-node", node: "n1" }),
      "the certificate is that of node n2, so it cannot speak for node n1",
    );
    assert.match(refusalOf(caller("node/n2"), { kind: "allocate" }) ?? "", /node n2.*controllers/);
    assert.match(refusalOf(caller("node/n2"), { kind: "look" }) ?? "", /node n2.*operator/);
  });

  it("gives the reason when a certificate names nobody, and trusts plaintext as asked", () => {
    const nobody: Caller = { kind: "none", reason: "no URI SAN" };
    assert.equal(refusalOf(nobody, { kind: "look" }), "no URI SAN");
    assert.equal(refusalOf(undefined, { kind: "allocate" }), undefined);
  });

  it("holds a node to the addresses of its certificate, in any spelling", () => {
    const node = caller("node/n1", ["10.0.0.1", "FD99:0:0::1"]);
    const own = [parseIp("10.0.0.1"), parseIp("fd99::1")];
    assert.equal(addressRefusalOf(node, own), undefined);
    assert.equal(
      addressRefusalOf(node, [parseIp("10.0.0.2"), undefined]),
      "node n1 may not advertise 10.0.0.2: its certificate allows 10.0.0.1, FD99:0:0::1",
    );
    assert.equal(addressRefusalOf(caller("node/n1"), [parseIp("10.0.0.2")]), undefined);
    assert.equal(addressRefusalOf(undefined, [parseIp("10.0.0.2")]), undefined);
  });
});
