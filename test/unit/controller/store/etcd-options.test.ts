/** The etcd options as flanneld's users write them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TwillError } from "../../../../common/errors.ts";
import {
  cleanPrefix,
  DEFAULT_ETCD_OPTIONS,
  type EtcdOptionTexts,
  parseEtcdOptions,
} from "../../../../controller/store/etcd-options.ts";

const parse = (texts: Partial<EtcdOptionTexts>): ReturnType<typeof parseEtcdOptions> =>
  parseEtcdOptions({ ...DEFAULT_ETCD_OPTIONS, ...texts });

const endpoints = (text: string): readonly string[] => parse({ endpoints: text }).endpoints;

function problem(texts: Partial<EtcdOptionTexts>): string {
  try {
    parse(texts);
  } catch (error) {
    const known = TwillError.from(error);
    assert.equal(known.code, "OPTION_INVALID");
    return known.message;
  }
  return assert.fail("no problem was found");
}

describe("the etcd options", () => {
  it("are flanneld's by default: two loopback endpoints, no TLS, no user", () => {
    assert.deepEqual(parse({}), {
      endpoints: ["http://127.0.0.1:4001", "http://127.0.0.1:2379"],
      prefix: "/coreos.com/network",
      tls: undefined,
      user: undefined,
    });
  });

  it("take a comma list of endpoints, with spaces, each once", () => {
    assert.deepEqual(endpoints(" http://a:2379 ,https://b:1, http://a:2379,"), [
      "http://a:2379",
      "https://b:1",
    ]);
  });

  it("complete an endpoint without scheme or port", () => {
    assert.deepEqual(endpoints("etcd1:2379,etcd2,https://etcd3,http://[fd00::1]"), [
      "http://etcd1:2379",
      "http://etcd2:2379",
      "https://etcd3:2379",
      "http://[fd00::1]:2379",
    ]);
  });

  it("keep a port that is the scheme's default when it is written", () => {
    assert.deepEqual(endpoints("http://a:80,https://b:443/"), ["http://a:80", "https://b:443"]);
  });

  it("refuse endpoints that cannot be meant, all together and by name", () => {
    const text = problem({
      endpoints: "unix:///run/etcd,http://a:2379/v2,http://u:p@b,http://,:1",
    });
    for (const part of ['"unix:///run/etcd"', '"http://a:2379/v2"', '"http://u:p@b"', '":1"']) {
      assert.ok(text.includes(part), `${part} in ${text}`);
    }
    assert.match(problem({ endpoints: " , " }), /names no endpoint/);
  });

  it("clean the prefix as flannel joins paths", () => {
    assert.equal(parse({ prefix: "/coreos.com//network/" }).prefix, "/coreos.com/network");
    assert.equal(cleanPrefix("//a///b//"), "/a/b");
    assert.equal(cleanPrefix("a/b"), "a/b");
    assert.equal(cleanPrefix("/"), "");
  });

  it("make every endpoint TLS when TLS files are given, as flannel does", () => {
    const files = { caFile: "/ca", certFile: "/cert", keyFile: "/key" };
    const options = parse({ endpoints: "http://a:2379,https://b:2379", ...files });
    assert.deepEqual(options.endpoints, ["https://a:2379", "https://b:2379"]);
    assert.deepEqual(options.tls, {
      caFile: "/ca",
      identity: { certFile: "/cert", keyFile: "/key" },
    });
  });

  it("honour a CA file alone", () => {
    const options = parse({ endpoints: "a:2379", caFile: "/ca" });
    assert.deepEqual(options.endpoints, ["https://a:2379"]);
    assert.deepEqual(options.tls, { caFile: "/ca", identity: undefined });
  });

  it("refuse half of a certificate and half of a user, each named", () => {
    assert.match(problem({ certFile: "/cert" }), /--etcd-certfile needs --etcd-keyfile/);
    assert.match(problem({ keyFile: "/key" }), /--etcd-keyfile needs --etcd-certfile/);
    assert.match(problem({ password: "p" }), /--etcd-password needs --etcd-username/);
    const both = problem({ certFile: "/cert", password: "secret" });
    assert.match(both, /certfile.*; .*password/);
    assert.ok(!both.includes("secret"));
  });

  it("take a user with or without a password", () => {
    assert.deepEqual(parse({ username: "u", password: "p" }).user, {
      username: "u",
      password: "p",
    });
    assert.deepEqual(parse({ username: "u" }).user, { username: "u", password: "" });
  });
});
