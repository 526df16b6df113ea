/** Which controllers twillctl asks: flags before environment before the config file. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type ConnectionSources,
  resolveConnection,
} from "../../../../cli/connection/connection.ts";

const CONFIG = `
current: rack1
contexts:
  rack1:
    controllers: [10.0.0.11:7474, 10.0.0.12:7474]
    tls: { ca: /c/ca.crt, cert: /c/me.crt, key: /c/me.key }
  lab:
    controllers: [10.99.0.21:7474]
    insecure: true
`;
const tls = { ca: "/c/ca.crt", cert: "/c/me.crt", key: "/c/me.key" };

function sources(more: Partial<ConnectionSources> = {}): ConnectionSources {
  return { flags: {}, env: {}, configText: CONFIG, configPath: "config.yaml", ...more };
}

describe("the connection", () => {
  it("is the current context when nothing else is said", () => {
    const connection = resolveConnection(sources());
    assert.deepEqual(connection, { controllers: ["10.0.0.11:7474", "10.0.0.12:7474"], tls });
  });

  it("is another context when it is named", () => {
    const connection = resolveConnection(sources({ flags: { context: "lab" } }));
    assert.deepEqual(connection, { controllers: ["10.99.0.21:7474"], tls: undefined });
  });

  it("prefers flags to the environment, and the environment to the file", () => {
    const env = { TWILL_CONTROLLERS: "b:1", TWILL_TLS_CA_FILE: "/env/ca" };
    assert.deepEqual(resolveConnection(sources({ env })), {
      controllers: ["b:1"],
      tls: { ...tls, ca: "/env/ca" },
    });
    const flags = { controllers: "a:1,a:2", tlsCaFile: "/flag/ca" };
    assert.deepEqual(resolveConnection(sources({ env, flags })), {
      controllers: ["a:1", "a:2"],
      tls: { ...tls, ca: "/flag/ca" },
    });
  });

  it("never falls back to plaintext by itself", () => {
    const flags = { controllers: "a:1" };
    const open = (): unknown => resolveConnection(sources({ flags, configText: undefined }));
    assert.throws(open, /certificate is needed.*--insecure/);
  });

  it("names the three ways when no controller is given", () => {
    const open = (): unknown => resolveConnection(sources({ configText: undefined }));
    assert.throws(open, /--controllers HOST:PORT, TWILL_CONTROLLERS, or a context in config\.yaml/);
  });

  it("names the place of what is wrong in the file", () => {
    const wrong: [string, RegExp][] = [
      ["current: nope\ncontexts: {a: {}}", /config\.yaml: has no context "nope"; known: a/],
      ["current: a\ncontexts: {a: {controllers: x}}", /contexts\.a\.controllers must be a list/],
      ["[1, 2]", /the file must be a mapping/],
      ["a: [", /config\.yaml: /],
    ];
    for (const [configText, message] of wrong) {
      assert.throws(() => resolveConnection(sources({ configText })), message);
    }
  });
});
