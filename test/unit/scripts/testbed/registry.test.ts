/** Reading etcdctl's JSON. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseEntries } from "../../../../scripts/testbed/registry.ts";

describe("entries of etcdctl's JSON", () => {
  it("keeps lease ids exact, though they exceed what a JavaScript number holds", () => {
    // Printed by etcdctl 3.4 for: lease grant 100; put --lease=694da204f9ef0405 a/b hello; put a/c x
    const json =
      '{"header":{"cluster_id":14841639068965178418,"revision":3},"kvs":[' +
      '{"key":"YS9i","create_revision":2,"mod_revision":2,"version":1,"value":"aGVsbG8=","lease":7587899089445913605},' +
      '{"key":"YS9j","create_revision":3,"mod_revision":3,"version":1,"value":"eA=="}],"count":2}';
    assert.deepEqual(parseEntries(json), [
      {
        key: "a/b",
        value: "hello",
        createRevision: 2,
        modRevision: 2,
        etcdLease: "7587899089445913605",
      },
      { key: "a/c", value: "x", createRevision: 3, modRevision: 3, etcdLease: "0" },
    ]);
  });

  it("is empty when nothing was found", () => {
    assert.deepEqual(parseEntries('{"header":{"revision":3}}'), []);
  });
});
